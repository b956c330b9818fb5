// SPDX-License-Identifier: BSD-3-Clause

// Package nic is the port that is a network interface. It finds the interface by its name and
// follows it by its index, makes it fit for a bridge and restores it, and puts an XDP program and
// AF_XDP sockets on it. It speaks rtnetlink and ethtool netlink in the network namespace of the
// calling thread. It knows neither the engine nor the chain.
package nic
