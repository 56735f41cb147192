#!/usr/bin/env bash
# kelvin topo finds host memory, CXL memory and the drive, and proposes them as tiers in this order; a replay over what
# it wrote, made smaller, gives no wrong byte.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

"$kelvin" topo --config /run/topo.toml --json /run/topo.json
"$kelvin" config check /run/topo.toml
cat /run/topo.toml
kinds=$(sed -n 's/^kind *= "\(.*\)"/\1/p' /run/topo.toml | xargs)
[[ $kinds == 'dram cxl nvme' ]] || failed "the tiers proposed are: $kinds"
grep -q '^device *= "node2"' /run/topo.toml || failed "the CXL tier is not on node 2"
grep -q '^path *= "/dev/nvme0n1"' /run/topo.toml || failed "the nvme tier is not on the drive"
checked "kelvin topo --config proposes dram, cxl (node 2), nvme (/dev/nvme0n1)"

# Emulated CXL memory is slow, and a trace must reach the drive: small tiers, small blocks.
capacities=(8MiB 24MiB 256MiB)
awk -v sizes="${capacities[*]}" 'BEGIN { split(sizes, size, " ") }
  /^capacity/ { $0 = "capacity = \"" size[++n] "\"" } /^block_bytes/ { $0 = "block_bytes = \"64KiB\"" } { print }' \
  /run/topo.toml >/run/small.toml
new_trace /run/trace 150 rag
replay /run/trace /run/small.toml /run/report
right_or_fail /run/report
for tier in cxl nvme; do
  [[ $(figure /run/report $tier) -gt 0 ]] || failed "nothing came back from $tier"
done
checked "$(figure /run/report checked) blocks verified: $(figure /run/report cxl) from cxl," \
  "$(figure /run/report nvme) from nvme; 0 corrupt"

start=$SECONDS
"$kelvin" topo --measure --config /run/measured.toml >/run/measured.txt
cat /run/measured.txt
grep -q '^load_bandwidth' /run/measured.toml || failed "the config has no measured speed"
"$kelvin" config check /run/measured.toml
checked "kelvin topo --measure put the speed of dram>cxl and back into the config, in $((SECONDS - start)) s all in all"
