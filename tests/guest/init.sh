#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# The first process of a guest: makes it a small system, runs the tests of /run-tests and
# switches it off. What it writes to the port "results" is read by results.go; what the kernel
# says goes to the serial line.
export PATH=/usr/bin:/usr/sbin HOME=/root TERM=dumb LC_ALL=C.UTF-8
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /usr/bin 2>/dev/null # what there is already stays
mkdir -p /dev/shm /dev/pts /run/netns
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t devpts devpts /dev/pts
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracing /sys/kernel/tracing
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /run/netns
ln -s /proc/self/fd /dev/fd
chmod 1777 /tmp /dev/shm
failed=
for module in $(cat /modules/order); do
	insmod "/modules/$module" || failed="$failed $module"
done
port() { # the device of a port of the virtual machine
	for p in /sys/class/virtio-ports/*; do
		if [ "$(cat "$p/name")" = "$1" ]; then echo "/dev/${p##*/}"; fi
	done
}
tries=0
until results=$(port results) && [ -c "$results" ]; do
	usleep 20000
	tries=$((tries + 1))
	[ $tries -lt 250 ] || { echo "init: no port for results; modules not loaded:$failed"; poweroff -f; }
done
exec >"$results" 2>&1 </dev/null
ip link set lo up
sysctl -qw kernel.printk='5 4 1 5'
[ -z "$failed" ] || echo "@fault modules not loaded:$failed"
ln -s "$(port monitor)" /dev/monitor
read -r up _ </proc/uptime
echo "@up $up $(uname -r)"
. /run-tests
read -r tainted </proc/sys/kernel/tainted # bits: bad page, died, warned, soft lockup
[ $((tainted & (32 | 128 | 512 | 16384))) -eq 0 ] || echo "@fault the kernel says: it is tainted ($tainted)"
echo "@end"
sync
poweroff -f
