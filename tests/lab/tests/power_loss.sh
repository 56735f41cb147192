#!/usr/bin/env bash
# The power goes while a replay writes to the drive. After the next boot the file system mounts, and a replay over the
# same file gives no wrong byte.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

write_config /run/config.toml
new_trace /run/trace 800
case $LAB_BOOT in
  1)
    new_file_system
    start_replay /run/trace /run/config.toml /run/report 100
    [[ ! -e /run/report.status ]] || failed "the replay was over already"
    checked "the power goes in the middle of the replay, $(mib_written) MiB written"
    "$LAB" fault power-cycle
    ;;
  *)
    mount_drive
    [[ -s $mount_point/blocks ]] || failed "the file of blocks is gone"
    checked "the file system mounts, and the file of blocks is there"
    replay /run/trace /run/config.toml /run/report
    right_or_fail /run/report
    [[ $(figure /run/report nvme) -gt 0 ]] || failed "nothing came back from the drive"
    checked "$(figure /run/report checked) blocks verified, $(figure /run/report nvme) of them from the drive;" \
      "0 corrupt"
    ;;
esac
