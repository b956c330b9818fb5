// Package nic is the port that is a network interface: found by its name and followed by its
// index, made fit for a bridge and restored, with an XDP program and AF_XDP sockets. It
// speaks rtnetlink and ethtool's netlink in the network namespace of the calling thread.
package nic
