// SPDX-License-Identifier: BSD-3-Clause

// Package stamp is about the times at which devices received frames: how XDP programs ask a driver
// for them, how they reach a thread in front of a frame, and how the clock of a device is related
// to the wall clock.
//
// It attaches nothing, and does not know who uses the stamps.
package stamp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Function is the name of the kernel's function by which a program asks the driver.
const Function = "bpf_xdp_metadata_rx_timestamp"

// Unasked is the errno of the call in a program that asks nobody: it returns -Unasked, as no driver
// does. fastpath.c has this number too.
const Unasked = 1000

// Source is where programs get the stamps of one interface from. The zero Source is nowhere.
type Source struct {
	// Device is the index of the interface whose driver is asked, in the network namespace of the
	// thread that loads the program; 0: none. The program can then be attached to this interface
	// alone, and only in native mode.
	Device int
	// Clock is asked in the place of a driver, if it is not nil. It is a function of BPF with the
	// arguments and the result of Function, which begins with the symbol ClockSymbol. Tests have
	// one, since no driver of emulated devices gives stamps.
	Clock asm.Instructions
}

// ClockSymbol is the name of a Source.Clock.
const ClockSymbol = "stamp_clock"

// Given says whether there are stamps.
func (s *Source) Given() bool { return s.Device != 0 || s.Clock != nil }

// ErrNoFunction says that the kernel has no function for this.
var ErrNoFunction = errors.New("this kernel gives XDP programs no time stamps (Linux 6.3 and later does)")

// Call is the call of Function. Put makes it one that the kernel understands.
func Call() asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: -1}
}

func isCall(ins *asm.Instruction) bool {
	return ins.OpCode == asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call) && ins.Src == asm.PseudoKfuncCall
}

// Put makes the calls of Function in a program ask the source.
func (s *Source) Put(program *ebpf.ProgramSpec) error {
	var call asm.Instruction
	switch {
	case s.Clock != nil:
		call = asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference(ClockSymbol)
	case s.Device != 0:
		id, err := functionID()
		if err != nil {
			return err
		}
		call = Call()
		call.Constant = int64(id)
		program.Ifindex = uint32(s.Device)
		program.Flags |= unix.BPF_F_XDP_DEV_BOUND_ONLY
	default:
		call = asm.Mov.Imm(asm.R0, -Unasked)
	}
	for i := range program.Instructions {
		if ins := &program.Instructions[i]; isCall(ins) {
			source := ins.Source()
			if *ins = call; source != nil {
				*ins = call.WithSource(source)
			}
		}
	}
	if s.Clock != nil {
		clock := slices.Clone(s.Clock)
		if first := &program.Instructions[0]; btf.FuncMetadata(first) != nil { // then each function has to have some, and a line
			number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
			clock[0] = btf.WithFuncMetadata(clock[0].WithSource(first.Source()), &btf.Func{Name: ClockSymbol, Linkage: btf.StaticFunc, Type: &btf.FuncProto{
				Return: number,
				Params: []btf.FuncParam{{Name: "frame", Type: &btf.Pointer{Target: &btf.Void{}}}, {Name: "stamp", Type: &btf.Pointer{Target: &btf.Void{}}}},
			}})
		}
		program.Instructions = append(program.Instructions, clock...)
	}
	return nil
}

// Supported returns ErrNoFunction, or another error, if the kernel has no function for this.
func Supported() error {
	_, err := functionID()
	return err
}

// functionID returns the number by which programs call Function.
func functionID() (btf.TypeID, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, fmt.Errorf("types of the kernel: %w", err)
	}
	var fn *btf.Func
	if err := kernel.TypeByName(Function, &fn); errors.Is(err, btf.ErrNotFound) {
		return 0, ErrNoFunction
	} else if err != nil {
		return 0, fmt.Errorf("%s: %w", Function, err)
	}
	return kernel.TypeID(fn)
}

// Redirectable says whether a program that is bound to a device can redirect to other devices
// (Linux 6.15 and later, and older ones that have the same correction). The fast path needs that.
// device is the index of an interface whose driver can be asked.
func Redirectable(device int) error {
	outputs, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("map of outputs: %w", err)
	}
	defer outputs.Close()
	spec := &ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, outputs.FD()),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}}
	if err := (&Source{Device: device}).Put(spec); err != nil {
		return err
	}
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	return program.Close()
}
