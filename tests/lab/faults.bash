# shellcheck shell=bash
# What can go wrong with a guest's hardware, done from inside the guest through its own QEMU. Sourced by lab.

faults_usage() {
  cat <<'USAGE'
usage: lab fault NAME [VALUE...], within a guest

  power-cycle                      the power is cut, now; the guest boots again on the same drive, and the same command
                                   starts again, with LAB_BOOT one higher (it is 1 at first)
  drive-slow BYTES_PER_S [IOPS]    the drive does no more than that (0: no limit)
  drive-errors WHAT...             these fail from now on: read, write, or a SECTOR (512 bytes) by number
  drive-well                       neither slow nor failing any more
  drive-gone                       the drive is unplugged
  drive-back                       it is plugged in again, with its contents
  link-down, link-up               the cable between the guests
USAGE
}

# qmp JSON...: sends commands to this guest's QEMU, prints the answers; fails if one is an error.
qmp() {
  local request answer status=0
  exec 3<>/dev/virtio-ports/qmp
  for request in '{"execute":"qmp_capabilities"}' "$@"; do
    echo "$request" >&3
    while read -r answer <&3; do # events come in between
      if [[ $answer == *'"return"'* || $answer == *'"error"'* ]]; then break; fi
    done
    # Only the first call since the guest booted negotiates; for later ones that is an error.
    [[ $request != *qmp_capabilities* ]] || continue
    echo "$answer"
    [[ $answer != *'"error"'* ]] || status=1
  done
  exec 3>&-
  return "$status"
}

# What the command asked for stands in the status before the power goes.
power_cycle() {
  echo power-cycle >/dev/virtio-ports/status
  qmp '{"execute":"quit"}' >/dev/null
  sleep 60
}

drive_slow() {
  qmp "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/drive-limits\",\"property\":\"limits\",
    \"value\":{\"bps-total\":$1,\"iops-total\":${2:-0}}}}"
}

# drive_over NODE: the drive reads and writes through this node from now on.
drive_over() {
  qmp "{\"execute\":\"blockdev-reopen\",\"arguments\":{\"options\":[{\"driver\":\"throttle\",\"node-name\":\"drive\",
    \"throttle-group\":\"drive-limits\",\"file\":\"$1\"}]}}"
}

# A raw node over the failing one: it tells that one of each read and write, which rules wait for.
drive_errors() {
  local what event rules='' node=failing-$$
  [[ $# -gt 0 ]] || die "drive-errors: of what? read, write, or sectors"
  for what in "$@"; do
    for event in read write; do
      if [[ $what == "$event" ]]; then
        rules+="{\"event\":\"${event}_aio\",\"iotype\":\"$event\",\"errno\":5},"
      elif [[ $what =~ ^[0-9]+$ ]]; then
        rules+="{\"event\":\"${event}_aio\",\"iotype\":\"$event\",\"errno\":5,\"sector\":$what},"
      fi
    done
  done
  qmp "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"node-name\":\"$node\",\"file\":
    {\"driver\":\"blkdebug\",\"image\":\"drive-raw\",\"inject-error\":[${rules%,}]}}}" && drive_over "$node"
}

inject_fault() {
  local name=${1:-help}
  [[ $# -eq 0 ]] || shift
  case $name in
    help) faults_usage ;;
    power-cycle) power_cycle ;;
    drive-slow) drive_slow "$@" ;;
    drive-errors) drive_errors "$@" ;;
    drive-well) drive_slow 0 0 && drive_over drive-raw ;;
    drive-gone) qmp '{"execute":"device_del","arguments":{"id":"nvme0"}}' ;;
    drive-back)
      qmp "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",\"id\":\"nvme0\",
        \"serial\":\"lab$LAB_HOST\",\"drive\":\"drive\",\"bus\":\"drive-port\"}}"
      ;;
    link-down) qmp '{"execute":"set_link","arguments":{"name":"net0","up":false}}' ;;
    link-up) qmp '{"execute":"set_link","arguments":{"name":"net0","up":true}}' ;;
    *)
      faults_usage >&2
      die "there is no fault '$name'"
      ;;
  esac
}
