// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// drawn is a number of the dice, as docs/dataplane.md specifies it, of queue 0 of port 0 with the seed 42.
func drawn(frame uint64, fault, number int) uint64 {
	key := mixed(mixed(42))
	return mixed(key + 0x9e3779b97f4a7c15*(512*frame+32*uint64(number)+uint64(fault)))
}

func mixed(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func oneOf(drawn, n uint64) int { return int(drawn >> 32 * n >> 32) }

// lengthened is a frame as the length fault leaves it, where a frame may have limit bytes.
func lengthened(frame []byte, number uint64, limit int) []byte {
	room := max(0, limit-len(frame))
	if shorter := oneOf(drawn(number, FaultLength, 1), 2) == 0; len(frame) > 14 && (shorter || room == 0) {
		return frame[:14+oneOf(drawn(number, FaultLength, 2), uint64(len(frame)-14))]
	}
	out := slices.Clone(frame)
	fill := drawn(number, FaultLength, 3)
	for end := len(frame) + 1 + oneOf(drawn(number, FaultLength, 2), uint64(room)); len(out) < end; {
		fill += 0x9e3779b97f4a7c15
		out = binary.LittleEndian.AppendUint64(out, mixed(fill))[:min(end, len(out)+8)]
	}
	return out
}

// flipped is a frame as the bitflip fault leaves it.
func flipped(frame []byte, number uint64) []byte {
	out := slices.Clone(frame)
	bit := oneOf(drawn(number, FaultBitflip, 1), uint64(8*(len(frame)-14)))
	out[14+bit/8] ^= 1 << (bit % 8)
	return out
}

const always = 100000

// Every way that a frame can go with faults: what the program answers, what it makes of the frame, what it
// counts, and what the taps get.
func TestFaultsOfAFrame(t *testing.T) {
	chance := func(fault int, c Chance) func(*Rules) {
		return func(r *Rules) { r.Port[0].Faults.Chances[fault] = c }
	}
	certain := func(fault int) func(*Rules) { return chance(fault, Chance{Probability: always}) }
	limit := func(n int) func(*Rules) { return func(r *Rules) { r.Port[0].Faults.Limit = n } }
	all := func(changes ...func(*Rules)) func(*Rules) {
		return func(r *Rules) {
			for _, c := range changes {
				c(r)
			}
		}
	}
	is := compiled(t, isFrom(macA))
	ofSent := func(r *Rules) { r.Taps[0].TXFilter[1] = is }
	untouched := func(f []byte, _ uint64) []byte { return f }
	one := func(fault int) (n [FaultsKnown]uint64) { n[fault] = 1; return n }
	both := one(FaultLength)
	both[FaultBitflip] = 1
	frame := netlab.Frame{Src: macA, Dst: macB, Size: 200}.Bytes()
	p := load(t, Config{})
	ring := p.reader(t)
	for i, test := range []struct {
		name     string
		change   func(*Rules)
		action   uint32
		out      func(frame []byte, number uint64) []byte
		suffered [FaultsKnown]uint64
		first    bool // the next frames fare otherwise
	}{
		{"none", all(), forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"outage", func(r *Rules) { r.Port[0].Faults.Outage = now(t) + time.Hour }, dropped, untouched, one(FaultOutage), false},
		{"outage that is over", func(r *Rules) { r.Port[0].Faults.Outage = now(t) }, forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"burst", func(r *Rules) { r.Port[0].Faults.Burst = Burst{Enter: always, Bad: always} }, dropped, untouched, one(FaultBurst), false},
		{"no burst yet", func(r *Rules) { r.Port[0].Faults.Burst = Burst{Bad: always} }, forwarded, untouched, [FaultsKnown]uint64{}, true},
		{"loss outside of bursts", func(r *Rules) { r.Port[0].Faults.Burst = Burst{Good: always} }, dropped, untouched, one(FaultBurst), false},
		{"drop", certain(FaultDrop), dropped, untouched, one(FaultDrop), false},
		{"drop before all others", all(certain(FaultDrop), certain(FaultLength), certain(FaultBitflip), certain(FaultDup)), dropped, untouched, one(FaultDrop), false},
		{"the first of every one", chance(FaultDrop, Chance{Every: 1}), dropped, untouched, one(FaultDrop), false},
		{"the first of every two", chance(FaultDrop, Chance{Every: 2}), forwarded, untouched, [FaultsKnown]uint64{}, true},
		{"an outcome repeated that was none", chance(FaultDrop, Chance{Probability: always, Correlation: always}), forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"length", certain(FaultLength), forwarded, func(f []byte, n uint64) []byte { return lengthened(f, n, 1514) }, one(FaultLength), false},
		{"length, no room", all(certain(FaultLength), limit(200)), forwarded, func(f []byte, n uint64) []byte { return lengthened(f, n, 200) }, one(FaultLength), false},
		{"bitflip", certain(FaultBitflip), forwarded, flipped, one(FaultBitflip), false},
		{"length and bitflip", all(certain(FaultLength), certain(FaultBitflip)), forwarded, func(f []byte, n uint64) []byte { return flipped(lengthened(f, n, 1514), n) }, both, false},
		{"dup", certain(FaultDup), diverted, untouched, [FaultsKnown]uint64{}, false},
		{"dup of what is spoiled", all(certain(FaultLength), certain(FaultDup)), diverted, untouched, [FaultsKnown]uint64{}, false},
		{"length, and a filter of what is sent", all(certain(FaultLength), ofSent), diverted, untouched, [FaultsKnown]uint64{}, false},
		{"bitflip, and a filter of what is sent", all(certain(FaultBitflip), ofSent), diverted, untouched, [FaultsKnown]uint64{}, false},
		{"drop, and a filter of what is sent", all(certain(FaultDrop), ofSent), dropped, untouched, one(FaultDrop), false},
		{"none, and a filter of what is sent", all(ofSent), forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"bitflip, and a filter of what comes", all(certain(FaultBitflip), func(r *Rules) { r.Taps[0].RXFilter[0] = is }), forwarded, flipped, one(FaultBitflip), false},
		{"bitflip, and a filter of what is sent the other way", all(certain(FaultBitflip), func(r *Rules) { r.Taps[0].TX[0], r.Taps[0].TXFilter[0] = true, is }), forwarded, flipped, one(FaultBitflip), false},
		{"a thread's faults", all(certain(FaultDrop), func(r *Rules) { r.Port[0].Away = true }), diverted, untouched, [FaultsKnown]uint64{}, false},
		{"of others", all(certain(FaultDrop), func(r *Rules) { r.Fault = []MAC{macC} }), forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"dropped by the list", all(certain(FaultDrop), func(r *Rules) { r.Drop = []MAC{macA} }), dropped, untouched, [FaultsKnown]uint64{}, false},
		{"not enabled", all(certain(FaultDrop), func(r *Rules) { r.Port[0].Fault = false }), forwarded, untouched, [FaultsKnown]uint64{}, false},
		{"in a mirror", all(certain(FaultDrop), func(r *Rules) { r.Port[0].Forward = false }), dropped, untouched, [FaultsKnown]uint64{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Rules{Copy: true, Kept: 2048}
			r.Port[0] = PortRules{Forward: true, Fault: true, Faults: Faults{Seed: 42, Epoch: uint32(i), Limit: 1514, Chunk: 1792}}
			r.Taps[0].RX[0], r.Taps[0].TX[1] = true, true
			test.change(&r)
			apply(t, p, r)
			numbered := r.Port[0].Fault
			rounds := uint64(20)
			if test.first {
				rounds = 1
			}
			for number := range rounds {
				before := counts(t, p, 0).Suffered
				out := make([]byte, 4096)
				o := &ebpf.RunOptions{Data: frame, DataOut: out}
				action, err := p.Program(0).Run(o)
				if err != nil {
					t.Fatal(err)
				}
				if action != test.action {
					t.Fatalf("frame %d: action %d, want %d", number, action, test.action)
				}
				after := counts(t, p, 0).Suffered
				for i := range after {
					if after[i]-before[i] != test.suffered[i] {
						t.Fatalf("frame %d suffered fault %d %d times, want %d", number, i, after[i]-before[i], test.suffered[i])
					}
				}
				want := test.out(frame, number)
				if !numbered {
					want = frame
				}
				if !bytes.Equal(o.DataOut, want) {
					t.Fatalf("frame %d: %d bytes %x\nwant %d bytes %x", number, len(o.DataOut), o.DataOut, len(want), want)
				}
				mustTap(t, drain(t, ring), frame, want, action, test.suffered)
			}
		})
	}
}

// mustTap demands copies of a frame as it was received, and as it left, of which the second tells
// what it has suffered.
func mustTap(t *testing.T, copies []copied, received, left []byte, action uint32, suffered [FaultsKnown]uint64) {
	t.Helper()
	if action == diverted { // the thread makes them
		if len(copies) != 0 {
			t.Fatalf("copies of a diverted frame: %+v", copies)
		}
		return
	}
	var faults uint32
	for i, n := range suffered {
		if n > 0 && Losses>>i&1 == 0 {
			faults |= 1 << i
		}
	}
	type seen struct {
		rx, tx         uint16
		length, faults uint32
		data           string
	}
	var got, want []seen
	for _, c := range copies {
		got = append(got, seen{c.RX, c.TX, c.Length, c.Faults, string(c.frame)})
	}
	rx, tx := seen{1, 0, uint32(len(received)), 0, string(received)}, seen{0, 1, uint32(len(left)), faults, string(left)}
	switch {
	case action == dropped:
		want = append(want, rx)
	case faults == 0:
		want = append(want, seen{1, 1, rx.length, 0, rx.data})
	default:
		want = append(want, rx, tx)
		if copies[0].Frame == 0 || copies[0].Frame != copies[len(copies)-1].Frame {
			t.Fatalf("copies of one frame have the numbers %d and %d", copies[0].Frame, copies[len(copies)-1].Frame)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("copies\n%x, want\n%x", got, want)
	}
}

func now(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// Frames of several buffers are spoiled as others are. The length of one that a thread would have in
// several pieces is changed there.
func TestFaultsOfLongFrames(t *testing.T) {
	p := load(t, Config{Frags: true})
	long := netlab.Frame{Src: macA, Dst: macB, Size: 6000}.Bytes()
	number := uint64(0)
	for _, chunk := range []int{7000, 5000} {
		r := Rules{}
		r.Port[0] = PortRules{Forward: true, Fault: true, Faults: Faults{Seed: 42, Limit: 9014, Chunk: chunk}}
		r.Port[0].Faults.Chances[FaultBitflip] = Chance{Probability: always}
		r.Port[0].Faults.Chances[FaultLength] = Chance{Every: 2}
		apply(t, p, r)
		for range 40 {
			action, want := uint32(forwarded), flipped(long, number)
			switch {
			case number%2 == 0:
			case chunk < len(long):
				action, want = diverted, long
			default:
				want = flipped(lengthened(long, number, chunk), number)
			}
			o := &ebpf.RunOptions{Data: long, DataOut: make([]byte, 16384)}
			if got, err := p.Program(0).Run(o); err != nil || got != action || !bytes.Equal(o.DataOut, want) {
				t.Fatalf("frame %d: action %d, %d bytes, %v; want %d, %d bytes", number, got, len(o.DataOut), err, action, len(want))
			}
			number++
		}
	}
}

// The dice of a path can be read and set, and go on where they were.
func TestDiceAreHandedOver(t *testing.T) {
	p := load(t, Config{})
	r := Rules{}
	r.Port[0] = PortRules{Forward: true, Fault: true, Faults: Faults{Seed: 42, Epoch: 3, Limit: 1514, Chunk: 1792}}
	r.Port[0].Faults.Chances[FaultDrop] = Chance{Every: 5}
	apply(t, p, r)
	memory := func(seen uint32, bad bool) Memory {
		return Memory{Bad: bad, Every: [FaultsKnown]uint32{FaultDrop: 5}, Seen: [FaultsKnown]uint32{FaultDrop: seen}, Last: 1 << FaultDup}
	}
	if err := p.SetDice(0, 0, 7, 42, 3, Dice{100, memory(3, true)}); err != nil {
		t.Fatal(err)
	}
	frame := netlab.Frame{Src: macA, Dst: macB, Size: 64}.Bytes()
	for i, want := range []uint32{forwarded, dropped, forwarded} { // the fourth, the fifth and the next one
		if action := run(t, p, 0, frame); action != want {
			t.Errorf("frame %d: action %d, want %d", i, action, want)
		}
	}
	d, ok, err := p.Dice(0, 0, 42, 3)
	want := Dice{103, memory(1, false)}
	if !ok || err != nil || d != want {
		t.Errorf("%+v, %v, %v, want %+v", d, ok, err, want)
	}
	// While the thread throws them, the program counts the frames and leaves the memory alone.
	r.Port[0].Away, r.Port[0].Faults.Own = true, true
	apply(t, p, r)
	run(t, p, 0, frame)
	if d, ok, err := p.Dice(0, 0, 42, 3); !ok || err != nil || d != (Dice{104, memory(1, false)}) {
		t.Errorf("%+v, %v, %v while a thread throws them", d, ok, err)
	}
	if err := p.SetMemory(0, 0, memory(4, true)); err != nil {
		t.Fatal(err)
	}
	r.Port[0].Away, r.Port[0].Faults.Own = false, false
	apply(t, p, r)
	if action := run(t, p, 0, frame); action != dropped {
		t.Errorf("after that: action %d, want %d", action, dropped)
	}
	if d, ok, err := p.Dice(0, 0, 42, 3); !ok || err != nil || d != (Dice{105, memory(0, false)}) {
		t.Errorf("%+v, %v, %v after that", d, ok, err)
	}
	if _, ok, _ := p.Dice(0, 0, 42, 4); ok {
		t.Error("these dice were begun anew since")
	}
	r.Port[0].Faults.Epoch = 4
	apply(t, p, r)
	run(t, p, 0, frame)
	if d, ok, _ := p.Dice(0, 0, 42, 4); !ok || d.Next != 1 || d.Seen[FaultDrop] != 1 {
		t.Errorf("%+v, %v after a new beginning", d, ok)
	}
}

// What stands in front of a frame is read as it was written, and nothing else is.
func TestParseTold(t *testing.T) {
	const frame = 77<<32 + 5
	b := make([]byte, ToldSize)
	binary.NativeEndian.PutUint64(b[objectToldLayoutTOLD_FRAME:], frame)
	binary.NativeEndian.PutUint32(b[objectToldLayoutTOLD_HITS:], 9)
	binary.NativeEndian.PutUint32(b[objectToldLayoutTOLD_CHECK:], 77^5^9^2^(uint32(objectToldLayoutCHECK)+1))
	if got, ok := ParseTold(b, 1, 2); !ok || got != (Told{Frame: frame, Hits: 9}) {
		t.Errorf("%+v, %v", got, ok)
	}
	for what, front := range map[string][]byte{"nothing": nil, "zeros": make([]byte, ToldSize), "short": b[1:]} {
		if got, ok := ParseTold(front, 1, 2); ok {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if _, ok := ParseTold(b, 0, 2); ok {
		t.Error("of another port")
	}
	if _, ok := ParseTold(b, 1, 3); ok {
		t.Error("of other dice")
	}
}
