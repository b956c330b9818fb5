// SPDX-License-Identifier: BSD-3-Clause

package wire

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"ethertap/tests/netlab"
)

// IMIX in place of a size is the usual mixture: of twelve frames seven of 64 bytes,
// four of 570 and one of 1500, 353 bytes on average.
const IMIX = 0

const (
	smallest, middle, largest = 64, 570, 1500
	headerBytes               = 24 // addresses, type, two bytes, the stamp
	stampAt                   = 16
	lateness                  = 100 * time.Microsecond // from which a generator does not catch up
	maxNap                    = 1 << 23                // looks at the clock between two bursts
)

// Traffic describes what a Generator sends. Frames have no checksum in their size,
// as everywhere in Linux.
type Traffic struct {
	Size    int     // bytes, 64…1500, or IMIX
	Sources int     // source addresses in turn, a power of two; 0 = 1
	Rate    float64 // frames a second; 0 = as fast as it goes
	Burst   int     // frames sent at once when Rate is given, a power of two; 0 = 32
}

// Generator sends frames out of an interface from a core of its own.
type Generator struct {
	n       *netlab.Namespace // the kernel looks the interface up in that of the caller
	program *ebpf.Program
	state   *ebpf.Map
	frame   []byte
	batch   uint32
	core    int
}

// state of a running program.
type state struct {
	Next  uint64 // when the next burst is due, ns on the monotonic clock; 0: at once
	Count uint64 // frames
	Stop  uint64 // not 0: no more frames
	First uint64 // when the first frame was made, ns on the monotonic clock; 0: none yet
	Last  uint64 // likewise the last one
}

// NewGenerator makes a generator for a link. It goes with the test.
func NewGenerator(t testing.TB, n *netlab.Namespace, link string, core int, f Traffic) *Generator {
	t.Helper()
	index := n.Link(link).Index
	f.Sources, f.Burst = max(f.Sources, 1), max(f.Burst, 0)
	if f.Burst == 0 {
		f.Burst = 32
	}
	g := &Generator{n: n, batch: 64, core: core}
	if f.Rate > 0 {
		// One batch of the kernel is one burst: frames leave at its end.
		g.batch = uint32(f.Burst)
	}
	size := f.Size
	if size == IMIX {
		size = largest
	}
	g.frame = make([]byte, size)
	copy(g.frame, []byte{2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 1, 0, 0, 0x88, 0xb5})
	for i := headerBytes; i < size; i++ {
		g.frame[i] = byte(i)
	}
	var err error
	g.state, err = ebpf.NewMap(&ebpf.MapSpec{Name: "generator", Type: ebpf.Array, KeySize: 4, ValueSize: 40, MaxEntries: 1})
	if err != nil {
		t.Fatalf("generator: map: %v", err)
	}
	t.Cleanup(func() { g.state.Close() })
	g.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "generator", Type: ebpf.XDP, License: "GPL", Instructions: generate(f, g.state.FD(), index),
	})
	if err != nil {
		t.Fatalf("generator: program: %v", err)
	}
	t.Cleanup(func() { g.program.Close() })
	return g
}

// generate writes the program. R6 is its context, R7 the state, R8 the number of
// the frame, R9 the time of the next burst.
func generate(f Traffic, stateFD, index int) asm.Instructions {
	p := asm.Instructions{
		btf.WithFuncMetadata(asm.Mov.Reg(asm.R6, asm.R1), function("generate", "context")).WithSymbol("generate"),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, stateFD),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R7, 16, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "drop"),
		asm.LoadMem(asm.R8, asm.R7, 8, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R7, 8, asm.R1, asm.DWord),
	}
	if f.Rate > 0 {
		gap := int32(float64(f.Burst) * 1e9 / f.Rate)
		p = append(p,
			asm.Mov.Reg(asm.R1, asm.R8),
			asm.And.Imm(asm.R1, int32(f.Burst-1)),
			asm.JNE.Imm(asm.R1, 0, "build"),
			asm.LoadMem(asm.R9, asm.R7, 0, asm.DWord),
			asm.FnKtimeGetNs.Call(),
			asm.Mov.Reg(asm.R1, asm.R0),
			asm.Sub.Imm(asm.R1, int32(lateness)),
			asm.JLE.Reg(asm.R1, asm.R9, "wait"), // what is too late is not caught up with
			asm.Mov.Reg(asm.R9, asm.R0),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("wait"),
			asm.JGE.Reg(asm.R0, asm.R9, "due"),
			asm.StoreMem(asm.RFP, -16, asm.R9, asm.DWord),
			asm.Mov.Imm(asm.R1, maxNap),
			loadFunction(asm.R2, "nap"),
			asm.Mov.Reg(asm.R3, asm.RFP),
			asm.Add.Imm(asm.R3, -16),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnLoop.Call(),
			asm.Add.Imm(asm.R9, gap).WithSymbol("due"),
			asm.StoreMem(asm.R7, 0, asm.R9, asm.DWord),
		)
	}
	p = append(p, asm.Mov.Imm(asm.R0, 0).WithSymbol("build"))
	if f.Size == IMIX {
		p = append(p,
			asm.Mov.Reg(asm.R1, asm.R8),
			asm.Mod.Imm(asm.R1, 12),
			asm.JEq.Imm(asm.R1, 0, "sized"),
			asm.Mov.Imm(asm.R2, middle-largest),
			asm.JLE.Imm(asm.R1, 4, "cut"),
			asm.Mov.Imm(asm.R2, smallest-largest),
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("cut"),
			asm.FnXdpAdjustTail.Call(),
			asm.JNE.Imm(asm.R0, 0, "drop"),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("sized"),
		)
	}
	p = append(p,
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // its end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, headerBytes),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
		asm.StoreMem(asm.R2, stampAt, asm.R0, asm.DWord),
		asm.StoreMem(asm.R7, 32, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R7, 24, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "begun"),
		asm.StoreMem(asm.R7, 24, asm.R0, asm.DWord),
		asm.And.Imm(asm.R8, int32(f.Sources-1)).WithSymbol("begun"),
		asm.StoreMem(asm.R2, 10, asm.R8, asm.Half), // the end of the source address
		asm.Mov.Imm(asm.R1, int32(index)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
	if f.Rate == 0 {
		return p
	}
	return append(p,
		// nap is called until it returns 1: when the time at *R2 has come.
		btf.WithFuncMetadata(asm.Mov.Reg(asm.R6, asm.R2), function("nap", "index", "due")).WithSymbol("nap"),
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R0),
		asm.Mov.Imm(asm.R0, 0),
		asm.JGT.Reg(asm.R1, asm.R2, "early"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return().WithSymbol("early"),
	)
}

// xdpDrop is the action that drops a frame.
const xdpDrop = 1

// function describes a function as the kernel wants it for one that is called back.
func function(name string, params ...string) *btf.Func {
	proto := &btf.FuncProto{Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}
	for _, p := range params {
		proto.Params = append(proto.Params, btf.FuncParam{Name: p, Type: &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}})
	}
	return &btf.Func{Name: name, Type: proto, Linkage: btf.StaticFunc}
}

// loadFunction loads the address of a function of the same program.
func loadFunction(to asm.Register, name string) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: to, Src: asm.PseudoFunc, Constant: -1}.WithReference(name)
}

// flagLive makes the kernel run a program on real frames and do what it says
// (BPF_F_TEST_XDP_LIVE_FRAMES).
const flagLive = 1 << 1

// Sent returns how many frames the last Send has made. There may be more than were asked for: a
// signal of Go's runtime interrupts the kernel's call, which is then made anew.
func (g *Generator) Sent() (int, error) {
	var s state
	if err := g.state.Lookup(uint32(0), &s); err != nil {
		return 0, fmt.Errorf("generator: %w", err)
	}
	return int(s.Count), nil
}

// Send sends n frames and returns how long that took, from the first to where the next
// would have followed the last: what the kernel does before and after a run, some 20 ms,
// is not the generator's pace.
func (g *Generator) Send(n int) (time.Duration, error) {
	if err := g.state.Put(uint32(0), &state{}); err != nil {
		return 0, fmt.Errorf("generator: %w", err)
	}
	if err := g.run(n); err != nil {
		return 0, err
	}
	var s state
	if err := g.state.Lookup(uint32(0), &s); err != nil {
		return 0, fmt.Errorf("generator: %w", err)
	}
	if s.First == 0 || n < 2 {
		return 0, nil
	}
	bursts := max(float64(n)/float64(g.batch), 2)
	return time.Duration(float64(s.Last-s.First) * bursts / (bursts - 1)), nil
}

// On runs fn on one core.
func On(core int, fn func() error) (err error) {
	back, err := netlab.Pin(core)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, back()) }()
	return fn()
}

// run makes the kernel run the program n times, on the generator's core.
func (g *Generator) run(n int) error {
	err := On(g.core, func() error {
		return g.n.Do(func() error {
			_, err := g.program.Run(&ebpf.RunOptions{Data: g.frame, Repeat: uint32(n), Flags: flagLive, BatchSize: g.batch})
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("generator: run: %w", err)
	}
	return nil
}

// portion is how many frames one call sends when nobody says how many it will be:
// a quarter of a second or so.
const portion = 1 << 20

// Flood sends until stop is called, which returns when no more frame comes.
func (g *Generator) Flood() (stop func() error, err error) {
	if err := g.state.Put(uint32(0), &state{}); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	var enough atomic.Bool
	done := make(chan error, 1)
	go func() {
		for !enough.Load() {
			if err := g.run(portion); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return func() error {
		enough.Store(true)
		err := g.state.Put(uint32(0), &state{Stop: 1})
		return errors.Join(err, <-done)
	}, nil
}
