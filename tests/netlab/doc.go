// SPDX-License-Identifier: BSD-3-Clause

// Package netlab is a laboratory of network namespaces for tests: links,
// frames, senders, receivers and processes that never touch the machine's own
// interfaces and leave nothing behind.
//
// The standard topology, as made by NewBridge:
//
//	 namespace src          namespace dut                namespace snk
//	+--------------+      +----------------------+      +--------------+
//	|  Sender   s0 |------| d0   under test   d1 |------| k1  Receiver |
//	+--------------+ veth +----------------------+ veth +--------------+
//	  address 10.77.0.1/24 (option)                10.77.0.2/24 (option)
//
// What is sent at s0 must come out of k1 byte for byte, and the other way
// round. All offloads are off on all four ends (tx, rx, tso, gso, gro, sg,
// txvlan, rxvlan; see Options.GRO), IPv6 is off in all namespaces, and without
// addresses the kernel sends nothing by itself, so every frame counted is one
// that the test sent.
//
// In a virtual machine of tests/guest the four ends are NICs, and a hub is what joins two:
// nic.go and machine.go have all in which such links differ, and a test says by Needs what it
// cannot do without.
//
// Namespaces are called et<pid>-<random>-<role> and vanish with the test. What
// a killed test process left is removed by the next one that makes a
// namespace. The package needs root and iproute2 (`ip netns add`, `ip netns
// exec`); without root tests are skipped, or fail when CI=true.
//
// It is for tests only, and it knows nothing of the programs that it tests:
// no word, no queue, no statistics.
package netlab
