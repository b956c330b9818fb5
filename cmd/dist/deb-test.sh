#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# deb-test.sh PACKAGE [OLDER [RELEASE]]: the package in a Debian of its own (debootstrap, this machine's release or
# another, below DEBROOT if that is set) with a live systemd: the older package installed, used and upgraded, the
# units started, the demo run, all removed and purged. Needs root. Nothing stays.
set -u
package=$(realpath "$1") older=$(realpath "${2:-$1}")
release=${3:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
[ "$(id -u)" = 0 ] || { echo "deb-test needs root"; exit 1; }
root=${DEBROOT:-$(mktemp -d)}
[ -n "${DEBROOT:-}" ] || chmod 755 "$root" # it is the / of all users in it
id=$$
src=etdeb$id-src snk=etdeb$id-snk dut=etdeb$id-dut
group=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)/etdeb$id
init=

cleanup() {
	trap - EXIT INT TERM
	[ -z "$init" ] || kill -9 "$init" # and with it every process of its Debian
	for ns in $src $snk $dut; do ip netns del $ns 2>/dev/null; done
	for _ in $(seq 50); do # the kernel needs a moment to empty the groups
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$group" ] || break
		sleep 0.1
	done
	[ -n "${DEBROOT:-}" ] || rm -rf --one-file-system "$root"
	rm -f "/tmp/etdeb$id-before" "/tmp/etdeb$id-after" "/tmp/etdeb$id-init"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
fail() { echo "deb-test: $*"; exit 1; }
inside() { nsenter -t "$init" -m -p -u -i -n -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
must() { inside "$@" >"$root/out" 2>&1 || { cat "$root/out"; inside journalctl --no-pager -n 30 2>/dev/null; fail "$* failed"; }; }
# await CONDITION...: up to 20 seconds
await() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; fail "waited in vain: $*"; }
files() { find "$root" -xdev \( -path "$root/tmp" -o -path "$root/var" -o -path "$root/run" -o -path "$root/out" -o -name '__pycache__' \) -prune -o -print | sort; }

[ -e "$root/usr/bin/dpkg" ] || debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,iputils-ping,ethtool,tcpdump "$release" "$root" >"$root.log" 2>&1 ||
	{ tail -n 5 "$root.log"; fail "debootstrap failed"; }
rm -f "$root.log"

for ns in $src $snk $dut; do ip netns add $ns || fail "namespaces"; done
ip link add s0 netns $src type veth peer name d0 netns $dut
ip link add k1 netns $snk type veth peer name d1 netns $dut
for link in "$src s0 10.98.0.1/24" "$snk k1 10.98.0.2/24"; do
	set -- $link
	ip -n "$1" addr add "$3" dev "$2"
	ip -n "$1" link set "$2" up
	ip netns exec "$1" ethtool -K "$2" gro on >/dev/null 2>&1
done
for d in lo d0 d1; do ip -n $dut link set $d up; done

# The first process of a Debian with namespaces of its own.
boot() {
	set -e
	mount --make-rprivate /
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount -t sysfs sys "$root/sys"
	mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
	mount -t bpf bpf "$root/sys/fs/bpf"
	mount -t tmpfs -o mode=755 dev "$root/dev"
	mkdir "$root/dev/shm" "$root/dev/pts"
	for n in null zero full random urandom tty; do touch "$root/dev/$n" && mount --bind /dev/$n "$root/dev/$n"; done
	mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666 pts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	mount -t tmpfs -o mode=755 run "$root/run"
	mkdir -p "$root/run/old"
	cd "$root"
	pivot_root . run/old
	umount -l /run/old
	exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /lib/systemd/systemd
}
export root
export -f boot
mkdir "$group" || fail "no control group of version 2"
(echo "$BASHPID" >"$group/cgroup.procs" && exec ip netns exec $dut unshare -m -p -u -i -C --fork bash -c boot) >/dev/null 2>"/tmp/etdeb$id-init" </dev/null &
started=$!
booted() {
	init=$(cat "/proc/$started/task/$started/children" 2>/dev/null | tr -d ' ')
	[ -n "$init" ] && [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ] && inside systemctl is-system-running 2>/dev/null | grep -q 'running\|degraded'
}
await booted
version() { dpkg-deb --field "$1" Version; }
echo "$release: $(inside systemctl --version | head -n 1); $(version "$older"), then $(version "$package")"
cp "$package" "$root/root/ethertap.deb" && cp "$older" "$root/root/older.deb"
must useradd --gid daemon someone && must userdel someone # these leave copies of their files
files >"/tmp/etdeb$id-before"

echo "install"
must dpkg -i /root/older.deb
[ -e "$root/etc/ethertap.rpcl" ] || fail "no configuration"
must sh -c 'for p in ethertap collect control recall rpclsh; do $p --version; done'

echo "start by hand"
must ethertap --daemon --name hand -e '0 tap.rx.enable' d0 d1
must collect --daemon -q ixdp.pqueue.hand --format pcapng /root/tap.pcapng
must control --name hand ethertap -e if.stats
ip netns exec $src ping -c 3 -i 0.2 10.98.0.2 >/dev/null || fail "no ping"

echo "upgrade"
echo '# changed by hand' >>"$root/etc/ethertap.rpcl"
must dpkg -i --force-confold /root/ethertap.deb
must getent group ethertap
must control --name hand ethertap status
must control --name hand ethertap restart
ip netns exec $src ping -c 1 10.98.0.2 >/dev/null || fail "no ping after the restart"
grep -q 'changed by hand' "$root/etc/ethertap.rpcl" || fail "the configuration was replaced"
must control collect stop --all
must control ethertap stop --all

echo "demo"
must sh -c 'echo fastpath.status | ethertap --demo'
grep -q '0 d0 in use' "$root/out" || { cat "$root/out"; fail "the demo has no fast path"; }
[ -z "$(inside ip netns list)" ] || fail "the demo has left namespaces: $(inside ip netns list)"

echo "units"
sed -i -e 's/^INTERFACES=.*/INTERFACES="d0 d1"/' -e 's/^OPTIONS=.*/OPTIONS="--http 9977"/' "$root/etc/default/ethertap"
echo '0 tap.rx.enable bypass.enable' >>"$root/etc/ethertap.rpcl"
must systemctl start ethertap ethertap-collect
ip netns exec $src ping -c 3 -i 0.2 10.98.0.2 >/dev/null || fail "no ping through the unit"
must control ethertap -e 'if.check'
inside control ethertap -e bypass.status | grep -q 'pinned in /sys/fs/bpf' || fail "the unit has no bypass"
must systemctl reload ethertap
must systemctl reload ethertap-collect
must systemctl restart ethertap
ip netns exec $src ping -c 3 -i 0.2 10.98.0.2 >/dev/null || fail "no ping after the unit's restart"
recorded() { inside sh -c 'recall --count icmp /var/log/ethertap' | grep -q '^[1-9]'; }
await recorded
for unit in ethertap ethertap-collect; do
	exposure=$(inside systemd-analyze security --no-pager $unit | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
	echo "  $unit: exposure $exposure"
	[ "${exposure%.*}" -lt 4 ] || fail "$unit is exposed by $exposure"
done

echo "an interface that comes late"
must systemctl stop ethertap
must ethertap --clear # the bypass of d0 and d1
sed -i -e 's/^INTERFACES=.*/INTERFACES="late0 d1"/' "$root/etc/default/ethertap"
inside systemctl start ethertap >/dev/null 2>&1 && fail "ethertap starts without its interface"
must ip link add late0 type veth peer name late1
must ip link set late0 up
must ip link set late1 up
active() { inside systemctl is-active --quiet ethertap; }
await active

echo "remove, with an instance of a recording and a user of the group"
echo 'COLLECT="-q ixdp.pqueue.tap /var/log/ethertap/one.pcap"' >"$root/etc/default/ethertap-collect-one"
must systemctl enable --now ethertap-collect@one
must useradd --gid ethertap someone
must dpkg -r ethertap
inside systemctl is-active --quiet ethertap-collect@one && fail "the instance goes on"
inside sh -c 'ls /etc/systemd/system/*.wants/ethertap*' 2>/dev/null && fail "units are still enabled"
rm "$root/etc/default/ethertap-collect-one"
inside sh -c "cat /proc/[0-9]*/comm" 2>/dev/null | grep -qx ethertap && fail "ethertap goes on"
[ -e "$root/etc/ethertap.rpcl" ] || fail "remove took the configuration"

echo "purge"
inside test -e /usr/sbin/ethertap && fail "ethertap is still there"
must dpkg -P ethertap
must userdel someone
must groupdel ethertap
must ip link del late0
rm -f "$root/root/tap.pcapng"* 
files >"/tmp/etdeb$id-after"
diff "/tmp/etdeb$id-before" "/tmp/etdeb$id-after" || fail "files are left, or missing"
inside getent group ethertap && fail "the group is left"
[ -z "$(inside sh -c 'ls /run/ethertap /dev/shm/ixdp* /var/log/ethertap 2>/dev/null')" ] || fail "left behind: $(inside sh -c 'ls /run/ethertap /dev/shm /var/log/ethertap')"
inside ip link show d0 | grep -q xdp && fail "a program is left on d0"
echo "deb-test: complete"
