#!/bin/bash
# Prepares a small Linux guest for tests that need kernel block devices: Debian's 6.12 cloud kernel, unpacked and never installed, and an
# initial file system of busybox, nbd-client and the e2fsprogs. usage: eng/guest.sh DIRECTORY   (leaves DIRECTORY/vmlinuz and DIRECTORY/base.cpio.gz)
set -euo pipefail
out=$1
[[ -e $out/.ready ]] && exit 0
mkdir -p "$out/packages"
cd "$out/packages"
kernel=$(apt-cache depends linux-image-6.12-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[[ -n $kernel ]] || { echo "guest: the package lists hold no linux-image-6.12-cloud-amd64; run apt-get update" >&2; exit 1; }
apt-get download -q "$kernel" busybox-static >/dev/null 2>&1 || { echo "guest: $kernel and busybox-static could not be downloaded" >&2; exit 1; }
rm -rf ../kernel ../tools ../root
dpkg-deb -x "$kernel"_*.deb ../kernel
dpkg-deb -x busybox-static_*.deb ../tools
cd ..
cp kernel/boot/vmlinuz-* vmlinuz

root=$PWD/root
mkdir -p "$root"/{bin,dev,etc,lib/modules,mnt,proc,sbin,sys,tmp}
cp tools/bin/busybox "$root/bin/"
for module in failover net_failover virtio_net nbd; do
    file=$(find kernel/lib/modules -name "$module.ko.xz")
    [[ -n $file ]] && xz -dc "$file" >"$root/lib/modules/$module.ko"
done
for program in /usr/sbin/nbd-client /usr/sbin/mke2fs /usr/sbin/e2fsck; do
    cp "$program" "$root/sbin/"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done
(cd "$root" && find . | "$OLDPWD/tools/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >base.cpio.gz
rm -rf kernel packages root
touch .ready
