package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"structs"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// What the programs answer. Without sockets a frame that is diverted goes on to the
// kernel's stack.
const (
	dropped   = 1
	diverted  = 2
	forwarded = 4
)

// loopback is an interface that every namespace has. Nothing is sent there: a test
// run ends with the program's answer.
const loopback = 1

// path is a Path under test with its statistics.
type path struct {
	*Path
	*Stats
}

func load(t *testing.T, c Config) *path {
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

func apply(t *testing.T, p *path, r Rules) {
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
	}
	return sum
}

var (
	macA = MAC{2, 0, 0, 0, 0, 0xa}
	macB = MAC{2, 0, 0, 0, 0, 0xb}
	macC = MAC{2, 0, 0, 0, 0, 0xc}
)

// Every way through the chain: what becomes of a frame from A to B received on port
// 0, and where it is counted.
func TestChain(t *testing.T) {
	bridge := PortRules{Forward: true}
	with := func(change func(*PortRules)) (r Rules) {
		r.Port = [2]PortRules{bridge, bridge}
		change(&r.Port[0])
		return r
	}
	tapRX := func(p *PortRules) { p.TapRX = true }
	tapTX := func(p *PortRules) { p.TapTX = true }
	fault := func(p *PortRules) { p.Fault = true }
	mirror := func(p *PortRules) { p.Forward = false }
	both := func(a, b func(*PortRules)) func(*PortRules) { return func(p *PortRules) { a(p); b(p) } }
	hash := func(r Rules, tap, drop, fault []MAC) Rules { r.Tap, r.Drop, r.Fault = tap, drop, fault; return r }
	none := func(*PortRules) {}
	a, b, c := []MAC{macA}, []MAC{macB}, []MAC{macC}
	for _, test := range []struct {
		name   string
		rules  Rules
		gone   bool // the other interface
		action uint32
		counts Counts
	}{
		{"bridge", with(none), false, forwarded, Counts{Forwarded: 1}},
		{"bridge whose other side is gone", with(none), true, dropped, Counts{NoIf: 1}},
		{"mirror", with(mirror), false, dropped, Counts{Mirrored: 1}},
		{"divert", with(func(p *PortRules) { p.Divert = true }), false, diverted, Counts{}},
		{"divert of the other port", Rules{Port: [2]PortRules{bridge, {Forward: true, Divert: true}}}, false, forwarded, Counts{Forwarded: 1}},

		{"RX tap", with(tapRX), false, diverted, Counts{}},
		{"RX tap of a mirror", with(both(mirror, tapRX)), false, diverted, Counts{}},
		{"RX tap of the source", hash(with(tapRX), a, nil, nil), false, diverted, Counts{}},
		{"RX tap of the destination", hash(with(tapRX), b, nil, nil), false, diverted, Counts{}},
		{"RX tap of another address", hash(with(tapRX), c, nil, nil), false, forwarded, Counts{Forwarded: 1}},
		{"RX tap of an address that others drop", hash(with(tapRX), c, b, nil), false, forwarded, Counts{Forwarded: 1}},
		{"RX tap of another address in a mirror", hash(with(both(mirror, tapRX)), c, nil, nil), false, dropped, Counts{Mirrored: 1}},
		{"RX tap of what is dropped", hash(with(tapRX), nil, a, nil), false, diverted, Counts{}},
		{"TAP machash without taps", hash(with(none), a, nil, nil), false, forwarded, Counts{Forwarded: 1}},

		{"TX tap", with(tapTX), false, diverted, Counts{}},
		{"TX tap of the source", hash(with(tapTX), a, nil, nil), false, diverted, Counts{}},
		{"TX tap of the destination", hash(with(tapTX), b, nil, nil), false, diverted, Counts{}},
		{"TX tap of another address", hash(with(tapTX), c, nil, nil), false, forwarded, Counts{Forwarded: 1}},
		{"TX tap of what is dropped", hash(with(tapTX), nil, a, nil), false, dropped, Counts{Dropped: 1}},
		{"TX tap of a mirror", with(both(mirror, tapTX)), false, dropped, Counts{Mirrored: 1}},

		{"drop", hash(with(none), nil, a, nil), false, dropped, Counts{Dropped: 1}},
		{"drop when the other side is gone", hash(with(none), nil, a, nil), true, dropped, Counts{NoIf: 1}},
		{"drop of a mirror", hash(with(mirror), nil, a, nil), false, dropped, Counts{Dropped: 1}},
		{"drop of the destination", hash(with(none), nil, b, nil), false, forwarded, Counts{Forwarded: 1}},

		{"fault", with(fault), false, diverted, Counts{}},
		{"fault of the source", hash(with(fault), nil, nil, a), false, diverted, Counts{}},
		{"fault of the destination", hash(with(fault), nil, nil, b), false, forwarded, Counts{Forwarded: 1}},
		{"fault of what is dropped", hash(with(fault), nil, a, a), false, dropped, Counts{Dropped: 1}},
		{"fault of a mirror", with(both(mirror, fault)), false, dropped, Counts{Mirrored: 1}},
		{"fault machash without faults", hash(with(none), nil, nil, a), false, forwarded, Counts{Forwarded: 1}},
		{"an address in all sets", hash(with(none), a, a, a), false, dropped, Counts{Dropped: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := load(t, Config{})
			if action := run(t, p, 0, netlab.UDP(64, 1)); action != diverted {
				t.Errorf("before there are rules: action %d", action)
			}
			apply(t, p, test.rules)
			if test.gone {
				if err := p.collection.Maps[objectMapOutputs].Delete(uint32(0)); err != nil {
					t.Fatal(err)
				}
			}
			frame := netlab.Frame{Src: macA, Dst: macB, Size: 64}.Bytes()
			if action := run(t, p, 0, frame); action != test.action {
				t.Errorf("action %d, want %d", action, test.action)
			}
			if got := counts(t, p, 0); got != test.counts {
				t.Errorf("counts %+v, want %+v", got, test.counts)
			}
			if got := counts(t, p, 1); got != (Counts{}) {
				t.Errorf("the other port has %+v", got)
			}
			uncounted := test.counts == (Counts{})
			if rows, _ := table(t, p, 0, MACs); (len(rows) == 0) != uncounted {
				t.Errorf("sources: %v", rows)
			}
			if rows, _ := table(t, p, 1, MACs); len(rows) != 0 {
				t.Errorf("sources of the other port: %v", rows)
			}
		})
	}
}

func TestRefusedPortIsDivertedUntilAccepted(t *testing.T) {
	p := load(t, Config{})
	apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
	if err := p.collection.Maps[objectMapRefused].Put(uint32(1), uint32(unix.ENXIO)); err != nil {
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

// Many changes of policy, each with its addresses, and none is mixed with another.
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
		{"five tags", netlab.Frame{Tags: []netlab.Tag{q, q, q, q, q}}.Bytes(), typeKey | 4<<16 | 0x8100, []uint64{typeKey | 5, typeKey | 1<<16 | 5, typeKey | 2<<16 | 5, typeKey | 3<<16 | 5}},
		{"a tag cut short", netlab.Frame{Tags: []netlab.Tag{q}, Size: 17}.Bytes(), typeKey | short, nil},
		{"the second tag missing", netlab.Frame{Tags: []netlab.Tag{q, s}, Size: 18}.Bytes(), typeKey | short | 1<<16, []uint64{typeKey | 5}},
		{"the fourth tag cut short", netlab.Frame{Tags: []netlab.Tag{q, q, q, q}, Size: 29}.Bytes(), typeKey | short | 3<<16, []uint64{typeKey | 5, typeKey | 1<<16 | 5, typeKey | 2<<16 | 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := load(t, Config{})
			apply(t, p, Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}})
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

// A flood finds no room in time, is counted to the last frame, and leaves those who
// were there before.
func TestTablesUnderAFlood(t *testing.T) {
	p := load(t, Config{})
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
		// The sender may have run on every CPU, each of which has its own table.
		if cpus := ebpf.MustPossibleCPU(); sum != flood+2 || rest == 0 || len(rows) > most*cpus || len(rows) < most/2 {
			t.Errorf("table %d: %d rows, %d frames without room, %d in all", which, len(rows), rest, sum)
		}
		key := macKey(MAC{2, 9, 9, 9, 9, 9})
		if which == Types {
			key = 1<<63 | 0x86dd
		}
		if rows[key] != 2 && ebpf.MustPossibleCPU() == 1 || rows[key] == 0 {
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

// Frames of several buffers are counted whole; where the first buffer does not
// have the headers, the thread has to see to it.
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
}

func BenchmarkChain(b *testing.B) {
	netlab.RequireRoot(b)
	for _, bench := range []struct {
		name  string
		rules Rules
	}{
		{"forward", Rules{}},
		{"forward, addresses", Rules{Drop: []MAC{macA, macB}}},
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
			if _, err := p.Program(0).Run(&ebpf.RunOptions{Data: netlab.UDP(64, 1), Repeat: uint32(b.N)}); err != nil {
				b.Fatal(fmt.Errorf("run: %w", err))
			}
		})
	}
}
