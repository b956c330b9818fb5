// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"fmt"
	"strings"
	"testing"
)

// The links of the standard topology.
const (
	S0 = "s0" // in src
	D0 = "d0" // in dut, joined to s0
	D1 = "d1" // in dut, joined to k1
	K1 = "k1" // in snk
)

// Addresses of the outer ends when Options.Addresses is set.
const (
	SrcAddress = "10.77.0.1"
	SnkAddress = "10.77.0.2"
)

// Options change the standard topology.
type Options struct {
	Queues    int  // queues of every link end; 0 = 1
	MTU       int  // of every link; 0 = 1500
	Promisc   bool // d0 and d1 promiscuous from the start
	Addresses bool // SrcAddress/24 on s0 and SnkAddress/24 on k1, for sockets at both ends
	// GRO leaves generic receive offload on at s0 and k1. A veth end takes
	// frames that native XDP transmits or redirects at its peer only when it
	// has NAPI, by an XDP program or by this. AF_XDP sockets in copy mode do
	// not need it. It may join small TCP segments before a Receiver sees them.
	GRO bool
}

// Bridge is the standard topology: src:s0–dut:d0, dut:d1–snk:k1. The links are veths, or
// where the machine says so (OnNICs) pairs of NICs.
type Bridge struct {
	Src, Dut, Snk *Namespace
	nics          bool
}

// NewBridge makes the standard topology with one queue per link and an MTU of
// 1500. It goes away with the test.
func NewBridge(t testing.TB) *Bridge {
	t.Helper()
	return NewBridgeWith(t, Options{})
}

// NewBridgeWith makes the standard topology with options.
func NewBridgeWith(t testing.TB, o Options) *Bridge {
	t.Helper()
	b := &Bridge{
		Src: NewNamespace(t, "src"),
		Dut: NewNamespace(t, "dut"),
		Snk: NewNamespace(t, "snk"),
	}
	if OnNICs() {
		nicBridge(t, b, o)
	} else {
		veth := VethOptions{Queues: o.Queues, MTU: o.MTU}
		Veth(b.Src, S0, b.Dut, D0, veth)
		Veth(b.Dut, D1, b.Snk, K1, veth)
	}
	if o.GRO {
		b.Src.SetFeature(S0, "rx-gro", true)
		b.Snk.SetFeature(K1, "rx-gro", true)
	}
	if o.Promisc {
		b.Dut.SetPromisc(D0, true)
		b.Dut.SetPromisc(D1, true)
	}
	if o.Addresses {
		b.Src.AddAddress(S0, SrcAddress+"/24")
		b.Snk.AddAddress(K1, SnkAddress+"/24")
	}
	return b
}

// SetMTU changes the largest payload of all four links, in bytes.
func (b *Bridge) SetMTU(mtu int) {
	for _, end := range b.ends() {
		end.n.t.Helper()
		end.n.SetMTU(end.link, mtu)
	}
}

// Counters is what the kernel has counted at each end, for a test that misses frames.
func (b *Bridge) Counters() string {
	var text strings.Builder
	for _, end := range b.ends() {
		if l, err := end.n.lookLink(end.link); err != nil {
			fmt.Fprintf(&text, "%s: %v\n", end.link, err)
		} else {
			fmt.Fprintf(&text, "%s: carrier %v, %+v\n", end.link, l.Carrier, l.Counters)
		}
	}
	return text.String()
}
