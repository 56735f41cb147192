# shellcheck shell=bash
# One guest as QEMU sees it, and its life from the host's side: booted, watched, booted again after a power cut.
# Sourced by lab, whose options (hosts, cpus, mem_mib, ...) it reads.

cxl_mib=512
max_boots=20 # a command that cuts the power each time must end some time

# A /dev/kvm that opens is no proof: where the CPU offers no virtualisation, an interpreter may be behind it.
accelerator() {
  if grep -qwE 'vmx|svm' /proc/cpuinfo && [[ -w /dev/kvm ]]; then
    echo kvm
  else
    echo tcg,thread=multi
  fi
}

# machine_arguments ID BOOT IMAGE: sets `machine`.
machine_arguments() {
  local id=$1 boot=$2 image=$3 mine=$run/$1 far=$((mem_mib / 4))
  # shellcheck disable=SC2054 # the commas are QEMU's
  machine=(
    -accel "$(accelerator)" -cpu max,-erms,-fsrm -display none -nodefaults -no-reboot -pidfile "$mine/pid"
    -M q35,cxl=on,hmat=on,cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G
    -smp "$cpus" -m "${mem_mib}M,maxmem=16G,slots=4"
    # Near and far memory, with distances (SLIT), latency and bandwidth (HMAT).
    -object "memory-backend-ram,id=near,size=$((mem_mib - far))M"
    -object "memory-backend-ram,id=far,size=${far}M"
    -numa "node,nodeid=0,cpus=0-$((cpus - 1)),memdev=near,initiator=0" -numa node,nodeid=1,memdev=far,initiator=0
    -numa dist,src=0,dst=1,val=15 -numa dist,src=1,dst=0,val=15
    -numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-latency,latency=100
    -numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-bandwidth,bandwidth=100G
    -numa hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-latency,latency=300
    -numa hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-bandwidth,bandwidth=30G
    # The drive reads and writes through the throttle "drive", which faults.bash hangs over other nodes.
    -object throttle-group,id=drive-limits
    # What is discarded is gone, and reads as zeros.
    -blockdev "driver=file,node-name=drive-file,filename=$image,discard=unmap"
    -blockdev driver=raw,node-name=drive-raw,file=drive-file,discard=unmap
    -blockdev driver=throttle,node-name=drive,throttle-group=drive-limits,file=drive-raw,discard=unmap
    -device pcie-root-port,id=drive-port,chassis=1,slot=3
    -device "nvme,id=nvme0,serial=lab$id,drive=drive,bus=drive-port"
    # A cable between the two guests: a pair of sockets.
    -netdev "dgram,id=net0,local.type=unix,local.path=$run/net$id,remote.type=unix,remote.path=$run/net$((3 - id))"
    -device "virtio-net-pci,netdev=net0,mac=52:54:00:77:00:0$id"
    # The host's files; the output and status of the command; and a line from the guest to its own QEMU.
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap
    -virtfs "local,path=$PWD,mount_tag=folder,security_model=none,multidevs=remap"
    -device virtio-serial
    -chardev file,id=out,path=/dev/stdout -device virtserialport,chardev=out,name=out
    -chardev "file,id=status,path=$mine/status" -device virtserialport,chardev=status,name=status
    -chardev "socket,id=monitor,path=$mine/qmp,server=on,wait=off" -mon chardev=monitor,mode=control
    -chardev "socket,id=line,path=$mine/qmp" -device virtserialport,chardev=line,name=qmp
    -chardev "file,id=console,path=$mine/console" -serial chardev:console
    # CXL memory. Last, as QEMU would plug later devices into its bus; with two root ports, as below a sole one
    # Linux programs no decoder, and QEMU 7.2 then drops every write.
    -object "memory-backend-file,id=cxl-memory,share=on,mem-path=$mine/cxl.memory,size=${cxl_mib}M"
    -object "memory-backend-file,id=cxl-labels,share=on,mem-path=$mine/cxl.labels,size=256K"
    -device pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1
    -device cxl-rp,port=0,bus=cxl.1,id=cxl-port0,chassis=0,slot=2
    -device cxl-rp,port=1,bus=cxl.1,id=cxl-port1,chassis=0,slot=4
    -device cxl-type3,bus=cxl-port0,memdev=cxl-memory,lsa=cxl-labels,id=cxl0
    -kernel "$kernel/vmlinux" -initrd "$run/initrd"
    -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr cryptomgr.notests random.trust_cpu=on \
lab.host=$id lab.boot=$boot lab.cxl=$cxl"
  )
}

# boot_guest ID BOOT IMAGE: until it is off. Leaves in its status file what the command gave, or nothing.
boot_guest() {
  local id=$1 mine=$run/$1
  rm -f "$mine"/cxl.* "$mine"/qmp "$run/net$id"
  truncate -s "${cxl_mib}M" "$mine/cxl.memory"
  truncate -s 256K "$mine/cxl.labels"
  : >"$mine/status"
  machine_arguments "$@"
  timeout -k 5 "$timeout_s" qemu-system-x86_64 "${machine[@]}" </dev/null 2>"$mine/qemu.err" |
    if [[ $hosts == 1 ]]; then cat; else sed -u "s/^/$id: /"; fi
}

# run_guest ID: boots it, again after each power cut; returns the command's status.
run_guest() {
  local id=$1 mine=$run/$1 image=${drive:-$run/drive}$1.img boot=0 status
  mkdir -p "$mine"
  [[ -e $image ]] || truncate -s "${drive_mib}M" "$image"
  while [[ $((boot += 1)) -le $max_boots ]]; do
    status=0
    boot_guest "$id" "$boot" "$image" || status=$?
    if [[ ! -s $mine/status ]]; then
      why_died "$id" "$status"
      return
    fi
    [[ $(<"$mine/status") == power-cycle ]] || return "$(<"$mine/status")"
  done
  die "guest $id cut its power at each of $max_boots boots"
}

why_died() {
  local mine=$run/$1
  if [[ $2 == 124 || $2 == 137 ]]; then
    echo "lab: guest $1 was ended after $timeout_s s (--timeout)" >&2
    return 124
  fi
  echo "lab: guest $1 died; its console and QEMU said last:" >&2
  tail -q -n 5 "$mine/console" "$mine/qemu.err" >&2 || true
  return 125
}
