#!/usr/bin/env python3
"""Time to first token with and without Kelvin, on a model of Llama-3.1-8B's shape with random weights.

For each length of prompt: the prompt is prefilled into paged KV tensors and its last token decoded (TTFT without);
the KV is published, copied to DRAM, dropped from the engine's memory, which is then overwritten; it is loaded from
DRAM into other slots and the same token decoded on it (TTFT with). The logits of both must be equal bit for bit.

  real_model.py --library build-gpu/bench/libkelvin_real_model.so                 8k, 32k, 128k tokens on GPU 0
  real_model.py ... --device cpu --layers 2 --hidden 256 --tokens 1024            the same here, without a GPU

Needs torch 2.0 or newer. Prints one line a length, and JSON with --json FILE.
"""
import argparse
import ctypes
import json
import os
import random
import re
import sys
import tempfile
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    sys.exit("real_model: SKIPPED: torch is not installed (%s): pip install torch" % missing)


class Shape:
    """Llama-3.1-8B, unless told otherwise. Heads have 128 dimensions, one KV head for four query heads."""

    def __init__(self, options):
        self.layers, self.hidden = options.layers, options.hidden
        self.head_dim = min(128, self.hidden // 4)
        self.heads = self.hidden // self.head_dim
        self.kv_heads = max(1, self.heads // 4)
        self.inner = options.inner or (14336 if self.hidden == 4096 else 4 * self.hidden)
        self.vocabulary = options.vocabulary
        self.block_tokens = options.block_tokens
        self.segment_bytes = self.block_tokens * self.kv_heads * self.head_dim * 2  # bf16
        self.block_bytes = self.segment_bytes * self.layers * 2


class PagedKv:
    """kv[layer, K or V, slot, token, head, dim]: layer-first, as paged attention wants it."""

    def __init__(self, shape, slots, device):
        self.shape, self.slots = shape, slots
        self.kv = torch.zeros(shape.layers, 2, slots, shape.block_tokens, shape.kv_heads, shape.head_dim,
                              dtype=torch.bfloat16, device=device)

    def bases(self):
        return [self.kv[layer, side].data_ptr() for layer in range(self.shape.layers) for side in (0, 1)]

    def write(self, layer, first, table, k, v):
        """k, v: [tokens, heads, dim], from token `first` on; whole blocks."""
        tokens = self.shape.block_tokens
        slots = table[first // tokens:(first + k.shape[0]) // tokens]
        for side, values in ((0, k), (1, v)):
            self.kv[layer, side].index_copy_(0, slots, values.reshape(len(slots), tokens, *values.shape[1:]))

    def read(self, layer, side, count, table):
        """[count, heads, dim]; whole blocks."""
        slots = table[:count // self.shape.block_tokens]
        return self.kv[layer, side].index_select(0, slots).flatten(0, 1)


def rms(x, weight):
    return F.rms_norm(x, x.shape[-1:], weight, 1e-5) if hasattr(F, "rms_norm") else (
        x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * weight


class Model:
    """RMSNorm, RoPE, grouped-query attention, SwiGLU; bf16."""

    def __init__(self, shape, device, seed=0):
        self.shape, self.device = shape, device
        generator = torch.Generator(device=device).manual_seed(seed)

        def weight(rows, columns):
            w = torch.empty(rows, columns, dtype=torch.bfloat16, device=device)
            return w.normal_(0, columns ** -0.5, generator=generator)

        kv = shape.kv_heads * shape.head_dim
        ones = torch.ones(shape.hidden, dtype=torch.bfloat16, device=device)
        self.embedding = weight(shape.vocabulary, shape.hidden)
        self.layers = [dict(norm1=ones, norm2=ones, q=weight(shape.hidden, shape.hidden), k=weight(kv, shape.hidden),
                            v=weight(kv, shape.hidden), o=weight(shape.hidden, shape.hidden),
                            gate=weight(shape.inner, shape.hidden), up=weight(shape.inner, shape.hidden),
                            down=weight(shape.hidden, shape.inner)) for _ in range(shape.layers)]
        self.norm = ones
        self.head = weight(shape.vocabulary, shape.hidden)
        half = shape.head_dim // 2
        self.frequencies = 500000.0 ** (-torch.arange(half, device=device, dtype=torch.float32) / half)

    def turn(self, x, first):
        """RoPE of [tokens, heads, dim] whose first token stands at `first`."""
        angle = torch.arange(first, first + x.shape[0], device=self.device)[:, None].float() * self.frequencies
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        a, b = x.float().chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)

    def attend(self, q, k, v):
        """Each query sees all keys up to its own, the last query's being the last."""
        group = self.shape.heads // self.shape.kv_heads
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        queries, keys = q.shape[2], k.shape[2]
        if queries == 1:
            out = F.scaled_dot_product_attention(q, k, v)
        elif queries == keys:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            try:
                from torch.nn.attention.bias import causal_lower_right
                mask = causal_lower_right(queries, keys)
            except ImportError:
                mask = torch.ones(queries, keys, dtype=torch.bool, device=self.device).tril(keys - queries)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return out[0].transpose(0, 1).flatten(1)

    def forward(self, tokens, first, cache, table):
        """Hidden states of `tokens`, which follow `first` tokens in the cache. Whole blocks are written to it; a
        single token is not."""
        shape = self.shape
        x = F.embedding(tokens, self.embedding)
        for number, layer in enumerate(self.layers):
            h = rms(x, layer["norm1"])
            q = self.turn((h @ layer["q"].T).unflatten(-1, (shape.heads, shape.head_dim)), first)
            k = self.turn((h @ layer["k"].T).unflatten(-1, (shape.kv_heads, shape.head_dim)), first)
            v = (h @ layer["v"].T).unflatten(-1, (shape.kv_heads, shape.head_dim))
            if len(tokens) % shape.block_tokens == 0:
                cache.write(number, first, table, k, v)
            if first > 0:
                k = torch.cat((cache.read(number, 0, first, table), k))
                v = torch.cat((cache.read(number, 1, first, table), v))
            x = x + self.attend(q, k, v) @ layer["o"].T
            h = rms(x, layer["norm2"])
            x = x + (F.silu(h @ layer["gate"].T) * (h @ layer["up"].T)) @ layer["down"].T
        return x

    def prefill(self, tokens, cache, table, chunk):
        for first in range(0, len(tokens), chunk):
            self.forward(tokens[first:first + chunk], first, cache, table)

    def decode(self, token, first, cache, table):
        """The logits behind `first` cached tokens and this one."""
        return rms(self.forward(token, first, cache, table), self.norm) @ self.head.T


class Kelvin:
    """kelvin_calls.cc."""

    def __init__(self, options, shape, cache, copy="auto"):
        self.calls = ctypes.CDLL(os.path.abspath(options.library))
        for name in ("kelvin_open", "kelvin_error"):
            getattr(self.calls, name).restype = ctypes.c_void_p if name == "kelvin_open" else ctypes.c_char_p
        self.calls.kelvin_load.restype = ctypes.c_int64
        kind = "adopted" if options.device == "cpu" else 'hbm"\ncopy = "%s"\ndevice = "%s' % (copy, options.device)
        text = ('[space]\nblock_bytes = %d\nblock_tokens = %d\nmodel = "random/bf16"\n\n[[tier]]\nname = "engine"\n'
                'kind = "%s"\n\n[[tier]]\nname = "dram"\nkind = "dram"\ncapacity = %d\n'
                % (shape.block_bytes, shape.block_tokens, kind, (cache.slots + 64) * shape.block_bytes))
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write(text)
            config.flush()
            bases = (ctypes.c_uint64 * (2 * shape.layers))(*cache.bases())
            self.engine = ctypes.c_void_p(self.calls.kelvin_open(
                config.name.encode(), bases, ctypes.c_uint32(len(bases)), ctypes.c_uint64(shape.segment_bytes),
                ctypes.c_uint64(shape.segment_bytes), ctypes.c_uint32(cache.slots)))
        self.check(-1 if self.calls.kelvin_error(self.engine) else 0)

    def check(self, answer):
        if answer < 0:
            sys.exit("real_model: %s" % self.calls.kelvin_error(self.engine).decode())
        return answer

    @staticmethod
    def numbers(values):
        return (ctypes.c_uint32 * len(values))(*values)

    def call(self, name, values, *more):
        return self.check(getattr(self.calls, name)(self.engine, self.numbers(values), ctypes.c_uint64(len(values)),
                                                    *more))

    def release(self):
        self.check(self.calls.kelvin_release(self.engine))

    def close(self):
        self.calls.kelvin_close(self.engine)


def device_name(text):
    """Where torch can put tensors. An emulated GPU takes only memory that it has allocated itself."""
    if text == "cpu" or re.fullmatch(r"cuda(:\d+)?", text):
        return text
    raise argparse.ArgumentTypeError("'%s' is neither cuda:N nor cpu" % text)


def torch_device(options):
    return options.device if options.device.startswith("cuda") else "cpu"


def waiter(options):
    return torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None


def run(options, shape, model, cache, kelvin, length):
    wait = waiter(options)
    blocks = length // shape.block_tokens
    generator = random.Random(length)
    tokens = [generator.randrange(shape.vocabulary) for _ in range(blocks * shape.block_tokens + 1)]
    on_device = torch.tensor(tokens, device=model.device)
    prompt, last = tokens[:-1], on_device[-1:]
    slots = list(range(cache.slots))
    generator.shuffle(slots)
    first_slots, second_slots = slots[:blocks], slots[blocks:2 * blocks]

    def table(of):
        return torch.tensor(of, device=model.device)

    kelvin.call("kelvin_reserve", first_slots)
    here = table(first_slots)
    wait()
    start = time.monotonic()
    model.prefill(on_device[:-1], cache, here, options.chunk)
    without = model.decode(last, len(prompt), cache, here)
    wait()
    ttft_without = time.monotonic() - start

    start = time.monotonic()
    kelvin.call("kelvin_publish", prompt)
    store = time.monotonic() - start
    kelvin.call("kelvin_drop", prompt)
    cache.kv.fill_(float("nan"))
    wait()

    there = table(second_slots)
    wait()
    start = time.monotonic()
    found = kelvin.call("kelvin_load", prompt, kelvin.numbers(second_slots))
    load = time.monotonic() - start
    with_kelvin = model.decode(last, len(prompt), cache, there)
    wait()
    ttft_with = time.monotonic() - start
    kelvin.release()
    kelvin.call("kelvin_drop", prompt)
    if found != blocks:
        sys.exit("real_model: %d of %d blocks were found again" % (found, blocks))
    if bool(torch.isnan(without).any()) or not torch.equal(without, with_kelvin):
        sys.exit("real_model: FAILED: the logits of %d tokens differ" % length)
    bytes_loaded = blocks * shape.block_bytes
    result = dict(tokens=len(prompt), ttft_without_s=ttft_without, ttft_with_s=ttft_with, load_s=load, store_s=store,
                  bytes=bytes_loaded, load_bytes_per_second=bytes_loaded / load, logits_equal=True)
    print("%7d tokens: TTFT %8.3f s without, %7.3f s with (%.1f times), of which loading %.2f GB took %.3f s "
          "(%.1f GB/s); logits equal bit for bit"
          % (len(prompt), ttft_without, ttft_with, ttft_without / ttft_with, bytes_loaded / 1e9, load,
             bytes_loaded / load / 1e9), flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True, help="libkelvin_real_model.so")
    parser.add_argument("--device", type=device_name, default="cuda:0",
                        help="cuda:N, or cpu: torch there, and a tier of host memory")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--inner", type=int, default=0)
    parser.add_argument("--vocabulary", type=int, default=128256)
    parser.add_argument("--tokens", type=int, nargs="+", default=[8192, 32768, 131072])
    parser.add_argument("--block-tokens", type=int, default=16)
    parser.add_argument("--chunk", type=int, default=4096, help="tokens prefilled at a time")
    parser.add_argument("--settle", type=float, default=None,
                        help="seconds until host memory is pinned (on a GPU 20): loads are slower before")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("real_model: SKIPPED: torch sees no GPU")
    shape = Shape(options)
    if options.chunk % shape.block_tokens:
        sys.exit("real_model: --chunk must be whole blocks of %d tokens" % shape.block_tokens)
    with torch.inference_mode():
        cache = PagedKv(shape, 2 * (max(options.tokens) // shape.block_tokens), torch_device(options))
        kelvin = Kelvin(options, shape, cache)
        model = Model(shape, torch_device(options))
        print("%d layers, hidden %d, %d/%d heads; blocks of %d tokens: %d segments of %d bytes; torch %s on %s"
              % (shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.block_tokens, 2 * shape.layers,
                 shape.segment_bytes, torch.__version__,
                 torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "the CPU"))
        time.sleep(options.settle if options.settle is not None else 20 if options.device.startswith("cuda") else 0)
        # The first prompt of a process pays for what is set up once; it is not counted.
        run(options, shape, model, cache, kelvin, 4 * shape.block_tokens)
        results = [run(options, shape, model, cache, kelvin, length) for length in options.tokens]
        kelvin.close()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(dict(torch=torch.__version__, device=options.device, results=results), out, indent=1)


if __name__ == "__main__":
    main()
