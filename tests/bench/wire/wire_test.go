// SPDX-License-Identifier: BSD-3-Clause

package wire

import (
	"testing"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf/link"

	"ethertap/tests/netlab"
)

// socket opens one of asavie/xdp's on a link, and lets its frames come there.
func socket(t *testing.T, n *netlab.Namespace, name string) (s *xdp.Socket) {
	t.Helper()
	index := n.Link(name).Index
	err := n.Do(func() error {
		var err error
		if s, err = xdp.NewSocket(index, 0, &xdp.SocketOptions{
			NumFrames: 4096, FrameSize: 2048, FillRingNumDescs: 2048, CompletionRingNumDescs: 2048, RxRingNumDescs: 2048, TxRingNumDescs: 2048,
		}); err != nil {
			return err
		}
		t.Cleanup(func() { s.Close() })
		program, err := xdp.NewProgram(1)
		if err != nil {
			return err
		}
		t.Cleanup(func() { program.Close() })
		if err := program.Register(0, s.FD()); err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: program.Program, Interface: index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What the generator says it has sent arrives at a socket that is not ours.
func TestGeneratorBesideAnotherSink(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{Promisc: true})
	Redirect(t, lab.Dut, netlab.D0, netlab.D1)
	s := socket(t, lab.Snk, netlab.K1)
	s.Fill(s.GetDescs(s.NumFreeFillSlots()))
	const n = 1500 // its rings hold 2048
	g := NewGenerator(t, lab.Src, netlab.S0, GeneratorCore, Traffic{Size: 512, Rate: 20000})
	if _, err := g.Send(n); err != nil {
		t.Fatal(err)
	}
	got := 0
	arrived := func() int {
		k := s.NumReceived()
		for _, d := range s.Receive(k) {
			if len(s.GetFrame(d)) != 512 {
				t.Fatalf("a frame of %d bytes", len(s.GetFrame(d)))
			}
		}
		got += k
		s.Fill(s.GetDescs(s.NumFreeFillSlots()))
		return got
	}
	netlab.Await(t, "all have arrived", func() bool { return arrived() >= n })
	// What came too often is before one more.
	if _, err := g.Send(1); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "one more has arrived", func() bool { return arrived() > n })
	if got != n+1 {
		t.Errorf("%d frames arrived, %d were sent", got, n+1)
	}
}

// What a socket that is not ours sends is what the sink counts.
func TestSinkBesideAnotherGenerator(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{Promisc: true})
	Redirect(t, lab.Dut, netlab.D0, netlab.D1)
	sink := NewSink(t, lab.Snk, netlab.K1, false)
	s := socket(t, lab.Src, netlab.S0)
	const n = 1000
	send := func(sent, most int) int {
		descs := s.GetDescs(min(32, most-sent, s.NumFreeTxSlots()))
		for i := range descs {
			descs[i].Len = uint32(copy(s.GetFrame(descs[i]), netlab.UDP(64, uint64(sent+i))))
		}
		sent += s.Transmit(descs)
		netlab.Await(t, "they are transmitted", func() bool {
			s.Complete(s.NumCompleted())
			if s.NumTransmitted() > 0 {
				s.Transmit(nil) // copying, a call sends 32 at most
			}
			return s.NumTransmitted() == 0
		})
		return sent
	}
	var got uint64
	counted := func(most uint64) func() bool {
		return func() bool {
			var err error
			if got, err = sink.Count(); err != nil {
				t.Fatal(err)
			}
			return got >= most
		}
	}
	for sent := 0; sent < n; {
		sent = send(sent, n)
	}
	netlab.Await(t, "all are counted", counted(n))
	// What is counted too often is so before one more.
	send(n, n+1)
	netlab.Await(t, "one more is counted", counted(n+1))
	if got != n+1 {
		t.Errorf("%d frames counted, %d were sent", got, n+1)
	}
}
