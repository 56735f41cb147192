#!/usr/bin/env bash
# The power goes while a replay writes to the bare drive by commands of its own. After the next boot the blocks are
# found again, also through the block device, and none of them is wrong.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

write_config /run/commands.toml
sed -i "s|^path .*|path = \"/dev/ng0n1\"|" /run/commands.toml
sed "s|/dev/ng0n1|/dev/nvme0n1|" /run/commands.toml >/run/block.toml
new_trace /run/trace 800
case $LAB_BOOT in
  1)
    # The block device does not count commands; the drive's interrupts do.
    interrupts() {
      awk '/nvme0q/ { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts
    }
    from=$(interrupts)
    replay /run/trace /run/commands.toml /run/report &
    while [[ $(($(interrupts) - from)) -lt 2000 ]]; do
      [[ ! -e /run/report.status ]] || failed "the replay was over too early: $(</run/report)"
      sleep 0.1
    done
    checked "the power goes in the middle of the replay, after $(($(interrupts) - from)) interrupts of the drive"
    "$LAB" fault power-cycle
    ;;
  *)
    "$kelvin" nvme fsck /dev/ng0n1 --dry-run --json /run/fsck.json >/run/fsck.log || cat /run/fsck.log
    "$kelvin" nvme info /dev/nvme0n1
    for device in block commands; do
      replay /run/trace "/run/$device.toml" /run/report
      right_or_fail /run/report
      [[ $(figure /run/report nvme) -gt 0 ]] || failed "nothing came back from the drive"
      checked "$device: $(figure /run/report checked) blocks verified, $(figure /run/report nvme) of them from the" \
        "drive; 0 corrupt"
    done
    ;;
esac
