#!/usr/bin/env bash
# Debian's kernel attaches the key as a USB device: vhci-hcd, usbhid and hidraw in an emulated machine, and Debian's `usbip`,
# with `keyfob serve --usbip` on this machine. libfido2's tools use the key; it is detached, attached again, pulled, and
# attached by two.
#
# The emulated machine needs no rights and no KVM. Its root is this machine's, read-only, under a file system in memory.
#
# Needs: Linux on x86-64, Rust; Debian's qemu-system-x86, usbip, fido2-tools, busybox-static, cpio, kmod and iproute2, which
# this script installs if it may; and Debian's package of its kernel once, of which 70 MB are downloaded and nothing is
# installed. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the kernel is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "the emulated machine has this machine's root: it is for Linux on x86-64"; exit 77; }
need_debian qemu-system-x86_64:qemu-system-x86 usbip:usbip fido2-token:fido2-tools busybox:busybox-static cpio:cpio \
    modprobe:kmod ip:iproute2 dpkg-deb:dpkg
need_keyfob

# Seconds. A machine with other work to do needs a third of this.
limit=600

# need_kernel: sets KERNEL to Debian's kernel and MODULES to a folder with its modules, kept for the next run.
need_kernel() {
    local package folder
    [ -n "$(apt-cache show linux-image-amd64 2>/dev/null)" ] || apt-get update </dev/null >/dev/null 2>&1 || true
    package=$(apt-cache show linux-image-amd64 2>/dev/null | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
    keep debian-kernel
    folder=$KEPT/$package
    if [ ! -e "$folder/whole" ]; then
        [ -n "$package" ] || { echo "Debian's linux-image-amd64 is not available"; exit 77; }
        echo "downloading $package"
        rm -rf "$KEPT"
        mkdir -p "$folder"
        (cd "$folder" && apt-get download "$package") >/dev/null 2>&1 || { echo "Debian does not give $package"; exit 77; }
        dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -x -C "$folder" --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' \
            './lib/modules/*/kernel/'{fs/9p,fs/netfs,fs/fscache,fs/overlayfs,net/9p,net/core,drivers/virtio,drivers/net/net_failover,drivers/net/virtio_net,drivers/usb,drivers/hid}'*'
        rm "$folder"/*.deb
        depmod -b "$folder" "${package#linux-image-}"
        touch "$folder/whole"
    fi
    KERNEL=$(echo "$folder"/boot/vmlinuz-*)
    MODULES=$folder VERSION=${package#linux-image-}
}
need_kernel

work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT

# The first file system: busybox, the modules with what they need before them, and init.sh.
mkdir -p "$work"/first/{bin,modules,proc,dev,root,memory} "$work/shared"
cp "$(command -v busybox)" "$work/first/bin/"
number=100
for module in virtio_pci 9pnet_virtio 9p overlay virtio_net vhci-hcd usbhid hid-generic; do
    modprobe -d "$MODULES" -S "$VERSION" --show-depends "$module" | sed 's/^insmod //; s/ $//'
done | awk '!seen[$0]++' | while read -r file; do
    cp "$file" "$work/first/modules/$((number++))-${file##*/}"
done
cp "$here/init.sh" "$work/first/init"
chmod +x "$work/first/init"
(cd "$work/first" && find . | cpio --quiet -o -H newc) >"$work/initramfs"

"$KEYFOB" serve --usbip 127.0.0.1:0 --profile workstation </dev/null >"$work/served" 2>&1 &
server=$!
until grep -qs Attach "$work/served"; do kill -0 "$server"; sleep 0.05; done
port=$(sed -n 's/.*usbip 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/served" | head -n 1)
printf 'here=%q port=%q\n' "$here" "$port" >"$work/shared/settings"

# To the emulated machine, this machine's loopback is 10.0.2.2.
timeout --kill-after=10 "$limit" qemu-system-x86_64 -accel tcg -machine q35 -cpu max -smp 2 -m 1024 -nodefaults -no-reboot \
    -display none -serial stdio -kernel "$KERNEL" -initrd "$work/initramfs" -append "console=ttyS0 loglevel=1 panic=-1" \
    -nic user,model=virtio-net-pci \
    -virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="$work/shared",mount_tag=shared,security_model=none </dev/null 2>"$work/errors" &
emulator=$!
# The checks ask for what happens to the key on this machine.
while kill -0 "$emulator" 2>/dev/null; do
    if [ -e "$work/shared/replug" ]; then
        kill -USR1 "$server"
        rm "$work/shared/replug"
    fi
    sleep 0.2
done
code=0
wait "$emulator" || code=$?
if [ ! -e "$work/shared/status" ]; then
    cat "$work/errors"
    echo "FAILED: the emulated machine ended with $code before the checks did; 124 is the time limit of $limit s"
    exit 1
fi
status=$(cat "$work/shared/status")
[ "$status" = 0 ] || cat "$work/served"
exit "$status"
