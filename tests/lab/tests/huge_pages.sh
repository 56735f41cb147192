#!/usr/bin/env bash
# Arenas stand on reserved pages of 1 GiB and 2 MiB where their node has them free, and do without where it has not.
# lab: --mem 5120
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

node=/sys/devices/system/node/node0/hugepages
echo 1 >$node/hugepages-1048576kB/nr_hugepages
echo 64 >$node/hugepages-2048kB/nr_hugepages
giants=$(<$node/hugepages-1048576kB/free_hugepages)
[[ $(<$node/hugepages-2048kB/free_hugepages) -ge 16 ]] || skipped "no pages of 2 MiB could be reserved"

"$LAB_BUILD/tests/arena_test" >/run/test.log 2>&1 || failed "arena_test: $(grep -m 3 -A 6 Failure /run/test.log)"
grep -q 'OK .*Arena.ReservedPagesOfAnotherNodeAreNotCountedOn' /run/test.log || failed "nodes without pages were not tried"
checked "reserved pages of 2 MiB on node 0 are used, and not counted on for nodes 1 and 2"
if [[ $giants -ge 1 ]]; then
  grep -q 'OK .*Arena.ReservedPagesOfOneGiB' /run/test.log || failed "the page of 1 GiB was not used"
  checked "the page of 1 GiB is used, with smaller ones for the rest"
fi
"$kelvin" topo | grep -q 'reserved huge pages that are free' || failed "kelvin topo does not show them"
checked "kelvin topo names them"
