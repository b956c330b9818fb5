// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"ethertap/lib/predicate"
)

// dissector is the name of the function of headers.h that filter programs call.
const dissector = "dissect"

// filters are predicates on the frames received on a port, nil where there is none. Those of
// taps are as Tap has them.
type filters struct {
	rx, tx      [MaxTaps]*predicate.Code
	drop, fault *predicate.Code
}

// filters returns the predicates on frames received on a port that matter.
func (r *Rules) filters(port int) (f filters) {
	p := &r.Port[port]
	for i, t := range r.Taps {
		if t.RX[port] {
			f.rx[i] = t.RXFilter[port]
		}
		if out := ports - 1 - port; t.TX[out] && p.Forward {
			f.tx[i] = t.TXFilter[out]
		}
	}
	f.drop = r.DropFilter
	if p.Fault && p.Forward {
		f.fault = r.FaultFilter
	}
	return f
}

// questions returns the predicates with the bits that they decide, and the bits of taps and faults that have none.
func (f *filters) questions() (list []question, rest objectVerdict) {
	add := func(code *predicate.Code, bit objectVerdict, outbound bool) {
		if code == nil {
			rest |= bit
			return
		}
		list = append(list, question{code, bit, outbound})
	}
	for i := range MaxTaps {
		add(f.rx[i], 1<<i, false)
		add(f.tx[i], 1<<(i+int(objectVerdictVERDICT_TX_AT)), true)
	}
	add(f.fault, objectVerdictVERDICT_FAULT, false)
	if f.drop != nil { // without one, nothing is dropped
		add(f.drop, objectVerdictVERDICT_DROP, false)
	}
	return list, rest
}

// putFilters loads the programs of filters that are not in force and puts them where no policy
// refers to yet. It returns where that is, for each port. What cannot be loaded is noted, and
// then the port has none.
func (p *Path) putFilters(r *Rules) (turns [ports]uint16) {
	settled := p.settled
	p.settled = false // until they are in force
	for port := range p.ports {
		f := r.filters(port)
		if settled && f == p.filters[port] {
			turns[port] = p.turns[port]
			continue
		}
		p.filters[port], p.failures[port], p.sizes[port] = f, nil, 0
		list, rest := f.questions()
		if len(list) == 0 {
			continue
		}
		turns[port] = 1
		if p.turns[port] == 1 {
			turns[port] = uint16(objectFilterSizeFILTER_TURNS)
		}
		if p.sizes[port], p.failures[port] = p.putProgram(filterSlot(port, turns[port]), list, rest); p.failures[port] != nil {
			turns[port] = 0
		}
	}
	return turns
}

// filterSlot is where a program of a port is in the map of filters.
func filterSlot(port int, turn uint16) uint32 {
	return uint32(port)*uint32(objectFilterSizeFILTER_TURNS) + uint32(turn) - 1
}

// putProgram puts the program of some predicates in a slot, and returns its size.
func (p *Path) putProgram(slot uint32, list []question, rest objectVerdict) (instructions int, err error) {
	if p.tailless != nil {
		return 0, p.tailless
	}
	ins, err := emit(list, rest)
	if err != nil {
		return 0, err
	}
	program, err := p.loadProgram(ins)
	if err != nil {
		return 0, err
	}
	defer program.Close() // the map holds it
	return len(ins), p.maps[objectMapFilters].Put(slot, program)
}

// dropFilters takes the programs away that no policy refers to any more.
func (p *Path) dropFilters(inForce [ports]uint16) error {
	var errs []error
	for port := range p.ports {
		if old := p.turns[port]; old != 0 && old != inForce[port] {
			errs = append(errs, p.maps[objectMapFilters].Delete(filterSlot(port, old)))
		}
	}
	p.turns, p.settled = inForce, true
	return errors.Join(errs...)
}

// Filters returns how many instructions the program of the filters of frames received on a port
// has, without the dissector; 0 if there are no filters. An error says why they are not evaluated in
// the kernel, so that all frames of the port are diverted.
func (p *Path) Filters(port int) (instructions int, err error) {
	return p.sizes[port], p.failures[port]
}

// loadProgram loads what emit has written, with the dissector behind it.
func (p *Path) loadProgram(ins asm.Instructions) (*ebpf.Program, error) {
	template := p.filter.Instructions
	at := slices.IndexFunc(template, func(in asm.Instruction) bool {
		return in.Symbol() != "" && in.Symbol() != objectProgFilter && btf.FuncMetadata(&in) != nil
	})
	if at < 0 {
		return nil, errors.New("the object has no dissector")
	}
	dissects := slices.ContainsFunc(ins, func(in asm.Instruction) bool { return in.Reference() == dissector })
	ins[0] = btf.WithFuncMetadata(ins[0].WithSymbol(objectProgFilter).WithSource(template[0].Source()), btf.FuncMetadata(&template[0]))
	spec := p.filter.Copy()
	if spec.Instructions = ins; dissects { // the kernel takes no function that nobody calls
		spec.Instructions = append(ins, template[at:]...)
	}
	program, err := ebpf.NewProgram(spec)
	if errors.Is(err, unix.E2BIG) {
		return nil, errComplex
	}
	if err != nil {
		return nil, fmt.Errorf("load filters: %w", err)
	}
	return program, nil
}

// withoutTailCalls makes the programs of a specification do without. Where they ask filters,
// nothing is decided then. Kernels of some architectures have no tail calls from a subprogram.
func withoutTailCalls(spec *ebpf.CollectionSpec) {
	call := asm.FnTailCall.Call()
	for _, name := range portPrograms {
		ins := spec.Programs[name].Instructions
		for i := range ins {
			if ins[i].OpCode == call.OpCode && ins[i].Constant == call.Constant && ins[i].Src == call.Src {
				nothing := asm.Mov.Imm(asm.R0, 0)
				nothing.Metadata = ins[i].Metadata
				ins[i] = nothing
			}
		}
	}
}
