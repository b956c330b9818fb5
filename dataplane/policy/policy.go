// SPDX-License-Identifier: BSD-3-Clause

// Package policy describes the wishes of the user about frames: which are tapped, which are
// dropped, and which faults they suffer. Its values are plain: they can be compared, printed and
// written as JSON, and nothing in them is open, running or shared. The package does not know who
// carries the wishes out.
package policy

import (
	"errors"
	"fmt"
	"slices"
)

// MaxPorts is the largest number of interfaces, MaxTaps that of taps: of the TAP queue and of
// further queues.
const (
	MaxPorts = 2
	MaxTaps  = 9
)

// Policy is all that the user wishes about the frames of all interfaces. A copy shares the list
// of the original; Clone has its own.
type Policy struct {
	Ports [MaxPorts]Port `json:"ports"`
	Taps  []Tap          `json:"taps"`  // the first is that of the TAP queue; see New
	Drop  MACs           `json:"drop"`  // frames from these sources are dropped
	Fault MACs           `json:"fault"` // only frames from these sources suffer faults; empty = all
	Seed  Seed           `json:"seed"`

	DropFilter  Filter `json:"drop_filter"`  // frames that match are dropped, besides those that Drop says
	FaultFilter Filter `json:"fault_filter"` // only frames that match suffer faults, of those that Fault says; none = all
}

// Port is a policy for the frames of one interface, except for taps.
type Port struct {
	Fault Fault `json:"fault"`
}

// Tap is a policy for the copies of frames that a queue gets.
type Tap struct {
	Name string         `json:"name"` // of the queue; "" is the TAP queue, whatever that is called
	RX   [MaxPorts]bool `json:"rx"`   // of frames received on the interface
	TX   [MaxPorts]bool `json:"tx"`   // of frames sent on it
	MACs MACs           `json:"macs"` // only of those whose source or destination is one of these; empty = all

	RXFilter [MaxPorts]Filter `json:"rx_filter"` // of those received on the interface only the frames that match; none = all
	TXFilter [MaxPorts]Filter `json:"tx_filter"` // likewise of those sent, as they are sent
}

// New returns a policy without any wish.
func New() Policy { return Policy{Taps: make([]Tap, 1)} }

// Clone returns a copy that may be changed.
func (p *Policy) Clone() Policy {
	c := *p
	c.Taps = slices.Clone(p.Taps)
	return c
}

// First returns the tap of the TAP queue.
func (p *Policy) First() *Tap { return &p.Taps[0] }

// Tap returns the tap of a further queue.
func (p *Policy) Tap(queue string) (*Tap, error) {
	i := slices.IndexFunc(p.Taps[1:], func(t Tap) bool { return t.Name == queue })
	if i < 0 {
		return nil, fmt.Errorf("no queue %s is fed here", queue)
	}
	return &p.Taps[1+i], nil
}

// Equal says whether two policies are the same.
func (p *Policy) Equal(o *Policy) bool {
	return p.Ports == o.Ports && slices.Equal(p.Taps, o.Taps) && p.Drop == o.Drop && p.Fault == o.Fault && p.Seed == o.Seed &&
		p.DropFilter == o.DropFilter && p.FaultFilter == o.FaultFilter
}

// These are the errors of wishes that have no effect on a single interface, which is mirrored.
var (
	ErrNoTXTap = errors.New("interface 0 is mirrored: nothing is sent that a TX tap could take; that takes two interfaces")
	ErrNoFault = errors.New("interface 0 is mirrored: nothing is forwarded that a fault could be done to; that takes two interfaces")
)

// End is what an interface does. A file that is read sends nothing, and one that is written receives nothing.
type End struct{ Receives, Sends bool }

// CheckFault returns an error if no fault can be done to frames received on interface i.
func CheckFault(ends []End, i int) error {
	switch {
	case len(ends) == 1:
		return ErrNoFault
	case !ends[i].Receives:
		return fmt.Errorf("interface %d is a file that is written: nothing is received there that a fault could be done to; faults are for interface %d", i, 1-i)
	case !ends[1-i].Sends:
		return fmt.Errorf("interface %d is a file that is read: what interface %d receives is mirrored, and no fault can be done to it; faults are for interface %[1]d", 1-i, i)
	}
	return nil
}

// check returns an error if a tap has wishes for which no frame can come.
func (t *Tap) check(ends []End) error {
	for i, end := range ends {
		switch {
		case !end.Sends && (t.TX[i] || t.TXFilter[i].Tree != nil):
			return fmt.Errorf("interface %d is a file that is read: nothing is sent there that a TX tap could take", i)
		case !end.Receives && (t.RX[i] || t.RXFilter[i].Tree != nil):
			return fmt.Errorf("interface %d is a file that is written: nothing is received there that an RX tap could take", i)
		}
	}
	return nil
}

// Check returns an error if a policy is out of range, or has a wish that can have no effect between
// interfaces with these ends.
func (p *Policy) Check(ends []End) error {
	for i := range p.Ports {
		if err := p.Ports[i].Fault.check(i); err != nil {
			return err
		}
	}
	switch {
	case len(p.Taps) == 0 || p.Taps[0].Name != "":
		return fmt.Errorf("the first tap is not that of the TAP queue")
	case len(p.Taps) > MaxTaps:
		return fmt.Errorf("%d further queues are fed already", MaxTaps-1)
	}
	for i, t := range p.Taps {
		if slices.ContainsFunc(p.Taps[:i], func(o Tap) bool { return o.Name == t.Name }) {
			return fmt.Errorf("queue %s is fed twice", t.Name)
		}
	}
	if len(ends) > 1 {
		for i := range ends {
			if p.Ports[i].Fault == (Fault{}) {
				continue
			}
			if err := CheckFault(ends, i); err != nil {
				return err
			}
		}
		for i := range p.Taps {
			if err := p.Taps[i].check(ends); err != nil {
				return err
			}
		}
		return nil
	}
	if slices.ContainsFunc(p.Taps, func(t Tap) bool { return t.TX[0] || t.TXFilter[0].Tree != nil }) {
		return ErrNoTXTap
	}
	if p.Ports[0].Fault != (Fault{}) || p.Fault != "" || p.FaultFilter.Tree != nil || p.Seed != (Seed{}) {
		return ErrNoFault
	}
	return nil
}
