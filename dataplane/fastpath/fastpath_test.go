// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"structs"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/xsk"
	"ethertap/lib/predicate"
	"ethertap/tests/netlab"
)

// These are the programs' answers. Without sockets, a diverted frame goes on to the network stack
// of the kernel.
const (
	dropped   = 1
	diverted  = 2
	forwarded = 4
)

// loopback is an interface that every namespace has. Nothing is sent there: a test run ends with
// the answer of the program.
const loopback = 1

// path is a Path under test with its statistics.
type path struct {
	*Path
	*Stats
}

func load(t testing.TB, c Config) *path {
	t.Helper()
	netlab.RequireRoot(t)
	if c.Links == nil {
		c.Links = []int{loopback, loopback}
	}
	stats, err := NewStats()
	if err != nil {
		t.Fatal(err)
	}
	c.Stats = stats
	p, err := Load(c)
	if v := (*ebpf.VerifierError)(nil); errors.As(err, &v) {
		t.Fatalf("%+v", v)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), stats.Close()); err != nil {
			t.Error(err)
		}
	})
	return &path{p, stats}
}

func apply(t testing.TB, p *path, r Rules) {
	t.Helper()
	if err := p.Apply(&r); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, p *path, port int, frame []byte) uint32 {
	t.Helper()
	out := make([]byte, len(frame)+256)
	action, err := p.Program(port).Run(&ebpf.RunOptions{Data: frame, DataOut: out})
	if err != nil {
		t.Fatal(err)
	}
	if string(out[:len(frame)]) != string(frame) {
		t.Errorf("the frame was changed: %x is %x", frame, out[:len(frame)])
	}
	return action
}

// counts returns the counts of a port, without errors, summed over the queues.
func counts(t *testing.T, p *path, port int) (sum Counts) {
	t.Helper()
	all, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all[port] {
		sum.Forwarded += c.Forwarded
		sum.Dropped += c.Dropped
		sum.NoIf += c.NoIf
		sum.Mirrored += c.Mirrored
		sum.Bypassed += c.Bypassed
		for i := range c.Suffered {
			sum.Suffered[i] += c.Suffered[i]
		}
		for i := range MaxTaps {
			sum.MissedRX[i] += c.MissedRX[i]
			sum.MissedTX[i] += c.MissedTX[i]
		}
	}
	return sum
}

// since returns the counts between two reads.
func since(before, now Counts) Counts {
	for _, c := range []struct{ now, before *uint64 }{
		{&now.Forwarded, &before.Forwarded}, {&now.Dropped, &before.Dropped}, {&now.NoIf, &before.NoIf},
		{&now.Mirrored, &before.Mirrored}, {&now.Bypassed, &before.Bypassed},
	} {
		*c.now -= *c.before
	}
	for i := range now.Suffered {
		now.Suffered[i] -= before.Suffered[i]
	}
	for i := range MaxTaps {
		now.MissedRX[i] -= before.MissedRX[i]
		now.MissedTX[i] -= before.MissedTX[i]
	}
	return now
}

var (
	macA = MAC{2, 0, 0, 0, 0, 0xa}
	macB = MAC{2, 0, 0, 0, 0, 0xb}
	macC = MAC{2, 0, 0, 0, 0, 0xc}
)

// Every way through the chain: what becomes of a frame from A to B received on port 0, and where it
// is counted.
func TestChain(t *testing.T) {
	bridge := PortRules{Forward: true}
	with := func(changes ...func(*Rules)) (r Rules) {
		r.Port = [2]PortRules{bridge, bridge}
		r.Kept = 2048
		for _, c := range changes {
			c(&r)
		}
		return r
	}
	tapRX := func(r *Rules) { r.Taps[0].RX[0] = true }
	tapTX := func(r *Rules) { r.Taps[0].TX[1] = true }
	of := func(list ...MAC) func(*Rules) {
		return func(r *Rules) { r.Taps[0].Choosy, r.Taps[0].MACs = true, list }
	}
	feed := func(n int, list ...MAC) func(*Rules) {
		return func(r *Rules) {
			r.Taps[n] = Tap{RX: [2]bool{true, false}, TX: [2]bool{false, true}, Choosy: len(list) > 0, MACs: list}
		}
	}
	fault := func(r *Rules) { r.Port[0].Fault, r.Port[0].Away = true, true }
	faultOf := func(list ...MAC) func(*Rules) { return func(r *Rules) { r.Fault = list } }
	drop := func(list ...MAC) func(*Rules) { return func(r *Rules) { r.Drop = list } }
	mirror := func(r *Rules) { r.Port[0].Forward = false }
	divert := func(r *Rules) { r.Port[0].Divert = true }
	divertOther := func(r *Rules) { r.Port[1].Divert = true }
	copying := func(r *Rules) { r.Copy = true }
	longest := func(n int) func(*Rules) { return func(r *Rules) { r.Port[0].Longest = n } } // the frame has 64 bytes
	whole := func(r *Rules) { r.Port[0].Whole = true }
	bypass := func(r *Rules) { r.Bypass = time.Minute } // no thread has ever been alive, and there is no socket
	alone := func(r *Rules) { r.Alone = true }
	yes, no := compiled(t, isFrom(macA)), compiled(t, isFrom(macC))
	rxFilter := func(f *predicate.Code) func(*Rules) { return func(r *Rules) { r.Taps[0].RXFilter[0] = f } }
	txFilter := func(f *predicate.Code) func(*Rules) { return func(r *Rules) { r.Taps[0].TXFilter[1] = f } }
	dropFilter := func(f *predicate.Code) func(*Rules) { return func(r *Rules) { r.DropFilter = f } }
	faultFilter := func(f *predicate.Code) func(*Rules) { return func(r *Rules) { r.FaultFilter = f } }
	type taps struct{ rx, tx uint16 }
	p := load(t, Config{}) // of all cases: programs take longer to load than everything else
	ring := p.reader(t)
	if action := run(t, p, 0, netlab.UDP(64, 1)); action != diverted {
		t.Errorf("before there are rules: action %d", action)
	}
	for _, test := range []struct {
		name   string
		rules  Rules
		gone   bool // the other interface is gone
		action uint32
		counts Counts
		copy   taps // 0 means that there is none
	}{
		{"bridge", with(), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"bridge whose other side is gone", with(), true, dropped, Counts{NoIf: 1}, taps{}},
		{"mirror", with(mirror), false, dropped, Counts{Mirrored: 1}, taps{}},
		{"divert", with(divert), false, diverted, Counts{}, taps{}},
		{"divert of the other port", with(divertOther), false, forwarded, Counts{Forwarded: 1}, taps{}},

		{"RX tap", with(tapRX), false, diverted, Counts{}, taps{}},
		{"RX tap of a mirror", with(mirror, tapRX), false, diverted, Counts{}, taps{}},
		{"RX tap of the source", with(tapRX, of(macA)), false, diverted, Counts{}, taps{}},
		{"RX tap of the destination", with(tapRX, of(macB)), false, diverted, Counts{}, taps{}},
		{"RX tap of another address", with(tapRX, of(macC)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"RX tap of an address that others drop", with(tapRX, of(macC), drop(macB)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"RX tap of another address in a mirror", with(mirror, tapRX, of(macC)), false, dropped, Counts{Mirrored: 1}, taps{}},
		{"RX tap of what is dropped", with(tapRX, drop(macA)), false, diverted, Counts{}, taps{}},
		{"RX tap of the other port", with(func(r *Rules) { r.Taps[0].RX[1] = true }), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"TAP machash without taps", with(of(macA)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"a TAP machash of nobody", with(tapRX, of()), false, forwarded, Counts{Forwarded: 1}, taps{}},

		{"TX tap", with(tapTX), false, diverted, Counts{}, taps{}},
		{"TX tap of the source", with(tapTX, of(macA)), false, diverted, Counts{}, taps{}},
		{"TX tap of the destination", with(tapTX, of(macB)), false, diverted, Counts{}, taps{}},
		{"TX tap of another address", with(tapTX, of(macC)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"TX tap of what is dropped", with(tapTX, drop(macA)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"TX tap of a mirror", with(mirror, tapTX), false, dropped, Counts{Mirrored: 1}, taps{}},
		{"TX tap of the port of reception", with(func(r *Rules) { r.Taps[0].TX[0] = true }), false, forwarded, Counts{Forwarded: 1}, taps{}},

		{"as long as may be", with(longest(64)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"too long", with(longest(63)), false, diverted, Counts{}, taps{}},
		{"too long, tapped", with(longest(63), copying, tapRX, tapTX), false, diverted, Counts{}, taps{}},
		{"too long, in a mirror", with(longest(63), mirror), false, dropped, Counts{Mirrored: 1}, taps{}},
		{"too long, bypass", with(longest(63), bypass), false, forwarded, Counts{Forwarded: 1, Bypassed: 1}, taps{}},
		{"in one buffer, where several are not taken", with(whole), false, forwarded, Counts{Forwarded: 1}, taps{}},

		{"drop", with(drop(macA)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"drop when the other side is gone", with(drop(macA)), true, dropped, Counts{NoIf: 1}, taps{}},
		{"drop of a mirror", with(mirror, drop(macA)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"drop of the destination", with(drop(macB)), false, forwarded, Counts{Forwarded: 1}, taps{}},

		{"fault", with(fault), false, diverted, Counts{}, taps{}},
		{"fault of the source", with(fault, faultOf(macA)), false, diverted, Counts{}, taps{}},
		{"fault of the destination", with(fault, faultOf(macB)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"fault of what is dropped", with(fault, faultOf(macA), drop(macA)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"fault of a mirror", with(mirror, fault), false, dropped, Counts{Mirrored: 1}, taps{}},
		{"fault machash without faults", with(faultOf(macA)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"an address in all sets", with(of(macA), drop(macA), faultOf(macA)), false, dropped, Counts{Dropped: 1}, taps{}},

		{"copy: nothing tapped", with(copying), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"copy: RX tap", with(copying, tapRX), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"copy: TX tap", with(copying, tapTX), false, forwarded, Counts{Forwarded: 1}, taps{0, 1}},
		{"copy: both taps", with(copying, tapRX, tapTX), false, forwarded, Counts{Forwarded: 1}, taps{1, 1}},
		{"copy: both taps of the destination", with(copying, tapRX, tapTX, of(macC, macB)), false, forwarded, Counts{Forwarded: 1}, taps{1, 1}},
		{"copy: both taps of another", with(copying, tapRX, tapTX, of(macC)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"copy: both taps of what is dropped", with(copying, tapRX, tapTX, drop(macA)), false, dropped, Counts{Dropped: 1}, taps{1, 0}},
		{"copy: both taps, the other side gone", with(copying, tapRX, tapTX), true, dropped, Counts{NoIf: 1}, taps{1, 0}},
		{"copy: both taps of a mirror", with(copying, mirror, tapRX, tapTX), false, dropped, Counts{Mirrored: 1}, taps{1, 0}},
		{"copy: with faults", with(copying, tapRX, fault), false, diverted, Counts{}, taps{}},
		{"copy: with faults of others", with(copying, tapRX, fault, faultOf(macC)), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"copy: further queues", with(copying, feed(1), feed(8, macA), feed(4, macC)), false, forwarded, Counts{Forwarded: 1}, taps{1<<1 | 1<<8, 1<<1 | 1<<8}},
		{"copy: a further queue of another, TAP of all", with(copying, tapRX, feed(3, macC)), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"copy: a further queue of all, TAP of another", with(copying, tapRX, of(macC), feed(3)), false, forwarded, Counts{Forwarded: 1}, taps{1 << 3, 1 << 3}},

		{"filter: RX tap of what matches", with(copying, tapRX, rxFilter(yes)), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"filter: RX tap of something else", with(copying, tapRX, rxFilter(no)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: TX tap of what matches", with(copying, tapTX, txFilter(yes)), false, forwarded, Counts{Forwarded: 1}, taps{0, 1}},
		{"filter: TX tap of something else", with(copying, tapTX, txFilter(no)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: each direction its own", with(copying, tapRX, tapTX, rxFilter(no), txFilter(yes)), false, forwarded, Counts{Forwarded: 1}, taps{0, 1}},
		{"filter: one tap's is not the other's", with(copying, tapRX, rxFilter(no), feed(8)), false, forwarded, Counts{Forwarded: 1}, taps{1 << 8, 1 << 8}},
		{"filter: machash and filter", with(copying, tapRX, rxFilter(yes), of(macC)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: of the other interface", with(copying, tapRX, func(r *Rules) { r.Taps[0].RXFilter[1] = no }), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"filter: without taps", with(rxFilter(yes), txFilter(yes)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: drop of what matches", with(dropFilter(yes)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"filter: drop of something else", with(dropFilter(no)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: machash or filter drops", with(dropFilter(no), drop(macA)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"filter: TX tap of what is dropped", with(copying, tapTX, dropFilter(yes)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"filter: drop of a mirror", with(mirror, dropFilter(yes)), false, dropped, Counts{Dropped: 1}, taps{}},
		{"filter: fault of what matches", with(fault, faultFilter(yes)), false, diverted, Counts{}, taps{}},
		{"filter: fault of something else", with(fault, faultFilter(no)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: fault machash and filter", with(fault, faultFilter(yes), faultOf(macC)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: fault, of none enabled", with(faultFilter(yes)), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"filter: fault of the source that another tap's filter lets by", with(copying, fault, faultOf(macA), tapRX, rxFilter(no)), false, diverted, Counts{}, taps{}},

		{"bypass: nothing to divert", with(bypass), false, forwarded, Counts{Forwarded: 1}, taps{}},
		{"bypass: divert", with(bypass, divert), false, forwarded, Counts{Forwarded: 1, Bypassed: 1}, taps{}},
		{"bypass: divert, the other side gone", with(bypass, divert), true, dropped, Counts{NoIf: 1, Bypassed: 1}, taps{}},
		{"bypass: fault", with(bypass, fault), false, forwarded, Counts{Forwarded: 1, Bypassed: 1}, taps{}},
		{"bypass: taps diverted", with(bypass, tapRX, tapTX), false, forwarded, Counts{Forwarded: 1, Bypassed: 1, MissedRX: [MaxTaps]uint64{1}, MissedTX: [MaxTaps]uint64{1}}, taps{}},
		{"bypass: taps copied", with(bypass, copying, tapRX), false, forwarded, Counts{Forwarded: 1}, taps{1, 0}},
		{"bypass: drop of what is diverted", with(bypass, divert, drop(macA)), false, dropped, Counts{Dropped: 1, Bypassed: 1}, taps{}},
		{"bypass: mirror", with(bypass, mirror, tapRX), false, diverted, Counts{}, taps{}},
		{"alone: fault", with(bypass, alone, fault), false, forwarded, Counts{Forwarded: 1, Bypassed: 1}, taps{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, ring := p, ring
			if test.gone {
				p = load(t, Config{})
				ring = p.reader(t)
			}
			if err := p.Reset(MACs); err != nil {
				t.Fatal(err)
			}
			before := [2]Counts{counts(t, p, 0), counts(t, p, 1)}
			apply(t, p, test.rules)
			if test.gone {
				if err := p.Path.maps[objectMapOutputs].Delete(uint32(0)); err != nil {
					t.Fatal(err)
				}
			}
			frame := netlab.Frame{Src: macA, Dst: macB, Size: 64}.Bytes()
			if action := run(t, p, 0, frame); action != test.action {
				t.Errorf("action %d, want %d", action, test.action)
			}
			if got := since(before[0], counts(t, p, 0)); got != test.counts {
				t.Errorf("counts %+v, want %+v", got, test.counts)
			}
			if got := since(before[1], counts(t, p, 1)); got != (Counts{}) {
				t.Errorf("the other port has %+v", got)
			}
			uncounted := test.counts == (Counts{})
			if rows, _ := table(t, p, 0, MACs); (len(rows) == 0) != uncounted {
				t.Errorf("sources: %v", rows)
			}
			if rows, _ := table(t, p, 1, MACs); len(rows) != 0 {
				t.Errorf("sources of the other port: %v", rows)
			}
			var want []taps
			if test.copy != (taps{}) {
				want = append(want, test.copy)
			}
			var got []taps
			for _, c := range drain(t, ring) {
				got = append(got, taps{c.RX, c.TX})
				if !bytes.Equal(c.frame, frame) || c.Length != 64 || c.Port != 0 {
					t.Errorf("copy %+v of frame %x", c, frame)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("copies for the taps %+v, want %+v", got, want)
			}
		})
	}
}

// reader opens the ring of queue 0 with a reader of another package.
func (p *path) reader(t *testing.T) *ringbuf.Reader {
	t.Helper()
	if _, size, err := p.Ring(0, 1<<16); err != nil || size != 1<<16 {
		t.Fatalf("ring of %d bytes: %v", size, err)
	}
	r, err := ringbuf.NewReader(p.rings[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	r.SetDeadline(time.Unix(1, 0)) // takes only what is there
	return r
}

type copied struct {
	Tapped
	frame []byte
}

func drain(t *testing.T, r *ringbuf.Reader) (list []copied) {
	t.Helper()
	for {
		record, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		head, frame, ok := ParseTapped(record.RawSample)
		if !ok {
			t.Fatalf("record %x", record.RawSample)
		}
		list = append(list, copied{head, frame})
	}
}

// Frames have every size for which a ring has room, and are cut where they are longer than kept. A
// frame that finds no room is counted for each tap that wanted it.
func TestCopies(t *testing.T) {
	p := load(t, Config{Frags: true})
	ring := p.reader(t)
	rules := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}, Copy: true, Kept: 5000}
	rules.Taps[0].RX[1] = true
	rules.Taps[2].TX[0] = true
	apply(t, p, rules)
	var now unix.Timespec
	for _, size := range []int{14, 60, 103, 104, 105, 231, 232, 233, 488, 489, 1000, 1001, 1514, 2023, 2024, 2025, 4071, 4072, 4073, 5000, 5001, 9000} {
		frame := netlab.Frame{Size: size, Type: 0x86dd}.Bytes()
		if size == 14 {
			frame = netlab.Runt(14, 0)
		}
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		if action := run(t, p, 1, frame); action != forwarded {
			t.Errorf("size %d: action %d", size, action)
		}
		list := drain(t, ring)
		if len(list) != 1 {
			t.Fatalf("size %d: %d copies", size, len(list))
		}
		c := list[0]
		if !bytes.Equal(c.frame, frame[:min(size, 5000)]) || int(c.Length) != size || c.RX != 1 || c.TX != 4 || c.Port != 1 || c.When < now.Nano() {
			t.Errorf("size %d: %+v, %d bytes", size, c.Tapped, len(c.frame))
		}
	}
	const more = 100 // copies of 1024 bytes and a header; the ring has 64 KiB
	for range more {
		run(t, p, 1, netlab.Frame{Size: 900}.Bytes())
	}
	got := uint64(len(drain(t, ring)))
	c := counts(t, p, 1)
	if got == 0 || got >= more || c.MissedRX[0] != more-got || c.MissedTX[2] != more-got || c.Forwarded != 22+more {
		t.Errorf("%d of %d copies came: %+v", got, more, c)
	}
}

// A thread that ends counts as dead from then on; the others do not.
func TestThreadThatEndsHasNoLife(t *testing.T) {
	p := load(t, Config{})
	lives, err := xsk.MapLives(p.Lives(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil || st.Ino != 0xeffffffc {
		t.Skip("in a PID namespace of its own a thread does not know its id: ", err)
	}
	ready, end := make(chan int), make(chan bool)
	thread := func() {
		runtime.LockOSThread() // forever: the thread ends with this goroutine
		ready <- unix.Gettid()
		<-end
	}
	go thread()
	id := <-ready
	if id == os.Getpid() { // the first thread never ends; while this goroutine locks it, the next one is another
		go thread()
		id = <-ready
	}
	for i := range lives {
		lives[i].Beat.Store(uint64(1000 + i))
	}
	lives[0].Thread.Store(uint32(os.Getpid())) // the id of the first thread
	lives[1].Thread.Store(uint32(id))
	close(end)
	netlab.Await(t, "the end of the thread is noted", func() bool { return lives[1].Beat.Load() == 0 })
	if a, b := lives[0].Beat.Load(), lives[2].Beat.Load(); a != 1000 || b != 1002 {
		t.Errorf("others: %d %d", a, b)
	}
}

// A record of a ring may contain anything.
func FuzzParseTapped(f *testing.F) {
	f.Add(make([]byte, tappedSize+4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, record []byte) {
		if head, frame, ok := ParseTapped(record); ok && (len(frame) != int(head.Kept) || head.Port > 1) {
			t.Errorf("%+v, %d bytes", head, len(frame))
		}
	})
}

func TestRefusedPortIsDivertedUntilAccepted(t *testing.T) {
	p := load(t, Config{})
	apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
	if err := p.Path.maps[objectMapRefused].Put(uint32(1), uint32(unix.ENXIO)); err != nil {
		t.Fatal(err)
	}
	frame := netlab.UDP(64, 1)
	if errno, err := p.Refused(1); errno != unix.ENXIO || err != nil {
		t.Errorf("refused: %v %v", errno, err)
	}
	if action := run(t, p, 1, frame); action != diverted {
		t.Errorf("refused: action %d", action)
	}
	if action := run(t, p, 0, frame); action != forwarded {
		t.Errorf("the other port: action %d", action)
	}
	if err := p.Accept(1); err != nil {
		t.Fatal(err)
	}
	if action := run(t, p, 1, frame); action != forwarded {
		t.Errorf("accepted: action %d", action)
	}
}

// Many changes of the policy, each with its addresses, are made. No frame meets a mixture of two.
func TestPolicyAndAddressesChangeTogether(t *testing.T) {
	p := load(t, Config{})
	for i := range 20 {
		r := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}}
		for n := range i * 50 {
			r.Drop = append(r.Drop, MAC{2, 1, 1, 1, byte(n >> 8), byte(n)})
		}
		want := uint32(forwarded)
		if i%3 == 0 {
			r.Drop = append(r.Drop, netlab.SrcMAC)
			want = dropped
		}
		apply(t, p, r)
		if action := run(t, p, 0, netlab.UDP(64, 1)); action != want {
			t.Fatalf("change %d: action %d, want %d", i, action, want)
		}
	}
}

// Addresses come and go one by one, beyond the room of a set, and together with other changes.
func TestOneAddressAfterTheOther(t *testing.T) {
	p := load(t, Config{})
	r := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}}
	frame := func(i int) []byte {
		return netlab.Frame{Src: MAC{2, 1, 1, 1, byte(i >> 8), byte(i)}, Size: 64}.Bytes()
	}
	check := func(i int, want uint32) {
		t.Helper()
		if action := run(t, p, 0, frame(i)); action != want {
			t.Fatalf("address %d of %d: action %d, want %d", i, len(r.Drop), action, want)
		}
	}
	apply(t, p, r)
	const n = spare + 100
	for i := range n {
		check(i, forwarded)
		r.Drop = append(r.Drop, MAC(frame(i)[6:12]))
		apply(t, p, r)
		check(i, dropped)
	}
	check(0, dropped)
	r.Fault, r.Port[0].Fault, r.Port[0].Away = r.Drop[:1], true, true // the same address in another list, and a flag
	apply(t, p, r)
	check(1, dropped)
	for i := range n {
		r.Drop = r.Drop[1:]
		apply(t, p, r)
		check(i, map[bool]uint32{true: diverted, false: forwarded}[i == 0])
		if i+1 < n {
			check(i+1, dropped)
		}
	}
}

func table(t *testing.T, p *path, port int, which Table) (rows map[uint64]uint64, rest uint64) {
	t.Helper()
	rows = map[uint64]uint64{}
	over, err := p.Sum(port, which, func(key uint64, u Usage) { rows[key] += u.Frames })
	if err != nil {
		t.Fatal(err)
	}
	return rows, over.Frames
}

func TestTagsAndTypes(t *testing.T) {
	q, s := netlab.Tag{Type: netlab.TypeVLAN, TCI: 5}, netlab.Tag{Type: netlab.TypeQinQ, TCI: 0xe007}
	const typeKey, length, short, stag = 1 << 63, 1 << 32, 1 << 33, 1 << 20
	p := load(t, Config{})
	apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
	for _, test := range []struct {
		name  string
		frame []byte
		kind  uint64
		vlans []uint64
	}{
		{"plain", netlab.Frame{Type: 0x0800}.Bytes(), typeKey | 0x0800, nil},
		{"length", netlab.Frame{Type: 46}.Bytes(), typeKey | length, nil},
		{"largest length", netlab.Frame{Type: 1500}.Bytes(), typeKey | length, nil},
		{"smallest type", netlab.Frame{Type: 1501}.Bytes(), typeKey | 1501, nil},
		{"only a header", netlab.Runt(14, 0), typeKey | netlab.TypeExperimental, nil},
		{"one tag", netlab.Frame{Tags: []netlab.Tag{q}, Type: 0x86dd}.Bytes(), typeKey | 1<<16 | 0x86dd, []uint64{typeKey | 5}},
		{"two tags", netlab.Frame{Tags: []netlab.Tag{s, q}, Type: 0x86dd}.Bytes(), typeKey | 2<<16 | 0x86dd, []uint64{typeKey | stag | 7, typeKey | 1<<16 | 5}},
		{"four tags", netlab.Frame{Tags: []netlab.Tag{s, q, q, s}, Type: 9}.Bytes(), typeKey | length | 4<<16, []uint64{typeKey | stag | 7, typeKey | 1<<16 | 5, typeKey | 2<<16 | 5, typeKey | 3<<16 | stag | 7}},
		{"old tags", netlab.Frame{Tags: []netlab.Tag{{Type: 0x9100, TCI: 5}, {Type: 0x9200, TCI: 7}}, Type: 0x86dd}.Bytes(), typeKey | 2<<16 | 0x86dd, []uint64{typeKey | 2*stag | 5, typeKey | 3*stag | 1<<16 | 7}},
		{"five tags", netlab.Frame{Tags: []netlab.Tag{q, q, q, q, q}}.Bytes(), typeKey | 4<<16 | 0x8100, []uint64{typeKey | 5, typeKey | 1<<16 | 5, typeKey | 2<<16 | 5, typeKey | 3<<16 | 5}},
		{"a tag cut short", netlab.Frame{Tags: []netlab.Tag{q}, Size: 17}.Bytes(), typeKey | short, nil},
		{"the second tag missing", netlab.Frame{Tags: []netlab.Tag{q, s}, Size: 18}.Bytes(), typeKey | short | 1<<16, []uint64{typeKey | 5}},
		{"the fourth tag cut short", netlab.Frame{Tags: []netlab.Tag{q, q, q, q}, Size: 29}.Bytes(), typeKey | short | 3<<16, []uint64{typeKey | 5, typeKey | 1<<16 | 5, typeKey | 2<<16 | 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, which := range []Table{MACs, Types, VLANs} {
				if err := p.Reset(which); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if action := run(t, p, 1, test.frame); action != forwarded {
					t.Errorf("action %d", action)
				}
			}
			types, _ := table(t, p, 1, Types)
			if want := map[uint64]uint64{test.kind: 2}; !maps.Equal(types, want) {
				t.Errorf("types %x, want %x", types, want)
			}
			vlans, _ := table(t, p, 1, VLANs)
			want := map[uint64]uint64{}
			for _, key := range test.vlans {
				want[key] = 2
			}
			if !maps.Equal(vlans, want) {
				t.Errorf("VLANs %x, want %x", vlans, want)
			}
			_, err := p.Sum(1, MACs, func(key uint64, u Usage) {
				if key != macKey(netlab.SrcMAC) || u.Frames != 2 || u.Bytes != 2*uint64(len(test.frame)) || u.Last != key {
					t.Errorf("source %x: %+v", key, u)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A flood of keys finds no room after a while, is counted to the last frame, and leaves the earlier
// keys as they were.
func TestTablesUnderAFlood(t *testing.T) {
	p := load(t, Config{})
	netlab.OneCPU(t) // each CPU has its own tables
	apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
	first := netlab.Frame{Src: MAC{2, 9, 9, 9, 9, 9}, Type: 0x86dd}.Bytes()
	run(t, p, 0, first)
	const flood = 12000
	frame := netlab.UDP(60, 1)
	program := p.Program(0)
	for i := range uint32(flood) {
		binary.BigEndian.PutUint32(frame[8:], i*2654435761)
		binary.BigEndian.PutUint16(frame[12:], uint16(0x9000+i)|0x8000)
		if _, err := program.Run(&ebpf.RunOptions{Data: frame}); err != nil {
			t.Fatal(err)
		}
	}
	run(t, p, 0, first)
	for which, most := range map[Table]int{MACs: 8192, Types: 1024} {
		rows, rest := table(t, p, 0, which)
		sum := rest
		for _, n := range rows {
			sum += n
		}
		if sum != flood+2 || rest == 0 || len(rows) > most || len(rows) < most/2 {
			t.Errorf("table %d: %d rows, %d frames without room, %d in all", which, len(rows), rest, sum)
		}
		key := macKey(MAC{2, 9, 9, 9, 9, 9})
		if which == Types {
			key = 1<<63 | 0x86dd
		}
		if rows[key] != 2 {
			t.Errorf("table %d: the first key has %d frames", which, rows[key])
		}
		if err := p.Reset(which); err != nil {
			t.Fatal(err)
		}
		if rows, rest := table(t, p, 0, which); len(rows) != 0 || rest != 0 {
			t.Errorf("table %d after a reset: %d rows, rest %d", which, len(rows), rest)
		}
	}
	run(t, p, 0, first)
	if rows, rest := table(t, p, 0, MACs); len(rows) != 1 || rest != 0 {
		t.Errorf("a frame after the reset: %v, rest %d", rows, rest)
	}
}

// context is struct xdp_md.
type context struct {
	_                                              structs.HostLayout
	Data, End, Meta, Ingress, Queue, EgressIfindex uint32
}

// Frames of several buffers are counted with their whole length. If the first buffer does not hold
// the headers, the frame goes to the thread.
func TestFramesOfSeveralBuffers(t *testing.T) {
	p := load(t, Config{Frags: true})
	apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
	frame := netlab.Frame{Size: 9000, Tags: []netlab.Tag{{Type: netlab.TypeVLAN, TCI: 5}}}.Bytes()
	if action := run(t, p, 0, frame); action != forwarded {
		t.Errorf("action %d", action)
	}
	if _, err := p.Sum(0, MACs, func(_ uint64, u Usage) {
		if u.Bytes != 9000 {
			t.Errorf("%d bytes", u.Bytes)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for linear, want := range map[uint32]uint32{14: diverted, 17: diverted, 18: forwarded, 64: forwarded} {
		action, err := p.Program(0).Run(&ebpf.RunOptions{Data: frame[:4000], Context: context{End: linear}})
		if errors.Is(err, unix.EINVAL) {
			t.Skip("this kernel cannot run a program on a frame in parts: ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if action != want {
			t.Errorf("%d bytes in the first buffer: action %d, want %d", linear, action, want)
		}
	}
	whole := PortRules{Forward: true, Whole: true}
	apply(t, p, Rules{Port: [2]PortRules{whole, whole}})
	if action := run(t, p, 0, frame); action != diverted {
		t.Errorf("where the other port takes none: action %d", action)
	}
}

func BenchmarkChain(b *testing.B) {
	netlab.RequireRoot(b)
	port := compiled(b, predicate.And{A: predicate.Is{Any: predicate.UDP}, B: predicate.Need{Any: predicate.Ports, Then: predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(53)}}})
	filter := [2]*predicate.Code{port}
	var four Rules
	for i := range 4 {
		four.Taps[i] = Tap{RX: [2]bool{true}, RXFilter: filter}
	}
	for _, bench := range []struct {
		name  string
		rules Rules
	}{
		{"forward", Rules{}},
		{"forward, addresses", Rules{Drop: []MAC{macA, macB}}},
		{"forward, a filter", Rules{Taps: [MaxTaps]Tap{{RX: [2]bool{true}, RXFilter: filter}}}},
		{"forward, four filters", four},
		{"forward, no room for a copy", Rules{Copy: true, Kept: 2048, Taps: [MaxTaps]Tap{{RX: [2]bool{true}}}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			stats, err := NewStats()
			if err != nil {
				b.Fatal(err)
			}
			defer stats.Close()
			p, err := Load(Config{Links: []int{loopback, loopback}, Stats: stats})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			bench.rules.Port[0].Forward = true
			if err := p.Apply(&bench.rules); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer() // the programs are loaded
			if _, err := p.Program(0).Run(&ebpf.RunOptions{Data: netlab.UDP(64, 1), Repeat: uint32(b.N)}); err != nil {
				b.Fatal(fmt.Errorf("run: %w", err))
			}
		})
	}
}
