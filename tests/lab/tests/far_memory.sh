#!/usr/bin/env bash
# Tiers take CXL memory as a node, by mbind and by memkind, and at least 99 % of their pages lie there; slots that are
# spread over nodes lie each on its own.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

for test in machine_test far_memory_test; do
  "$LAB_BUILD/tests/$test" >/run/$test.log 2>&1 || failed "$test: $(grep -m 3 -B 2 -A 6 Failure /run/$test.log)"
done
ran() { grep -q "OK .*$1" /run/far_memory_test.log; }
ran FarMemoryHere.TakenByMbindLiesOnItsNode || failed "nothing was taken by mbind"
ran FarMemoryHere.OfADeviceInTheWrongModeIsRefused || failed "the device's mode was not looked at"
checked "memory of the CXL node by mbind: 99 % of its pages or more on node 2"
if ran FarMemoryHere.TakenByMemkindLiesOnItsNode; then
  checked "the same by memkind"
else
  checked "memkind: $(grep -m 1 -A 1 TakenByMemkind /run/far_memory_test.log | tail -n 1)"
fi
"$LAB_BUILD/tests/growth_test" --gtest_filter='HostTierPlacement.*' >/run/growth.log 2>&1 ||
  failed "growth_test: $(tail -n 5 /run/growth.log)"
checked "slots that take turns among nodes lie where they should"
