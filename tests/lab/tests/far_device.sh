#!/usr/bin/env bash
# CXL memory that is a DAX device is mapped as it is, by one tier at a time; persistent as it is, nobody takes it unasked.
# lab: --cxl devdax
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

[[ -c /dev/dax0.0 ]] || failed "/dev/dax0.0 is not there"
"$LAB_BUILD/tests/far_memory_test" >/run/test.log 2>&1 || failed "$(grep -m 3 -A 6 Failure /run/test.log)"
grep -q 'OK .*FarMemoryHere.OfADeviceIsMapped' /run/test.log || failed "no device was mapped"
checked "/dev/dax0.0 is mapped, claimed, and keeps its bytes"

"$kelvin" topo --config /run/topo.toml >/run/topo.txt
cat /run/topo.txt
grep -q '/dev/dax0.0.*devdax.*persistent' /run/topo.txt || failed "kelvin topo does not show the device"
! grep -q '^device.*dax' /run/topo.toml || failed "the config takes persistent memory unasked"
grep -q '# /dev/dax0.0 is persistent' /run/topo.toml || failed "the config does not say why there is no cxl tier"
checked "kelvin topo shows the device, and leaves it alone: it is persistent"

write_config /run/config.toml
sed -i -e "s|$mount_point/blocks|/dev/nvme0n1|" -e 's|"16MiB"|"8MiB"|' /run/config.toml
awk '/^name *= "nvme"/ { print "name = \"cxl\"\nkind = \"cxl\"\ndevice = \"/dev/dax0.0\"\ncapacity = \"16MiB\"\n\n[[tier]]" } { print }' \
  /run/config.toml >/run/far.toml
new_trace /run/trace 150 rag
replay /run/trace /run/far.toml /run/report
right_or_fail /run/report
[[ $(figure /run/report cxl) -gt 0 ]] || failed "nothing came back from the device"
checked "$(figure /run/report checked) blocks verified, $(figure /run/report cxl) of them from /dev/dax0.0"
