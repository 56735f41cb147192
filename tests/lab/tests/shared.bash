# shellcheck shell=bash
# What the lab's tests share: how they speak, a file system on the drive, a replay over it, and its report.
#
# A test sources this first. It runs in a guest, in the project's folder; LAB is the command
# `lab`, LAB_BUILD the build folder, LAB_SCRATCH a folder of the host's for this test alone, which a power cut leaves
# as it is.
set -euo pipefail

kelvin=$LAB_BUILD/src/cli/kelvin
mount_point=/run/drive
hung_after_s=300
export LC_ALL=C.UTF-8

checked() { printf 'ok: %s\n' "$*"; }
failed() {
  printf 'FAILED: %s\n' "$*"
  exit 1
}
skipped() {
  printf 'skipped: %s\n' "$*"
  exit 77
}
# until_it_works COMMAND...: again and again for a minute or so, as on a busy machine the other side may come late.
until_it_works() {
  for _ in $(seq 60); do
    if "$@" >/run/tried.log 2>&1; then return; fi
    sleep 1
  done
  failed "$*: $(tail -n 3 /run/tried.log)"
}
trap 'failed "${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND"' ERR

# --- the drive ---------------------------------------------------------------------------------------------

new_file_system() {
  mkfs.ext4 -q -F /dev/nvme0n1
  mount_drive
}

mount_drive() {
  mkdir -p "$mount_point"
  mount -t ext4 /dev/nvme0n1 "$mount_point"
}

mib_written() { awk '{ print int($7 / 2048) }' /sys/block/nvme0n1/stat; }

# sectors_of FILE COUNT: so many sectors of the drive, evenly over the parts of FILE that have been written.
sectors_of() {
  filefrag -v -b4096 "$1" | tr -d ':.' | awk -v count="$2" '
    $1 ~ /^[0-9]+$/ && !/unwritten/ { at[++extents] = $4; blocks[extents] = $6; all += $6 }
    END {
      for (i = 0; i < count; i++) {
        block = int(all * (i + 0.5) / count)
        for (e = 1; block >= blocks[e]; e++) block -= blocks[e]
        print (at[e] + block) * 8
      }
    }'
}

# --- a replay ----------------------------------------------------------------------------------------------

# Host memory for few requests over a file for half of the trace's blocks: most of what is found has to come back
# from the drive. write_config FILE
write_config() {
  cat >"$1" <<CONFIG
[space]
block_bytes = "64KiB"
model       = "lab"

[[tier]]
name     = "dram"
kind     = "dram"
capacity = "16MiB"

[[tier]]
name     = "nvme"
kind     = "nvme"
path     = "$mount_point/blocks"
capacity = "512MiB"
direct   = "on"

[policy]
name = "lru"
CONFIG
}

# new_trace FILE REQUESTS [KIND]: chats, or another kind; the same ones each time.
new_trace() { "$kelvin" trace gen --kind "${3:-chat}" --requests "$2" --seed 1 --out "$1"; }

# replay TRACE CONFIG REPORT: its output goes to REPORT, its figures to REPORT.json, its exit status to REPORT.status.
# One that does not end by itself is hung: no drive here takes that long.
replay() {
  local status=0
  timeout -k 5 "$hung_after_s" "$kelvin" replay "$1" --config "$2" --json "$3.json" >"$3" 2>&1 </dev/null ||
    status=$?
  echo "$status" >"$3.status"
}

# start_replay TRACE CONFIG REPORT MIB: in the background; returns once that much more has been written to the drive.
start_replay() {
  local from=$((10#$(mib_written)))
  replay "$1" "$2" "$3" &
  # shellcheck disable=SC2034 # for the test to wait for
  replay_pid=$!
  while [[ $(($(mib_written) - from)) -lt $4 ]]; do
    [[ ! -e $3.status ]] || failed "the replay ended before it had written $4 MiB: $(<"$3")"
    sleep 0.1
  done
}

# figure REPORT NAME: a number from the report, such as corrupt or load_failures.
figure() { sed -n "s/^ *\"$2\": \([0-9.]*\),*$/\1/p" "$1.json" | head -n 1; }

# link_failures REPORT: of both links together.
link_failures() { awk '/^link /, /^$/ { if ($1 ~ />/) sum += $4 } END { print sum + 0 }' "$1"; }

# right_or_fail REPORT: it ended by itself, it checked blocks, and every one was as it had been written.
right_or_fail() {
  local status
  cat "$1"
  status=$(<"$1.status")
  [[ $status != 124 && $status != 137 ]] || failed "the replay hung, and was ended after $hung_after_s s"
  [[ $status == 0 ]] || failed "the replay exited with $status"
  [[ $(figure "$1" corrupt) == 0 ]] || failed "$(figure "$1" corrupt) blocks were corrupt"
  [[ $(figure "$1" checked) -gt 0 ]] || failed "no block was checked"
}
