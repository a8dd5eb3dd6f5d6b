# init.sh FOLDER CHECKS: the first process of User-mode Linux. Puts a file system in memory over the machine's root, so that
# nothing on the machine changes, and runs the checks in it. Their exit status goes to FOLDER/status, on the machine.
set -euo pipefail
folder=$1
here=$(dirname "${BASH_SOURCE[0]}")

mount -t tmpfs none /mnt
mkdir /mnt/{above,work,root}
mount -t overlay -o lowerdir=/,upperdir=/mnt/above,workdir=/mnt/work none /mnt/root
cd /mnt/root
mount -t proc none proc
mount -t sysfs none sys
mount -t devtmpfs none dev
mkdir -p dev/pts dev/shm
ln -s /proc/self/fd dev/fd
mount -t devpts none dev/pts
mount -t tmpfs none dev/shm
mount -t tmpfs none run
mkdir run/keyfob
mount -t hostfs -o "$folder" none run/keyfob
ip link set lo up

code=0
chroot . bash "$here/checks.sh" $2 </dev/null || code=$?
echo "$code" >run/keyfob/status
# Powers off: reboot(2), for which a machine without an init has no command.
chroot . perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc)'
