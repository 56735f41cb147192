#!/usr/bin/env python3
"""How much of a GEMM's speed it costs that blocks are loaded and dropped meanwhile: the SM time that copies take.

One stream of the engine multiplies matrices without a pause. First alone, then while another thread loads blocks of
64 segments of 32 KiB from DRAM into the engine's KV tensors, over and over; for each way of copying.

  gemm_share.py --library build-gpu/bench/libkelvin_real_model.so

Needs torch 2.0 or newer and a GPU; --device cpu shows that it works, and nothing else.
"""
import argparse
import json
import sys
import threading
import time
from types import SimpleNamespace

from real_model import Kelvin, PagedKv, Shape, device_name, torch, torch_device, waiter


def multiply(options, seconds):
    """Products a second."""
    wait = waiter(options)
    size = options.size
    a, b = (torch.randn(size, size, device=torch_device(options)).to(torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    for _ in range(3):
        torch.mm(a, b, out=out)
    wait()
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        for _ in range(10):
            torch.mm(a, b, out=out)
        count += 10
        wait()
    return count / (time.monotonic() - start)


class Traffic(threading.Thread):
    """Loads a prefix and drops it, until it is stopped."""

    def __init__(self, kelvin, shape, tokens, slots):
        super().__init__()
        self.kelvin, self.shape, self.tokens, self.slots = kelvin, shape, tokens, slots
        self.ended, self.bytes = threading.Event(), 0

    def run(self):
        while not self.ended.is_set():
            found = self.kelvin.call("kelvin_load", self.tokens, self.kelvin.numbers(self.slots))
            self.bytes += found * self.shape.block_bytes
            self.kelvin.release()
            self.kelvin.call("kelvin_drop", self.tokens)


def measure(options, shape, cache, copy):
    kelvin = Kelvin(options, shape, cache, copy)
    slots = list(range(cache.slots))
    tokens = list(range(cache.slots * shape.block_tokens))
    kelvin.call("kelvin_reserve", slots)
    kelvin.call("kelvin_publish", tokens)
    kelvin.call("kelvin_drop", tokens)
    time.sleep(options.settle)
    alone = multiply(options, options.seconds)
    traffic = Traffic(kelvin, shape, tokens, slots)
    start = time.monotonic()
    traffic.start()
    beside = multiply(options, options.seconds)
    speed = traffic.bytes / (time.monotonic() - start)
    traffic.ended.set()
    traffic.join()
    kelvin.close()
    share = 1 - beside / alone
    print("copy = %-6s  GEMM %.1f a second alone, %.1f beside %.1f GB/s of blocks: %.1f %% taken (goal: at most 5)"
          % (copy, alone, beside, speed / 1e9, 100 * share), flush=True)
    return dict(copy=copy, alone=alone, beside=beside, bytes_per_second=speed, share=share)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True, help="libkelvin_real_model.so")
    parser.add_argument("--device", type=device_name, default="cuda:0", help="cuda:N, or cpu")
    parser.add_argument("--size", type=int, default=8192, help="rows and columns of the matrices")
    parser.add_argument("--blocks", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--settle", type=float, default=3, help="seconds until host memory is pinned")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("gemm_share: SKIPPED: torch sees no GPU")
    shape = Shape(SimpleNamespace(layers=32, hidden=4096, inner=0, vocabulary=1, block_tokens=16))
    cache = PagedKv(shape, options.blocks, torch_device(options))
    ways = ["auto"] if options.device == "cpu" else ["auto", "plain", "batch", "kernel"]
    results = [measure(options, shape, cache, copy) for copy in ways]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
