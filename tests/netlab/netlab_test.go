// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

const patience = 20 * time.Second

// pair makes two namespaces with a link between them: a0–b0.
func pair(t *testing.T, o VethOptions) (a, b *Namespace) {
	t.Helper()
	a, b = NewNamespace(t, "a"), NewNamespace(t, "b")
	Veth(a, "a0", b, "b0", o)
	return a, b
}

func TestBridgeTopology(t *testing.T) {
	lab := NewBridgeWith(t, Options{Queues: 2, MTU: 3000, Promisc: true, GRO: true})
	for _, end := range []struct {
		n       *Namespace
		name    string
		promisc int
		gro     bool
	}{{lab.Src, S0, 0, true}, {lab.Dut, D0, 1, false}, {lab.Dut, D1, 1, false}, {lab.Snk, K1, 0, true}} {
		l := end.n.Link(end.name)
		if !l.Up || !l.Operational || l.MTU != 3000 || l.Queues != 2 || l.Kind != "veth" ||
			l.Promiscuity != end.promisc || l.XDPProgram != 0 || l.MAC == (MAC{}) {
			t.Errorf("link %s: %+v", end.name, l)
		}
		if got := end.n.Feature(end.name, "rx-gro"); got != end.gro {
			t.Errorf("link %s: rx-gro is %t", end.name, got)
		}
		active, changeable, err := end.n.features(end.name)
		if err != nil || len(changeable) == 0 {
			t.Fatalf("link %s: %d features, %v", end.name, len(changeable), err)
		}
		for _, name := range active {
			if isOffload(name) && name != "rx-gro" && slices.Contains(changeable, name) {
				t.Errorf("link %s: %s is on", end.name, name)
			}
		}
		// The same as ethtool sees it.
		out, err := end.n.Command(RequireTool(t, "ethtool"), "-k", end.name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"tx-checksumming: off", "rx-checksumming: off", "tcp-segmentation-offload: off", "tx-tcp-segmentation: off",
			"generic-segmentation-offload: off", "scatter-gather: off", "tx-vlan-offload: off", "rx-vlan-offload: off",
			"generic-receive-offload: " + map[bool]string{true: "on", false: "off"}[end.gro]} {
			if !strings.Contains(string(out), line) {
				t.Errorf("link %s: ethtool does not say %q:\n%s", end.name, line, out)
			}
		}
	}
	if lab.Src.LinkExists(D0) || !lab.Dut.LinkExists(D0) {
		t.Error("link d0 is not where it should be")
	}
	lab.Dut.SetPromisc(D0, false)
	lab.Dut.SetMTU(D0, 1400)
	lab.Dut.SetMAC(D0, MAC{2, 1, 2, 3, 4, 5})
	if l := lab.Dut.Link(D0); l.Promiscuity != 0 || l.MTU != 1400 || l.MAC != (MAC{2, 1, 2, 3, 4, 5}) {
		t.Errorf("link d0 after changes: %+v", l)
	}
	lab.Dut.SetDown(D0)
	Await(t, "s0 has no carrier, and is not ready to send a little later", func() bool { return !lab.Src.Link(S0).Operational })
	lab.Dut.SetUp(D0)
	lab.Src.WaitUp(S0)
	lab.Dut.DeleteLink(D0)
	if lab.Src.LinkExists(S0) {
		t.Error("s0 outlives d0")
	}
}

func TestFramesPassUnchanged(t *testing.T) {
	for _, bypass := range []bool{false, true} {
		t.Run("bypass="+strconv.FormatBool(bypass), func(t *testing.T) {
			a, b := pair(t, VethOptions{})
			sender, receiver, back := a.NewSender("a0", bypass), b.NewReceiver("b0"), a.NewReceiver("a0")
			sent := Mix(7, 3000)
			if err := sender.Send(sent...); err != nil {
				t.Fatal(err)
			}
			got, err := receiver.Collect(len(sent), patience)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(sent) {
				t.Fatalf("%d of %d frames came", len(got), len(sent))
			}
			for i := range sent {
				if !bytes.Equal(got[i], sent[i]) {
					t.Fatalf("frame %d: sent\n%x, received\n%x", i, sent[i], got[i])
				}
			}
			if drops, err := receiver.Drops(); err != nil || drops != 0 {
				t.Errorf("drops %d, %v", drops, err)
			}
			// Nothing else is on the wire, and outgoing frames are not seen.
			if extra, err := receiver.Receive(time.Now().Add(20 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("one more frame: %x, %v", extra, err)
			}
			if own, err := back.Receive(time.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("sender's side sees %x, %v", own, err)
			}
			counted := b.Link("b0").Counters
			if counted.RxPackets != uint64(len(sent)) || counted.TxPackets != 0 {
				t.Errorf("counters %+v, want %d received", counted, len(sent))
			}
		})
	}
}

// TestSenderWaitsForRoom drives a link whose far end has a ring of 256 frames
// (veth with NAPI): none is lost, and each is sent once.
func TestSenderWaitsForRoom(t *testing.T) {
	a, b := pair(t, VethOptions{GRO: true})
	sender, receiver := a.NewSender("a0", true), b.NewReceiver("b0")
	const n = 20000
	failed := make(chan error, 1)
	go func() {
		for i := range uint64(n) {
			if err := sender.Send(UDP(60, i)); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	got, err := receiver.Collect(n, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%d of %d frames came", len(got), n)
	}
	for i, frame := range got {
		if seq, ok := Seq(frame); !ok || seq != uint64(i) {
			t.Fatalf("frame %d bears number %d, %t", i, seq, ok)
		}
	}
}

func TestSendErrors(t *testing.T) {
	a, _ := pair(t, VethOptions{})
	sender := a.NewSender("a0", false)
	if err := sender.Send(UDP(1515, 0)); err == nil {
		t.Error("1515 bytes pass an MTU of 1500")
	}
	a.SetDown("a0")
	if err := sender.Send(UDP(60, 0)); err == nil {
		t.Error("a link that is down takes a frame")
	}
	if err := errors.Join(sender.Close(), sender.Close()); err != nil {
		t.Error(err)
	}
}

func TestJumboFrames(t *testing.T) {
	a, b := pair(t, VethOptions{MTU: 9000})
	receiver := b.NewReceiver("b0")
	want := VLAN(9018, 1, 5)
	if err := a.NewSender("a0", false).Send(want); err != nil {
		t.Fatal(err)
	}
	got, err := receiver.Receive(time.Now().Add(patience))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("received %d bytes, %v", len(got), err)
	}
}

// TestKernelTakesOurUDP lets the kernel check the checksums that we compute.
func TestKernelTakesOurUDP(t *testing.T) {
	a, b := pair(t, VethOptions{})
	b.AddAddress("b0", "10.77.0.2/24")
	b.SetMAC("b0", DstMAC)
	var conn net.PacketConn
	b.must(b.Do(func() (err error) {
		conn, err = net.ListenPacket("udp4", "10.77.0.2:9")
		return err
	}))
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	sender := a.NewSender("a0", false)
	for i := range uint64(200) {
		frame := UDP(60+int(i), i*0x9e3779b97f4a7c15)
		if err := sender.Send(frame); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2000)
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if want := netip.MustParseAddrPort("10.77.0.1:40000"); from.(*net.UDPAddr).AddrPort() != want {
			t.Fatalf("from %s", from)
		}
		if !bytes.Equal(buf[:n], frame[42:]) {
			t.Fatalf("frame %d: payload %x", i, buf[:n])
		}
	}
}

func TestDoComesBack(t *testing.T) {
	n := NewNamespace(t, "do")
	look := func() string {
		s, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := look()
	var inside string
	if err := n.Do(func() error { inside = look(); return nil }); err != nil {
		t.Fatal(err)
	}
	if inside == before || look() != before {
		t.Errorf("before %s, inside %s, after %s", before, inside, look())
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic got lost")
			}
		}()
		_ = n.Do(func() error { panic("inside") })
	}()
	if look() != before {
		t.Error("a panic leaves the thread in the namespace")
	}
	failure := errors.New("failure")
	if err := n.Do(func() error { return failure }); err != failure {
		t.Errorf("error %v", err)
	}
	out, err := n.Command("ls", "/sys/class/net").Output()
	if err != nil || string(out) != "lo\n" {
		t.Errorf("/sys/class/net in the namespace: %q, %v", out, err)
	}
}

func TestLinkShowsXDP(t *testing.T) {
	a, _ := pair(t, VethOptions{})
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	for flags, mode := range map[link.XDPAttachFlags]string{link.XDPDriverMode: "native", link.XDPGenericMode: "generic"} {
		var l link.Link
		index := a.Link("a0").Index
		a.must(a.Do(func() (err error) {
			l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: index, Flags: flags})
			return err
		}))
		if s := a.Link("a0"); s.XDPProgram != uint32(id) || s.XDPMode != mode {
			t.Errorf("attached program %d in mode %s: %+v", id, mode, s)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if s := a.Link("a0"); s.XDPProgram != 0 || s.XDPMode != "" {
			t.Errorf("after detaching: %+v", s)
		}
	}
}
