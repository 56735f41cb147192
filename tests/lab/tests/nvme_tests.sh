#!/usr/bin/env bash
# The project's own tests of the NVMe tier pass on a drive: with their scratch files on ext4 on /dev/nvme0n1.
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

found=no
for test in "$built"/tests/*nvme*_test; do
  [[ -x $test ]] || continue
  found=yes
  "$test" >/run/test.log 2>&1 </dev/null || {
    cat /run/test.log
    failed "$(basename "$test"), on the drive"
  }
  checked "$(basename "$test"): $(sed -n 's/^\[  PASSED  \] //p' /run/test.log)"
  why_skipped /run/test.log
done
[[ $found == yes ]] || failed "no test of the NVMe tier was built in $LAB_BUILD/tests"
[[ $(mib_written) -gt 0 ]] || failed "nothing was written to the drive: the scratch files were elsewhere"
checked "$(mib_written) MiB were written to /dev/nvme0n1"
