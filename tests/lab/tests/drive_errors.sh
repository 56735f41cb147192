#!/usr/bin/env bash
# Reads and writes fail in the middle of a replay: of some sectors, every read, every write. The replay ends by itself,
# and gives no wrong byte; the tier may go offline.
# shellcheck source=shared.bash
source "$(dirname "${BASH_SOURCE[0]}")/shared.bash"

write_config /run/config.toml
new_trace /run/trace 800

# replay_with_errors NAME WHAT...: on a new file system, as errors may end one.
replay_with_errors() {
  local name=$1 report=/run/$1
  shift
  new_file_system
  start_replay /run/trace /run/config.toml "$report" 100
  if [[ $1 == sectors ]]; then
    mapfile -t sectors < <(sectors_of "$mount_point/blocks" "$2")
    set -- "${sectors[@]}"
  fi
  "$LAB" fault drive-errors "$@" >/dev/null
  wait "$replay_pid"
  "$LAB" fault drive-well >/dev/null
  umount "$mount_point"
  right_or_fail "$report"
  [[ $(link_failures "$report") -gt 0 ]] || failed "$name: no copy failed, so nothing was tested"
  checked "$name: $(link_failures "$report") copies failed, $(figure "$report" load_failures) loads;" \
    "$(figure "$report" checked) blocks verified, 0 corrupt; tiers offline: $(grep -c OFFLINE "$report" || true)"
}

replay_with_errors some-sectors sectors 16
replay_with_errors every-read read
replay_with_errors every-write write
