// SPDX-License-Identifier: BSD-3-Clause

package wire

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"ethertap/tests/netlab"
)

// Ages of frames are counted in steps of ageStep ns up to 4.2 ms, and from there on in
// steps of oldStep ns; what is older than all of them, 1.07 s, counts in the last.
const (
	ageShift = 6
	ageStep  = 1 << ageShift
	young    = 1 << 16
	oldShift = 16
	oldStep  = 1 << oldShift
	old      = 1 << 14
	ages     = young + old
)

// Sink counts what arrives at a link and drops it.
type Sink struct {
	counts, ages *ebpf.Map
}

// NewSink makes a sink at a link. With it the link has NAPI, as a veth needs to
// receive what XDP transmits at its peer. It goes with the test.
func NewSink(t testing.TB, n *netlab.Namespace, name string, age bool) *Sink {
	t.Helper()
	s := &Sink{}
	var err error
	s.counts, err = ebpf.NewMap(&ebpf.MapSpec{Name: "sink", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatalf("sink: map: %v", err)
	}
	t.Cleanup(func() { s.counts.Close() })
	s.ages, err = ebpf.NewMap(&ebpf.MapSpec{Name: "ages", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: ages})
	if err != nil {
		t.Fatalf("sink: map: %v", err)
	}
	t.Cleanup(func() { s.ages.Close() })
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "sink", Type: ebpf.XDP, License: "GPL", Instructions: s.count(age)})
	if err != nil {
		t.Fatalf("sink: program: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	attach(t, n, name, program)
	return s
}

// attach puts a program on a link, natively, until the test ends.
func attach(t testing.TB, n *netlab.Namespace, name string, program *ebpf.Program) {
	t.Helper()
	index := n.Link(name).Index
	err := n.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatalf("link %s: attach: %v", name, err)
	}
}

func (s *Sink) count(age bool) asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, s.counts.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	}
	if age {
		p = append(p,
			asm.FnKtimeGetNs.Call(),
			asm.LoadMem(asm.R2, asm.R6, 0, asm.Word),
			asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, headerBytes),
			asm.JGT.Reg(asm.R4, asm.R3, "drop"),
			asm.LoadMem(asm.R1, asm.R2, stampAt, asm.DWord),
			asm.Sub.Reg(asm.R0, asm.R1),
			asm.Mov.Reg(asm.R1, asm.R0),
			asm.RSh.Imm(asm.R0, ageShift),
			asm.JLT.Imm(asm.R0, young, "young"),
			asm.Mov.Reg(asm.R0, asm.R1),
			asm.RSh.Imm(asm.R0, oldShift),
			asm.Add.Imm(asm.R0, young),
			asm.JLT.Imm(asm.R0, ages, "young"),
			asm.Mov.Imm(asm.R0, ages-1),
			asm.StoreMem(asm.RFP, -4, asm.R0, asm.Word).WithSymbol("young"),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, s.ages.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "drop"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		)
	}
	return append(p,
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
}

// Count returns how many frames came.
func (s *Sink) Count() (uint64, error) {
	var each []uint64
	if err := s.counts.Lookup(uint32(0), &each); err != nil {
		return 0, fmt.Errorf("sink: %w", err)
	}
	var sum uint64
	for _, n := range each {
		sum += n
	}
	return sum, nil
}

// Ages are how old frames were when they came, counted in steps.
type Ages [ages]uint64

// Ages returns how old the frames were that came since the sink was made.
func (s *Sink) Ages() (*Ages, error) {
	a := new(Ages)
	keys := make([]uint32, ages)
	var cursor ebpf.MapBatchCursor
	if n, err := s.ages.BatchLookup(&cursor, keys, a[:], nil); n != ages {
		return nil, fmt.Errorf("sink: %d of %d ages: %w", n, ages, err)
	}
	return a, nil
}

// Since returns the ages of the frames that came after those of before.
func (a *Ages) Since(before *Ages) *Ages {
	d := new(Ages)
	for i := range a {
		d[i] = a[i] - before[i]
	}
	return d
}

// Quantile returns the age in µs that a part q of the frames does not exceed.
func (a *Ages) Quantile(q float64) float64 {
	var all uint64
	for _, n := range a {
		all += n
	}
	var sum uint64
	for i, n := range a {
		if sum += n; float64(sum) >= q*float64(all) {
			if i >= young {
				return float64(i-young+1) * oldStep / 1000
			}
			return float64(i+1) * ageStep / 1000
		}
	}
	return 0
}

// NAPI gives a link NAPI, so that it receives what XDP transmits at its peer: for
// devices that bring no program with them.
func NAPI(t testing.TB, n *netlab.Namespace, name string) {
	t.Helper()
	n.SetFeature(name, "rx-gro", true)
}

// Redirect makes XDP send at one link what comes at another: the least that anything
// between them can do.
func Redirect(t testing.TB, n *netlab.Namespace, from, to string) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "redirect", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, int32(n.Link(to).Index)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	}})
	if err != nil {
		t.Fatalf("redirect: program: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	attach(t, n, from, program)
}
