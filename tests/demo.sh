#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The main job on an embedded default: two hosts in network namespaces, ethertap as
# a bridge between them, traffic, the tap, a collected PCAP. Everything has names
# of its own and is removed at the end.
#
#   a (10.99.0.1) a0 ---- d0 [ ethertap in dut ] d1 ---- b0 b (10.99.0.2)
set -u
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	echo "make demo needs root: it makes network namespaces and attaches XDP programs"
	exit 1
fi

id=$$
a=etdemo$id-a b=etdemo$id-b dut=etdemo$id-dut
dir=$(mktemp -d)
export ETHERTAP_RUNDIR=$dir/run PATH="$PWD/bin:$PATH:/usr/sbin:/sbin"
queue=ixdp.pqueue.demo$id
# the names of this run in the form a user would type them
plain() { sed -e "s|ip netns exec $dut ||; s|$queue|ixdp.pqueue.tap|g; s|$dir|/tmp|g; s|$a|a|g; s|$b|b|g; s|$dut|dut|g"; }

cleanup() {
	trap - EXIT INT TERM
	[ -z "${pinging:-}" ] || kill "$pinging" 2>/dev/null
	for name in collect ethertap; do control $name stop --all >/dev/null 2>&1; done
	for ns in $a $b $dut; do ip netns del $ns 2>/dev/null; done
	rm -rf "$dir" "/dev/shm/$queue"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

say() { printf '\n== %s\n' "$*"; }
show() { # a command as a user would type it, and its output
	echo "# $(printf '%s ' "$@" | plain | sed -e 's/ $//')"
	"$@" 2>&1 | plain
	[ "${PIPESTATUS[0]}" = 0 ] || { echo "demo: this failed"; exit 1; }
}
rpcl() { # a line at ethertap's prompt
	echo "# control ethertap -e '$1'"
	control ethertap -e "$1" 2>&1 | plain
	[ "${PIPESTATUS[0]}" = 0 ] || { echo "demo: this failed"; exit 1; }
}
must() { "$@" || { echo "demo: $* failed"; exit 1; }; }

say "Two hosts, a and b, and the tap between them, each in a network namespace"
for ns in $a $b $dut; do
	must ip netns add $ns
	ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
must ip link add a0 netns $a type veth peer name d0 netns $dut
must ip link add b0 netns $b type veth peer name d1 netns $dut
show ip -n $a addr add 10.99.0.1/24 dev a0
show ip -n $b addr add 10.99.0.2/24 dev b0
for link in "$a a0" "$b b0" "$dut d0" "$dut d1"; do
	set -- $link
	must ip -n "$1" link set "$2" up
done

for link in "$a a0" "$b b0"; do # what a host on a veth needs for the fast path, and for frames that are whole
	set -- $link
	offloads="ethtool -K $2 gro on tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off"
	echo "# ip netns exec $1 $offloads" | plain
	must ip netns exec "$1" $offloads >/dev/null
done

say "A bridge between d0 and d1, in the background"
show ip netns exec $dut ethertap --daemon --config /dev/null --tap-queue $queue d0 d1
show control ethertap status

say "Traffic through it"
show ip netns exec $a ping -c 3 -i 0.2 10.99.0.2
rpcl 'fastpath.status'
ip netns exec $a ping -q -i 0.05 10.99.0.2 >/dev/null &
pinging=$!
rpcl 'if.rates'
kill $pinging
pinging=

say "The tap: all frames go into the queue, or those that a filter takes"
rpcl '"icmp and src host 10.99.0.1" 0 tap.rx.filter 0 tap.rx.enable'
show ip netns exec $a ping -c 3 -i 0.2 -q 10.99.0.2
rpcl 'tap.queue.status'
rpcl 'tap.queue.get dup . packet.show'
rpcl '"" 0 tap.rx.filter tap.on'

say "Only the frames of one host"
mac=$(ip -n $b -br link show b0 | awk '{print $3}')
rpcl "$mac tap.hash.insert tap.hash.show tap.queue.reset"

say "A recording of four packets"
echo "# collect --queue ixdp.pqueue.tap --silent --plimit 4 /tmp/packets.pcap &"
collect --queue $queue --silent --plimit 4 "$dir/packets.pcap" &
collector=$!
for _ in $(seq 100); do control collect status >/dev/null 2>&1 && break; sleep 0.05; done
show ip netns exec $a ping -c 4 -i 0.2 -q 10.99.0.2
wait $collector || { echo "demo: collect failed"; exit 1; }
show tcpdump -e -n -r "$dir/packets.pcap"

say "What was counted"
rpcl 'if.stats'

say "The end: nothing is left behind"
show control ethertap stop
show ip -n $dut link show d0
echo
echo "demo: complete"
