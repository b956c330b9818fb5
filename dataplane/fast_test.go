// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/lib/predicate"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// fastLab is a bridge whose outer ends take redirected frames.
func fastLab(t *testing.T) *netlab.Bridge {
	t.Helper()
	netlab.RequireRoot(t)
	return netlab.NewBridgeWith(t, netlab.Options{GRO: true})
}

// numbered returns n frames of one flow, with numbers.
func numbered(n int) (frames [][]byte) {
	for i := range n {
		frames = append(frames, netlab.UDP(60+i, uint64(i)))
	}
	return frames
}

// plainLab is a bridge whose outer ends take redirected frames because they have an XDP program.
// GRO holds some frames back while others of the same sender pass, so it may change the order that
// a test looks at.
func plainLab(t *testing.T, o netlab.Options) *netlab.Bridge {
	t.Helper()
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, o)
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.XDP,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
		License:      "Dual BSD/GPL",
		Flags:        unix.BPF_F_XDP_HAS_FRAGS,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pass.Close() })
	for name, ns := range map[string]*netlab.Namespace{netlab.S0: lab.Src, netlab.K1: lab.Snk} {
		index := ns.Link(name).Index
		if err := ns.Do(func() error {
			l, err := link.AttachXDP(link.XDPOptions{Program: pass, Interface: index, Flags: link.XDPDriverMode})
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return lab
}

// bothEngines runs a test with the threads alone and with the fast path. The outer ends take
// redirected frames.
func bothEngines(t *testing.T, o netlab.Options, test func(t *testing.T, lab *netlab.Bridge, fast bool)) {
	t.Run("threads", func(t *testing.T) {
		netlab.RequireRoot(t)
		test(t, netlab.NewBridgeWith(t, o), false)
	})
	t.Run("fast path", func(t *testing.T) {
		netlab.Needs(t, netlab.FastPath)
		test(t, plainLab(t, o), true)
	})
}

// mustUseFastPath demands that no interface is denied the fast path.
func (d *device) mustUseFastPath() {
	d.t.Helper()
	netlab.Needs(d.t, netlab.FastPath)
	wanted, why := d.FastPath()
	if !wanted || slices.ContainsFunc(why, func(s string) bool { return s != "" }) {
		d.t.Fatalf("fast path: %v %q", wanted, why)
	}
}

// outcome is all that can be seen of frames that passed a device, apart from times.
type outcome struct {
	Out    [2][][]byte // by interface of reception
	Stats  []dataplane.PortStats
	MACs   []dataplane.MACTable
	Types  []dataplane.TypeTable
	Tapped []string
	Place  dataplane.Place // of the length fault
}

// allThatCome stands for the number of frames that the device has sent.
const allThatCome = -1

// through sends the same frames both ways through a device under a policy. It waits
// until arrive frames have arrived and tapped copies were made, which may come after the frames.
func through(t *testing.T, fast bool, frames [][]byte, arrive, tapped int, change func(*policy.Policy)) (o outcome) {
	t.Helper()
	lab := plainLab(t, netlab.Options{})
	q := newQueue(t, 4096)
	d := newDevice(t, lab, dataplane.Config{Queue: q, FastPath: fast})
	d.wish(change)
	d.mustStart()
	if fast {
		d.mustUseFastPath()
	}
	for i, way := range []struct {
		from *netlab.Namespace
		send string
		to   *netlab.Namespace
		take string
	}{{lab.Src, netlab.S0, lab.Snk, netlab.K1}, {lab.Snk, netlab.K1, lab.Src, netlab.S0}} {
		r := way.to.NewReceiver(way.take)
		s := way.from.NewSender(way.send, true)
		for rest := frames; len(rest) > 0; {
			n := min(100, len(rest))
			if err := s.Send(rest[:n]...); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			d.await("all frames received", func() bool { return d.stats(i).RX == uint64(len(frames)-len(rest)) })
		}
		arriving := arrive
		if arrive == allThatCome {
			d.await("nothing is held", func() bool { return d.stats(i).Held == 0 })
			arriving = int(d.stats(1 - i).TX)
		}
		var err error
		if o.Out[i], err = r.Collect(arriving, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		if arrive != allThatCome { // faults change numbers and order
			inOrder(t, fmt.Sprintf("fast path %v, interface %d", fast, i), o.Out[i])
		}
		// The addresses decide which engine takes a frame, so the frames of a flow stay in order.
		slices.SortStableFunc(o.Out[i], func(a, b []byte) int { return slices.Compare(flow(a), flow(b)) })
		r.Close()
		s.Close()
	}
	d.await("nothing is held", func() bool { return d.stats(0).Held+d.stats(1).Held == 0 })
	d.await("all are tapped", func() bool { return d.stats(0).TapQualified+d.stats(1).TapQualified >= uint64(tapped) })
	d.checkBooks()
	now := d.Snapshot(false)
	o.Stats, o.Place = d.AllStats(), now.Ports[0].Where[policy.FaultLength]
	for i := range 2 {
		k, s := now.Ports[i].Kernel, o.Stats[i]
		if k.RX > s.RX || k.TX > s.TX || k.RXBytes > s.RXBytes || k.TXBytes > s.TXBytes || !fast && k != (dataplane.PathStats{}) {
			t.Errorf("fast path %v, interface %d: %+v of %+v in the kernel", fast, i, k, s)
		}
		macs, err := d.MACs(i)
		if err != nil {
			t.Fatal(err)
		}
		types, err := d.Types(i)
		if err != nil {
			t.Fatal(err)
		}
		for j := range macs.Rows {
			macs.Rows[j].Seen = time.Time{}
		}
		// Two engines see the frames at different times, so the last source and its time may differ.
		for j := range types.Types {
			types.Types[j].Seen, types.Types[j].Last = time.Time{}, policy.MAC{}
		}
		for j := range types.VLANs {
			types.VLANs[j].Seen, types.VLANs[j].Last = time.Time{}, policy.MAC{}
		}
		o.MACs, o.Types = append(o.MACs, macs), append(o.Types, types)
	}
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, r := range drainQueue(t, c) {
		o.Tapped = append(o.Tapped, fmt.Sprintf("%d %v %d %x", r.Interface, r.Direction, r.Fault, r.Data))
	}
	// A thread taps a batch on its way in, then on its way out, and the kernel taps its frames in
	// between. So the order holds within each flow and direction.
	way := func(s string) string { return s[:len("0 1 0 ")+2*len(flow(frames[0]))] }
	slices.SortStableFunc(o.Tapped, func(a, b string) int { return strings.Compare(way(a), way(b)) })
	return o
}

// flow is what distinguishes flows here: addresses and Ethertype. A kernel that receives several
// frames at once gives frames of a type that only a packet socket wants to that socket after the
// others.
func flow(frame []byte) []byte { return frame[:14] }

// inOrder demands that the frames of each flow have ascending numbers.
func inOrder(t *testing.T, what string, frames [][]byte) {
	t.Helper()
	last := map[string]uint64{}
	for i, f := range frames {
		n, ok := netlab.Seq(f)
		if key := string(flow(f)); ok {
			if before := last[key]; n < before {
				t.Errorf("%s: frame %d of flow %x has number %d and comes after %d", what, i, key, n, before)
			}
			last[key] = n
		}
	}
}

func numberOf(m policy.MAC) (n int64) {
	for _, b := range m {
		n = n<<8 | int64(b)
	}
	return n
}

// The same capture passes through both engines, under every kind of policy. Counters, tables,
// outputs and taps are identical.
func TestFastPathDoesWhatTheThreadsDo(t *testing.T) {
	src := policy.MAC(netlab.SrcMAC) // Mix varies the last byte from 1 to 8
	sender := func(n byte) policy.MAC { m := src; m[5] = n; return m }
	frames := netlab.Mix(7, 600)
	for level := range 6 { // 0…5 tags
		f := netlab.Frame{Type: 0x86dd, Src: sender(4), Size: 100}
		if level > fastpath.MaxTags {
			// Filters in the kernel divert it, and the order of a flow in taps holds only as long as
			// all its frames go one way.
			f.Src = sender(9)
		}
		for i := range level {
			f.Tags = append(f.Tags, netlab.Tag{Type: []uint16{netlab.TypeQinQ, netlab.TypeVLAN}[i%2], TCI: uint16(100 * level)})
		}
		f.Seq = uint64(len(frames))
		frames = append(frames, f.Bytes())
	}
	from := func(n byte) (count int) {
		for _, f := range frames {
			if f[11] == n {
				count++
			}
		}
		return count
	}
	for _, test := range []struct {
		name   string
		drop   int // number of frames that do not arrive
		change func(*policy.Policy)
	}{
		{"nothing", 0, func(p *policy.Policy) {}},
		{"drop list", from(3), func(p *policy.Policy) { p.Drop = p.Drop.With(sender(3)) }},
		{"RX tap", 0, func(p *policy.Policy) { p.Taps[0].RX[0] = true }},
		{"TX tap of one sender", 0, func(p *policy.Policy) { p.Taps[0].TX[1] = true; p.Taps[0].MACs = p.Taps[0].MACs.With(sender(5)) }},
		{"faults of one sender, all taps of another, a drop list", from(1) + from(2), func(p *policy.Policy) {
			for i := range p.Ports {
				p.Taps[0].RX[i], p.Taps[0].TX[i] = true, true
				p.Ports[i].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 1}}
			}
			p.Fault = p.Fault.With(sender(1))
			p.Drop = p.Drop.With(sender(2))
			p.Taps[0].MACs = p.Taps[0].MACs.With(sender(2), sender(6))
		}},
		{"filters of taps, one of headers, one of bytes", 0, func(p *policy.Policy) {
			for i := range p.Ports {
				p.Taps[0].RX[i], p.Taps[0].TX[i] = true, true
				p.Taps[0].RXFilter[i] = policy.Filter{Source: "udp?", Tree: predicate.Is{Any: predicate.UDP}}
				p.Taps[0].TXFilter[i] = filterOf(t, "outbound and (vlan or less 100)")
			}
		}},
		{"a filter that drops, one of faults, and the lists", from(1) + from(2) + from(3), func(p *policy.Policy) {
			for i := range p.Ports {
				p.Taps[0].TX[i], p.Taps[0].TXFilter[i] = true, filterOf(t, "ether src host "+sender(4).String())
				p.Ports[i].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 1}}
			}
			p.DropFilter = filterOf(t, "ether src host "+sender(1).String())
			p.Drop = p.Drop.With(sender(2))
			p.FaultFilter = policy.Filter{Source: "third?", Tree: predicate.Compare{A: predicate.MACSource, B: predicate.Number(numberOf(sender(3)))}}
			p.Fault = p.Fault.With(sender(3), sender(5))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slow := through(t, false, frames, len(frames)-test.drop, 0, test.change)
			fast := through(t, true, frames, len(frames)-test.drop, len(slow.Tapped), test.change)
			if len(slow.Out[0]) != len(frames)-test.drop {
				t.Errorf("%d frames came, want %d", len(slow.Out[0]), len(frames)-test.drop)
			}
			for i := range 2 {
				compare(t, fast.Out[i], slow.Out[i])
			}
			for _, c := range []struct {
				what       string
				slow, fast any
			}{
				{"counters", slow.Stats, fast.Stats}, {"sources", slow.MACs, fast.MACs},
				{"types", slow.Types, fast.Types}, {"taps", slow.Tapped, fast.Tapped},
			} {
				if !reflect.DeepEqual(c.slow, c.fast) {
					slow, fast := fmt.Sprintf("%+v", c.slow), fmt.Sprintf("%+v", c.fast)
					same := 0
					for same < min(len(slow), len(fast)) && slow[same] == fast[same] {
						same++
					}
					same = max(0, same-200)
					t.Errorf("%s differ, %d and %d bytes, from %d on:\nthreads   %.2000s\nfast path %.2000s", c.what, len(slow), len(fast), same, slow[same:], fast[same:])
				}
			}
		})
	}
}

// With the same seed both engines spoil the same frames in the same way, and count and mark the same. A frame
// that is sent twice goes to the thread, and may be overtaken, so the frames are compared without their order.
func TestFaultsAreTheSameOnBothEngines(t *testing.T) {
	frames := netlab.Mix(9, 600)
	some := policy.Chance{Probability: 15000}
	fifth, err := policy.TraceOf("fifth", []policy.Step{{Loss: 20000}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		place  dataplane.Place // with the fast path
		fault  policy.Fault
		filter string // of the TX taps
	}{
		{"losses", dataplane.InKernel, policy.Fault{Length: policy.Chance{Every: 1000}, Drop: policy.Chance{Probability: 20000, Correlation: 50000}, Burst: policy.Burst{Enter: 5000, Leave: 30000, LossBad: 90000, LossGood: 1000}}, ""},
		{"every third, every fourth", dataplane.InKernel, policy.Fault{Drop: policy.Chance{Every: 3}, Bitflip: policy.Chance{Every: 4}, Length: policy.Chance{Every: 5}}, ""},
		{"all by chance", dataplane.InKernel, policy.Fault{Drop: some, Bitflip: some, Length: some, Dup: some}, ""},
		{"with faults that only threads know", dataplane.InThreads, policy.Fault{Trace: fifth, Drop: policy.Chance{Every: 5}, Corrupt: some, ECN: some, Length: some}, ""},
		{"all, and a delay", dataplane.InThreads, policy.Fault{Drop: some, Bitflip: some, Length: some, Dup: some, Delay: time.Millisecond, Reorder: some}, ""},
		{"all by chance, and a filter for what is sent", dataplane.InThreads, policy.Fault{Drop: some, Bitflip: some, Length: some, Dup: some}, "outbound and len < 300"},
		{"a bit of each, and a filter that looks at it", dataplane.InThreads, policy.Fault{Length: policy.Chance{Every: 100}, Drop: policy.Chance{Every: 50}, Bitflip: policy.Chance{Every: 1}}, "not (ether[14] & 1 = 0 and ether[20] & 0xf < 8)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.fault.Enabled = true
			change := func(p *policy.Policy) {
				p.Seed = policy.Seed{Seed: 11, Epoch: p.Seed.Epoch + 1}
				for i := range p.Ports {
					p.Taps[0].RX[i], p.Taps[0].TX[i] = true, true
					if test.filter != "" {
						p.Taps[0].TXFilter[i] = filterOf(t, test.filter)
					}
					p.Ports[i].Fault = test.fault
				}
			}
			slow := through(t, false, frames, allThatCome, 2*len(frames), change)
			fast := through(t, true, frames, allThatCome, len(slow.Tapped), change)
			if slow.Place != dataplane.InThreads || fast.Place != test.place {
				t.Errorf("length: done in %s, and with the fast path in %s, want %s", slow.Place, fast.Place, test.place)
			}
			for i := range 2 {
				for _, o := range []*outcome{&slow, &fast} {
					slices.SortFunc(o.Out[i], bytes.Compare)
				}
				compare(t, fast.Out[i], slow.Out[i])
			}
			slices.Sort(slow.Tapped)
			slices.Sort(fast.Tapped)
			if !slices.Equal(slow.Tapped, fast.Tapped) {
				for i := range min(len(slow.Tapped), len(fast.Tapped)) {
					if slow.Tapped[i] != fast.Tapped[i] {
						t.Fatalf("%d and %d copies; %d:\nthreads   %s\nfast path %s", len(slow.Tapped), len(fast.Tapped), i, slow.Tapped[i], fast.Tapped[i])
					}
				}
				t.Fatalf("%d and %d copies", len(slow.Tapped), len(fast.Tapped))
			}
			if !reflect.DeepEqual(slow.Stats, fast.Stats) {
				t.Errorf("threads   %+v\nfast path %+v", slow.Stats, fast.Stats)
			}
			if s := slow.Stats[0]; s.DroppedByFI == 0 || s.RX != uint64(len(frames)) {
				t.Errorf("nothing happened: %+v", s)
			}
		})
	}
}

// Switching the fast path, filters, faults and the rest of the policy while frames flow loses no frame and doubles none
// but those that faults lose and double, and the accounts close all the time.
func TestFastPathChangesUnderTraffic(t *testing.T) {
	netlab.Needs(t, netlab.FastPath)
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	r := lab.Snk.NewReceiver(netlab.K1)
	s := lab.Src.NewSender(netlab.S0, true)
	changes := 100
	if netlab.InGuest() { // each change of a filter loads a program, which takes some seconds there
		changes = 18
	}
	changed := make(chan struct{})
	faults := []policy.Fault{
		{}, {Enabled: true}, {Enabled: true, Drop: policy.Chance{Every: 40}}, {Enabled: true, Dup: policy.Chance{Every: 30}},
		{}, {Enabled: true, Drop: policy.Chance{Every: 50}, Delay: time.Millisecond},
	}
	none := []policy.Filter{{}, filterOf(t, "arp"), filterOf(t, "tcp port 443 and host 10.99.0.1"), {Source: "tcp?", Tree: predicate.Is{Any: predicate.TCP}}}
	go func() {
		for i := range changes {
			if i%4 == 0 {
				_ = lab.Dut.Do(func() error { return d.SetFastPath(i%12 != 8) })
			}
			_ = d.Update(func(p *policy.Policy) error {
				p.Taps[0].RX[0], p.Taps[0].RXFilter[0] = i%2 == 0, none[i/2%4]
				p.DropFilter = none[i%4]
				p.Ports[0].Fault = faults[i%len(faults)]
				return nil
			})
			for _, b := range balances(d.Engine) {
				if b.Difference != 0 {
					t.Errorf("change %d: %+v", i, b)
				}
			}
			changed <- struct{}{}
		}
	}()
	total := 0
	send := func(n int) {
		t.Helper()
		for range n {
			if err := s.Send(netlab.UDP(64+total%1400, uint64(total))); err != nil {
				t.Fatal(err)
			}
			total++
		}
		time.Sleep(time.Millisecond)
	}
	for range changes { // frames come during each change, and then as many as each fault needs
		for done := false; !done; {
			send(1)
			if netlab.InGuest() { // a change takes so long that its frames would fill every buffer
				time.Sleep(10 * time.Millisecond)
			}
			select {
			case <-changed:
				done = true
			default:
			}
		}
		for range 4 {
			send(15)
		}
	}
	d.await("all are sent on", func() bool { return d.stats(0).RX == uint64(total) && d.stats(0).Held == 0 })
	st := d.stats(0)
	lost, doubled := int(st.DroppedByFI), int(st.ByFI[policy.FaultDup])
	if lost == 0 || doubled == 0 {
		t.Errorf("no faults: %+v", st)
	}
	frames, err := r.Collect(total-lost+doubled, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]int, total)
	for _, f := range frames {
		n, _ := netlab.Seq(f)
		seen[n]++
	}
	if len(frames) != total-lost+doubled || len(seen) != total-lost {
		t.Errorf("%d frames came, %d different ones; %d were sent, %d lost and %d doubled by faults", len(frames), len(seen), total, lost, doubled)
	}
	if out := d.stats(1); st.Err != 0 || out.TX != uint64(len(frames)) || out.TXBytes != bytesOf(frames) {
		t.Errorf("%+v, %d frames and %d bytes sent on, %d came", st, out.TX, out.TXBytes, bytesOf(frames))
	}
	d.checkBooks()
}

func bytesOf(frames [][]byte) (n uint64) {
	for _, f := range frames {
		n += uint64(len(f))
	}
	return n
}

// A veth whose other end has no NAPI takes no redirected frames. The log says so with the command
// that fixes it, and the threads take its frames. Once that is done, the frames stay in the kernel again.
func TestFastPathFallsBack(t *testing.T) {
	netlab.Needs(t, netlab.FarEnd)
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{FastPath: true})
	lab.Snk.SetFeature(netlab.K1, "rx-gro", false)
	d.mustStart()
	if _, why := d.FastPath(); why[0] == "" || why[1] != "" || d.said("ethtool -K k1 gro on") == 0 {
		t.Errorf("fast path without NAPI: %q", why)
	}
	if p := d.Ports(); p[0].FastPath != "fastpath:refused" || p[1].FastPath != "fastpath" {
		t.Errorf("%+v", p)
	}
	frames := numbered(300)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
	lab.Snk.SetFeature(netlab.K1, "rx-gro", true)
	d.await("the fast path is used again", func() bool { _, why := d.FastPath(); return why[0] == "" })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)

	// NAPI is switched off while the engine runs. Frames that are lost until the engine notices are
	// counted.
	lab.Snk.SetFeature(netlab.K1, "rx-gro", false)
	s := lab.Src.NewSender(netlab.S0, true)
	r := lab.Snk.NewReceiver(netlab.K1)
	const more = 200
	for i := range uint64(more) {
		if err := s.Send(netlab.UDP(64+5*int(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	d.await("all is accounted for", func() bool {
		st := d.stats(0)
		return st.RX == uint64(2*len(frames)+more) && st.Held == 0
	})
	lost := int(d.stats(0).Err)
	got, err := r.Collect(more-lost, 20*time.Second)
	if err != nil || len(got) != more-lost || lost > 32 {
		t.Errorf("%d frames came, %d are counted as err, %d were sent: %v", len(got), lost, more, err)
	}
	d.await("that is said", func() bool { _, why := d.FastPath(); return why[0] != "" })

	// The bytes of lost frames never count as sent.
	lab.Snk.SetFeature(netlab.K1, "rx-gro", true)
	d.await("the fast path is used once more", func() bool { _, why := d.FastPath(); return why[0] == "" })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	if sent, want := d.stats(1).TXBytes, bytesOf(got)+3*bytesOf(frames); sent != want {
		t.Errorf("%d bytes are counted as sent, %d came", sent, want)
	}
	d.checkBooks()
}

func TestFastPathWhereItCannotBe(t *testing.T) {
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{FastPath: true, Attach: nic.AttachSKB})
	d.mustStart()
	if wanted, why := d.FastPath(); !wanted || why[0] == "" || why[1] == "" || d.said("generic XDP") == 0 {
		t.Errorf("%v %q", wanted, why)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, numbered(100))
	d.checkBooks()
}

func TestFastPathOfAMirror(t *testing.T) {
	lab := fastLab(t)
	q := newQueue(t, 1024)
	d := newDevice(t, lab, dataplane.Config{FastPath: true, Queue: q, Interfaces: []string{netlab.D0}})
	d.mustStart()
	d.mustUseFastPath()
	s := lab.Src.NewSender(netlab.S0, true)
	send := func() {
		t.Helper()
		if err := s.Send(netlab.Mix(2, 100)...); err != nil {
			t.Fatal(err)
		}
	}
	send()
	d.await("100 frames", func() bool { return d.stats(0).RX == 100 })
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0] = true })
	send()
	d.await("200 frames", func() bool { return d.stats(0).RX == 200 })
	if st := d.stats(0); st.Mirrored != 200 || st.TapStored != 100 {
		t.Errorf("%+v", st)
	}
	d.checkBooks()
	// Counters outlive a stop, and begin at 0 after a reset.
	d.mustStop()
	if st := d.stats(0); st.Mirrored != 200 {
		t.Errorf("after a stop: %+v", st)
	}
	d.ResetStats()
	d.mustStart()
	send()
	d.await("100 frames after the reset", func() bool { return d.stats(0).RX == 100 })
	if m, err := d.MACs(0); err != nil || len(m.Rows) == 0 {
		t.Errorf("%+v %v", m, err)
	}
	d.ResetMACs()
	if m, err := d.MACs(0); err != nil || len(m.Rows) != 0 {
		t.Errorf("after a reset: %+v %v", m, err)
	}
}

// Frames of several buffers stay in the kernel. A queue gets as much of them as a slot holds. The
// copies are more than the ring holds at once.
func TestFastPathOfJumboFrames(t *testing.T) {
	netlab.NeedsKernel(t, 6, 6, "frames of several chunks")
	netlab.Needs(t, netlab.FastPath)
	lab := plainLab(t, netlab.Options{MTU: 9000})
	q := newQueue(t, 4096)
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := newDevice(t, lab, dataplane.Config{Queue: q, FastPath: true})
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true })
	d.mustStart()
	d.mustUseFastPath()
	const n = 1500
	var frames [][]byte
	for i := range uint64(n) {
		frames = append(frames, netlab.UDP(9014-int(i), i))
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames[:100])
	d.await("all is in the queue", func() bool { return d.stats(1).TapStored == n })
	seen := map[shm.Direction]int{}
	for _, r := range drainQueue(t, c) {
		want := frames[seen[r.Direction]%n]
		seen[r.Direction]++
		if int(r.OrigLen) != len(want) || len(r.Data) != min(len(want), q.Room()) || !bytes.HasPrefix(want, r.Data) {
			t.Fatalf("record %d: %d bytes of %d, sent %d", seen[r.Direction]-1, len(r.Data), r.OrigLen, len(want))
		}
	}
	if stored := d.stats(0).TapStored + d.stats(1).TapStored; seen[shm.RX]+seen[shm.TX] != int(stored) {
		t.Errorf("%v records, %d stored", seen, stored)
	}
	if s := d.stats(0); s.RX != n || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	if st, err := q.Status(); err != nil || st.Truncated != st.Inserted { // even where the copy is no longer than a slot
		t.Errorf("%+v, %v", st, err)
	}
	d.checkBooks()
}

// The dice go on where they were, or begin anew, whoever takes the frames then: every fifth frame is lost.
func TestDiceGoOnWhenTheFastPathIsSwitched(t *testing.T) {
	netlab.Needs(t, netlab.FastPath)
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{FastPath: true})
	d.wish(func(p *policy.Policy) {
		p.Ports[0].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 5}}
	})
	d.mustStart()
	d.mustUseFastPath()
	s := lab.Src.NewSender(netlab.S0, true)
	r := lab.Snk.NewReceiver(netlab.K1)
	sent, lost, since := 0, 0, 0 // since is the number of frames since the dice began
	send := func(n int) {
		t.Helper()
		arriving := 0
		for range n {
			sent++
			if since++; since%5 == 0 {
				lost++
			} else {
				arriving++
			}
			if err := s.Send(netlab.UDP(100, uint64(since))); err != nil {
				t.Fatal(err)
			}
		}
		frames, err := r.Collect(arriving, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if number, _ := netlab.Seq(f); number%5 == 0 {
				t.Errorf("frame %d of %d came", number, since)
			}
		}
		d.await("all are counted", func() bool { st := d.stats(0); return st.RX == uint64(sent) && st.DroppedByFI == uint64(lost) })
	}
	turn := func(on bool) func() {
		return func() {
			if err := lab.Dut.Do(func() error { return d.SetFastPath(on) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	seed := func() {
		d.wish(func(p *policy.Policy) { p.Seed = policy.Seed{Seed: 42, Epoch: p.Seed.Epoch + 1} })
		since = 0
	}
	trace := func(steps ...policy.Step) func() {
		return func() {
			var tr policy.Trace
			if len(steps) > 0 {
				tr, _ = policy.TraceOf("of no loss", steps, 0)
			}
			if err := d.Trace(0, tr); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, change := range []func(){
		turn(false), turn(true), turn(false),
		seed, turn(true), seed, turn(false), turn(true),
		trace(policy.Step{}), trace(), trace(policy.Step{}), turn(false), turn(true), trace(), trace(policy.Step{}), seed, trace(),
	} {
		send(7)
		change()
	}
	send(7)
	d.checkBooks()
}

// The programs of a bypass go on with their dice until a start takes them over. Then the dice begin anew, as at
// every start: in another process, whose seed may be the same, as in this one.
func TestDiceBeginAnewWhenABypassIsTakenOver(t *testing.T) {
	netlab.Needs(t, netlab.FastPath, netlab.Bypass)
	lab := fastLab(t)
	c := dataplane.Config{FastPath: true, BypassDir: pinDir(t), RunDir: t.TempDir()}
	s := lab.Src.NewSender(netlab.S0, true)
	r := lab.Snk.NewReceiver(netlab.K1)
	engine := func() *device {
		d := newDevice(t, lab, c)
		d.wish(func(p *policy.Policy) {
			p.Seed = policy.Seed{Seed: 42, Epoch: p.Seed.Epoch + 1}
			p.Ports[0].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 5}}
		})
		return d
	}
	run := func(d *device) {
		t.Helper()
		d.mustStart()
		d.mustUseFastPath()
		for i := range uint64(7) {
			if err := s.Send(netlab.UDP(100, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		frames, err := r.Collect(6, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if number, _ := netlab.Seq(f); number == 5 {
				t.Error("the fifth frame after the start came")
			}
		}
	}
	first := engine()
	first.bypass(true)
	run(first)
	first.mustStop()
	second := engine()
	run(second)
	if second.said("taking over") != 1 {
		t.Error("it has taken over nothing")
	}
	second.mustStop()
	run(second)
	second.bypass(false)
	second.mustStop()
}

// Frames that faults spare leave in front of their chunks what the programs said of them. Once the fast path is
// off, frames in the same chunks are not spared by that.
func TestSparedFramesLeaveNoDice(t *testing.T) {
	netlab.Needs(t, netlab.FastPath)
	lab := fastLab(t)
	lab.Src.SetMTU(netlab.S0, 1600)
	lab.Dut.SetMTU(netlab.D0, 1600)
	d := newDevice(t, lab, dataplane.Config{FastPath: true, Rings: 64})
	spoiled, spared := netlab.MAC{2, 0, 0, 0, 0, 0xa}, netlab.MAC{2, 0, 0, 0, 0, 0xb}
	d.wish(func(p *policy.Policy) {
		p.Ports[0].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Probability: policy.Certain}}
		p.Fault = p.Fault.With(policy.MAC(spoiled))
	})
	d.mustStart()
	d.mustUseFastPath()
	s := lab.Src.NewSender(netlab.S0, true)
	sent := uint64(0)
	send := func(f netlab.Frame) {
		t.Helper()
		for range 400 {
			f.Seq = sent
			if err := s.Send(f.Bytes()); err != nil {
				t.Fatal(err)
			}
			if sent++; sent%20 == 0 {
				d.await("they are received", func() bool { return d.stats(0).RX == sent })
			}
		}
	}
	// A frame that is too long for a redirect goes to the thread.
	send(netlab.Frame{Src: spared, Size: 1522, Tags: []netlab.Tag{{Type: netlab.TypeQinQ, TCI: 5}, {Type: netlab.TypeVLAN, TCI: 6}}})
	if n := d.Snapshot(false).Ports[0].Kernel.RX; n != 0 {
		t.Fatalf("%d frames stayed in the kernel", n)
	}
	if err := lab.Dut.Do(func() error { return d.SetFastPath(false) }); err != nil {
		t.Fatal(err)
	}
	send(netlab.Frame{Src: spoiled, Size: 200})
	if st := d.stats(0); st.DroppedByFI != 400 {
		t.Errorf("%d of 400 frames are lost, which all should be", st.DroppedByFI)
	}
	d.checkBooks()
}
