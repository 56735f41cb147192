# shellcheck shell=bash
# Inside a guest, as its only process: brings up the devices, runs the command, hands out its status, switches off.
# Sourced by lab; init leads here.

ports=/dev/virtio-ports

guest_main() {
  local port name status=0
  mkdir -p $ports
  for port in /sys/class/virtio-ports/*; do
    name=$(<"$port/name")
    if [[ -n $name ]]; then ln -sf "/dev/$(basename "$port")" "$ports/$name"; fi
  done
  exec >$ports/out 2>&1 </dev/null
  ulimit -l unlimited
  if "$LAB_SELF" bring-up-devices >/run/devices.log 2>&1; then
    (cd / && bash -c ". $LAB_RUN/command") || status=$?
  else
    echo "lab: a device of the guest did not come up:"
    tail -n 20 /run/devices.log
    status=126
  fi
  sync
  echo "$status" >$ports/status
  echo o >/proc/sysrq-trigger
  sleep 60 # until it is off: the first process must not end
}

wait_for() {
  local i
  for i in $(seq 300); do
    if compgen -G "$1" >/dev/null; then return; fi
    sleep 0.1
  done
  echo "$1 did not appear"
  return 1
}

# Traced: the log says which step failed.
bring_up_devices() {
  set -x
  local release
  release=$(uname -r)
  mkdir -p "/lib/modules/$release"
  mount --bind "$(dirname "$LAB_RUN")/kernel/lib/modules/$release" "/lib/modules/$release"
  # shellcheck disable=SC2153 # init sets it
  echo "lab$LAB_HOST" >/proc/sys/kernel/hostname
  ip link set lo up
  modprobe -a nvme virtio_net veth rdma_rxe rdma_ucm ib_uverbs
  modprobe -a cxl_acpi cxl_pci cxl_mem cxl_pmem nd_pmem dax_pmem device_dax kmem
  bring_up_link
  bring_up_cable
  bring_up_cxl
  wait_for /dev/nvme0n1
  wait_for /dev/ng0n1
}

# rxe0, on the link to the other guest.
bring_up_link() {
  ip addr add "10.77.0.$LAB_HOST/24" dev eth0
  ip link set eth0 mtu 4200 up || ip link set eth0 up
  rdma link add rxe0 type rxe netdev eth0
}

# rxe1 and rxe2, on both ends of a cable within this guest. The rules send packets for either end over the cable,
# though both addresses are local.
bring_up_cable() {
  local i other
  ip link add v1 type veth peer name v2
  ip rule add pref 100 lookup local
  ip rule del pref 0
  for i in 1 2; do
    other=$((3 - i))
    echo 1 >"/proc/sys/net/ipv4/conf/v$i/accept_local"
    echo 0 >"/proc/sys/net/ipv4/conf/v$i/rp_filter"
    ip addr add "10.78.$i.1/32" dev "v$i"
    ip link set "v$i" mtu 4200 up
    ip route add "10.78.$other.1" dev "v$i" src "10.78.$i.1" table $((100 + i))
    ip rule add pref $i iif lo to "10.78.$other.1" lookup $((100 + i))
    ip rule add pref $i oif "v$i" to "10.78.$other.1" lookup $((100 + i)) # how rdma_cm looks for its peer
    rdma link add "rxe$i" type rxe netdev "v$i"
  done
}

# From the device to a region, a namespace, a DAX device, and a NUMA node.
bring_up_cxl() {
  wait_for /sys/bus/cxl/devices/mem0
  wait_for '/sys/bus/cxl/devices/endpoint*'
  cxl create-region -t pmem -m -d decoder0.0 -w 1 mem0
  ndctl create-namespace -m devdax -M mem
  if [[ $LAB_CXL == ram ]]; then daxctl reconfigure-device -m system-ram dax0.0; fi
}
