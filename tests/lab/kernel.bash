# shellcheck shell=bash
# The kernel that guests boot: Debian's own, downloaded and unpacked into LAB_HOME, never installed; and the small
# first root file system that leads from it to this machine's files. Sourced by lab.

lab_tools="qemu-system-x86_64:qemu-system-x86 busybox:busybox-static modprobe:kmod cpio:cpio xz:xz-utils ip:iproute2
  cxl:ndctl daxctl:daxctl mkfs.ext4:e2fsprogs ibv_devinfo:ibverbs-utils"

# What a guest needs before it can see this machine's files; all else is loaded from there.
boot_modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay)

unavailable() {
  printf 'lab: there can be no lab here: %s\n' "$*" >&2
  exit 77
}

check_tools() {
  local tool missing=()
  [[ $(uname -m) == x86_64 ]] || unavailable "guests are x86-64 machines, and this is $(uname -m)"
  for tool in $lab_tools; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
  done
  [[ ${#missing[@]} -eq 0 ]] || unavailable "these packages are missing: ${missing[*]} (./dev install-deps lab)"
}

# Sets kernel and release. The first call downloads 70 MB and unpacks 500 MB.
set_up_kernel() {
  check_tools
  mkdir -p "$LAB_HOME" || unavailable "$LAB_HOME cannot be made; set LAB_HOME to a folder with 2 GB of room"
  kernel=$LAB_HOME/kernel
  (
    flock 9
    [[ -e $kernel/vmlinux ]] || unpack_kernel
  ) 9>"$LAB_HOME/lock"
  release=$(basename "$kernel"/lib/modules/*)
}

unpack_kernel() {
  local package new=$LAB_HOME/kernel.new
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
  [[ -n $package ]] || unavailable "apt knows no package linux-image-amd64 (Debian has it; is apt's list empty?)"
  rm -rf "$new"
  mkdir -p "$new"
  echo "lab: downloading $package (once)" >&2
  (cd "$new" && apt-get -qq -o Acquire::Retries=3 download "$package" 2>download.log) ||
    unavailable "$package could not be downloaded: $(tail -n 1 "$new/download.log")"
  dpkg -x "$new/$package"_*.deb "$new"
  rm "$new/$package"_*.deb
  depmod -b "$new" "$(basename "$new"/lib/modules/*)"
  unpack_image "$new"/boot/vmlinuz-* "$new/vmlinux"
  rm -rf "$kernel"
  mv "$new" "$kernel"
}

# The image unpacks itself at boot too, but that takes an emulated CPU seconds each time.
unpack_image() {
  local image=$1 to=$2 at
  at=$(LC_ALL=C grep -aboP '\xfd7zXZ\x00' "$image" | head -n 1 | cut -d: -f1) || true
  if [[ -n $at ]]; then tail -c +$((at + 1)) "$image" | xz -dcq --single-stream >"$to" || true; fi # junk follows
  if [[ $(head -c 4 "$to" 2>/dev/null) != $'\x7fELF' ]]; then cp "$image" "$to"; fi
}

make_initrd() {
  local root=$run/initrd.root module name
  mkdir -p "$root"/{proc,sys,dev,low,up,root,modules}
  cp "$(command -v busybox)" "$root/busybox"
  cp "$parts/init" "$root/init"
  printf 'LAB_SELF=%q\nLAB_RUN=%q\nLAB_CWD=%q\n' "$LAB_SELF" "$run" "$PWD" >"$root/paths"
  modprobe -a -d "$kernel" -S "$release" --show-depends "${boot_modules[@]}" |
    awk '/^insmod/ && !seen[$2]++ { print $2 }' | while read -r module; do
    name=$(basename "$module" .xz)
    if [[ $module == *.xz ]]; then xz -dc "$module"; else cat "$module"; fi >"$root/modules/$name"
    echo "/modules/$name"
  done >"$root/order"
  (cd "$root" && find . | cpio -o -H newc --quiet) >"$1"
  rm -rf "$root"
}
