#!/usr/bin/env bash
# A guest has the devices that README.md promises.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

node=/sys/devices/system/node

[[ -b /dev/nvme0n1 ]] || failed "/dev/nvme0n1 is no block device"
[[ -c /dev/ng0n1 ]] || failed "/dev/ng0n1 is no character device"
dd if=/dev/zero of=/dev/nvme0n1 bs=1M count=4 oflag=direct status=none
checked "/dev/nvme0n1, $(($(<"/sys/block/nvme0n1/size") / 2048)) MiB, takes direct writes; /dev/ng0n1"

has_memory_alone() { [[ -z $(<"$node/node$1/cpulist") ]] && grep -q 'MemTotal: *[1-9]' "$node/node$1/meminfo"; }
has_memory_alone 1 || failed "node 1 has no memory, or CPUs"
checked "node 1 is far memory, at distances $(<$node/node1/distance)"

has_memory_alone 2 || failed "node 2 has no memory, or CPUs"
[[ -e /sys/bus/cxl/devices/mem0 ]] || failed "there is no CXL memory device"
checked "node 2 is CXL memory, at distances $(<$node/node2/distance)"

for device in rxe0 rxe1 rxe2; do
  grep -q ACTIVE "/sys/class/infiniband/$device/ports/1/state" || failed "RDMA device $device is not active"
done
ibv_rc_pingpong -d rxe1 -g 1 -p 18515 -c -n 50 >/run/server.log 2>&1 &
server=$!
until_it_works ibv_rc_pingpong -d rxe2 -g 1 -p 18515 -c -n 50 10.78.1.1
wait $server || failed "RDMA from rxe2 to rxe1: $(</run/server.log)"
checked "rxe0, rxe1 and rxe2 are active; 50 messages between rxe1 and rxe2 arrived as they were sent"
