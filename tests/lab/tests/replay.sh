#!/usr/bin/env bash
# A replay over host memory and a file on an NVMe drive, direct I/O and all: every byte comes back as it was written.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

new_file_system
write_config /run/config.toml
new_trace /run/trace 800
replay /run/trace /run/config.toml /run/report
right_or_fail /run/report
[[ $(figure /run/report nvme) -gt 0 ]] || failed "nothing came back from the drive"
[[ $(link_failures /run/report) == 0 ]] || failed "copies failed on a drive that works"
checked "$(figure /run/report checked) blocks verified, $(figure /run/report nvme) of them from the drive, 0 corrupt"
