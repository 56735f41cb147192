#!/usr/bin/env bash
# How fast the lab is: the same small measurements on this machine and, through `lab run`, in a guest. README.md shows
# what they gave. They say what tests can afford, nothing about real hardware. Needs fio and python3.
#
#   tests/lab/measure.sh; tests/lab/lab run -- tests/lab/measure.sh
set -euo pipefail
export LC_ALL=C.UTF-8

# best COMMAND...: the shortest of three runs, in ms.
best() {
  local start
  for _ in 1 2 3; do
    start=$(date +%s%N)
    "$@" >/dev/null 2>&1
    echo $((($(date +%s%N) - start) / 1000000))
  done | sort -n | head -n 1
}

row() { printf '%-48s %s\n' "$1" "$2"; }

integers() { python3 -c 'sum(i * i % 7 for i in range(4000000))'; }
floats() { awk 'BEGIN { for (i = 1; i < 4000000; i++) s += sqrt(i) / i; print s }'; }
copies() { python3 -c 'a = bytearray(64 << 20); [a[:] for _ in range(16)]'; }
replay() { "$kelvin" replay "$folder/trace" --config "$folder/config"; }

fio_row() { # fio_row NAME OPTION...
  local name=$1
  shift
  row "$name" "$(fio --name=x --readonly --rw=randread --size=512M --runtime=5 --time_based --output-format=terse \
    --terse-version=3 "$@" | awk -F';' '{ printf "%d MiB/s, %d IOPS", $7 / 1024, $8 }')"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
kelvin=build/src/cli/kelvin
row "integers (Python), ms" "$(best integers)"
row "floating point (awk), ms" "$(best floats)"
row "1 GiB of memory copies (Python), ms" "$(best copies)"
if [[ -x $kelvin ]]; then
  "$kelvin" trace gen --kind chat --requests 500 --seed 1 --out "$folder/trace"
  printf '[[tier]]\nname = "dram"\nkind = "dram"\ncapacity = "256MiB"\n' >"$folder/config"
  row "kelvin replay, 500 chats over 256 MiB of DRAM, ms" "$(best replay)"
fi
[[ -n ${LAB_HOST:-} ]] || exit 0

if command -v fio >/dev/null; then
  dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=512 oflag=direct status=none
  direct=(--direct=1 --ioengine=io_uring --filename=/dev/nvme0n1)
  passthrough=(--ioengine=io_uring_cmd --cmd_type=nvme --filename=/dev/ng0n1)
  for bytes in 64k 4k; do
    fio_row "/dev/nvme0n1, io_uring, reads of $bytes, depth 16" "${direct[@]}" --bs=$bytes --iodepth=16
    fio_row "/dev/ng0n1, io_uring_cmd, reads of $bytes, depth 16" "${passthrough[@]}" --bs=$bytes --iodepth=16
  done
fi
# A file system in the memory of one node.
for node in 0 1 2; do
  mkdir -p "$folder/node"
  mount -t tmpfs -o "mpol=bind:$node,size=32M" node "$folder/node"
  row "8 MiB written to memory of node $node, ms" "$(best dd if=/dev/zero of="$folder/node/file" bs=64k count=128)"
  umount "$folder/node"
done
ibv_rc_pingpong -d rxe1 -g 1 -s 65536 -n 200 >/dev/null 2>&1 &
sleep 3
row "RDMA rxe1 to rxe2 and back, 64 KiB" \
  "$(ibv_rc_pingpong -d rxe2 -g 1 -s 65536 -n 200 10.78.1.1 | awk '/Mbit/ { print int($7 / 8), "MB/s" }')"
