#!/bin/busybox sh
# The first process of the emulated machine: loads the modules, puts a file system in memory over the root of the machine
# outside, and runs the checks there. Their exit status goes to the folder that both machines share.
set -e
alias mount='busybox mount' mkdir='busybox mkdir'
mount -t proc none /proc
mount -t devtmpfs none /dev
for module in /modules/*; do busybox insmod "$module"; done
mount -t tmpfs none /memory
mkdir /memory/below /memory/above /memory/work
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose machine /memory/below
mount -t overlay -o lowerdir=/memory/below,upperdir=/memory/above,workdir=/memory/work none /root
cd /root
mount -t proc none proc
mount -t sysfs none sys
mount -t devtmpfs none dev
mount -t tmpfs none run
mkdir run/shared
mount -t 9p -o trans=virtio,version=9p2000.L shared run/shared
busybox ip link set lo up
busybox ip link set eth0 up
busybox ip address add 10.0.2.15/24 dev eth0
set +e
busybox chroot . /bin/bash -c 'source /run/shared/settings; bash "$here/checks.sh" "$port"'
echo $? >run/shared/status
busybox sync
echo o >/proc/sysrq-trigger
busybox sleep 60
