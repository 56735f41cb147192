#!/usr/bin/env bash
# The project's own tests of the NVMe tier pass on a drive: with their scratch files on ext4 on /dev/nvme0n1. Those that
# pretend a drive or compute much are left out: here they would show the same again, at a tenth of the speed.
#
# They make their files in the build folder; so in this guest the drive is mounted over it, and what was built is
# seen elsewhere.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

built=/run/built
mkdir "$built"
mount --bind "$LAB_BUILD" "$built"
mount_point=$LAB_BUILD
new_file_system

# GoogleTest says the reason one line above the name.
why_skipped() {
  awk '/^\[  SKIPPED \].* ms\)$/ { count[last]++ }
    { last = $0 }
    END { for (why in count) print "ok: " count[why] " skipped: " why }' "$1"
}

for name in comeback conformance fallback full link lost_device stripe tier unfinished; do
  test=$built/tests/nvme_${name}_test
  [[ -x $test ]] || failed "there is no $test"
  start=$SECONDS
  "$test" >/run/test.log 2>&1 </dev/null || {
    cat /run/test.log
    failed "$(basename "$test"), on the drive"
  }
  checked "$(basename "$test"): $(sed -n 's/^\[  PASSED  \] //p' /run/test.log), $((SECONDS - start)) s"
  why_skipped /run/test.log
done
[[ $(mib_written) -gt 0 ]] || failed "nothing was written to the drive: the scratch files were elsewhere"
checked "$(mib_written) MiB were written to /dev/nvme0n1"
