#!/bin/bash
# deb-test.sh PACKAGE: the package in a Debian of its own (debootstrap, below
# DEBROOT if that is set, else in a temporary directory): installed, run as a bridge
# between two namespaces, upgraded, removed and purged. Needs root. Nothing stays.
set -u
package=$(realpath "$1")
[ "$(id -u)" = 0 ] || { echo "deb-test needs root"; exit 1; }
root=${DEBROOT:-$(mktemp -d)}
id=$$
src=etdeb$id-src snk=etdeb$id-snk dut=etdeb$id-dut

cleanup() {
	trap - EXIT INT TERM
	inside control collect stop --all --kill >/dev/null 2>&1
	inside control ethertap stop --all --kill >/dev/null 2>&1
	for ns in $src $snk $dut; do ip netns del $ns 2>/dev/null; done
	for m in dev/shm dev sys/fs/bpf sys proc run; do mountpoint -q "$root/$m" && umount -l "$root/$m"; done
	[ -n "${DEBROOT:-}" ] || rm -rf --one-file-system "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
fail() { echo "deb-test: $*"; exit 1; }
inside() { ip netns exec $dut chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
must() { "$@" >"$root/tmp/out" 2>&1 || { cat "$root/tmp/out"; fail "$* failed"; }; }

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
[ -e "$root/usr/bin/dpkg" ] || debootstrap --variant=minbase "$release" "$root" >"$root.log" 2>&1 || { tail -n 5 "$root.log"; fail "debootstrap failed"; }
rm -f "$root.log"

for ns in $src $snk $dut; do ip netns add $ns || fail "namespaces"; done
ip link add s0 netns $src type veth peer name d0 netns $dut
ip link add k1 netns $snk type veth peer name d1 netns $dut
for link in "$src s0 10.98.0.1/24" "$snk k1 10.98.0.2/24"; do
	set -- $link
	ip -n "$1" addr add "$3" dev "$2"
	ip -n "$1" link set "$2" up
done
for d in d0 d1; do ip -n $dut link set $d up; done
mkdir -p "$root/dev/shm"
mount -t proc proc "$root/proc" && mount -t sysfs sys "$root/sys" && mount -t tmpfs run "$root/run" || fail "mounts"
mount -t tmpfs dev "$root/dev" && mkdir "$root/dev/shm" && mount -t tmpfs shm "$root/dev/shm" || fail "mounts"
for n in null zero random urandom tty; do touch "$root/dev/$n" && mount --bind /dev/$n "$root/dev/$n" || fail "devices"; done

cp "$package" "$root/tmp/ethertap.deb"
find "$root" -xdev \( -path "$root/tmp" -o -path "$root/var" -o -path "$root/run" \) -prune -o -print | sort >"/tmp/etdeb$id-before"

echo "install"
must inside dpkg -i /tmp/ethertap.deb
[ -e "$root/etc/ethertap.rpcl" ] || fail "no configuration"
must inside sh -c 'for p in ethertap collect control rpclsh; do $p --version; done'

echo "start"
must inside ethertap --daemon -e '0 tap.rx.enable' d0 d1
must inside collect --daemon --format pcapng /tmp/tap.pcapng
must ip netns exec $src ping -c 3 -i 0.2 10.98.0.2
must inside control ethertap -e if.stats
must inside control ethertap reload
must inside control ethertap restart
must ip netns exec $src ping -c 1 10.98.0.2

echo "upgrade"
echo '# changed by hand' >>"$root/etc/ethertap.rpcl"
must inside dpkg -i --force-confold /tmp/ethertap.deb
must inside control ethertap status
grep -q 'changed by hand' "$root/etc/ethertap.rpcl" || fail "the configuration was replaced"

echo "remove"
must inside dpkg -r ethertap
pgrep -a -x -f "(/usr/sbin/)?ethertap --daemon.*" | grep -q "d0 d1" && fail "ethertap goes on"
ip -n $dut link show d0 | grep -q xdp && fail "a program is left on d0"
[ "$(stat -c %s "$root/tmp/tap.pcapng")" -gt 500 ] || fail "nothing was recorded"
[ -e "$root/etc/ethertap.rpcl" ] || fail "remove took the configuration"

echo "purge"
must inside dpkg -P ethertap
find "$root" -xdev \( -path "$root/tmp" -o -path "$root/var" -o -path "$root/run" \) -prune -o -print | sort >"/tmp/etdeb$id-after"
diff "/tmp/etdeb$id-before" "/tmp/etdeb$id-after" || fail "files are left, or missing"
rm -f "/tmp/etdeb$id-before" "/tmp/etdeb$id-after" "$root/tmp/tap.pcapng"
[ -z "$(ls -A "$root/run/ethertap" 2>/dev/null)" ] && [ ! -e "$root/dev/shm/ixdp.pqueue.tap" ] || fail "left behind: $(ls "$root/run" "$root/dev/shm")"
echo "deb-test: complete"
