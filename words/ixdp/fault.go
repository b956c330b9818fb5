package ixdp

import (
	"fmt"
	"math"

	"ethertap/dataplane"
	"ethertap/interp"
)

// faultWords are the words of fault injection but for those of its machash.
func (w words) faultWords() []interp.Word {
	list := []interp.Word{
		{Name: "fault.enable", Stack: "( interface - )", Help: "enable fault injection on frames received on interface", Example: "0 fault.enable",
			Func: w.fault(func(_ *interp.Session, f *dataplane.FaultPolicy) error { f.Enabled = true; return nil })},
		{Name: "fault.disable", Stack: "( interface - )", Help: "disable fault injection on interface; its settings stay", Example: "0 fault.disable",
			Func: w.fault(func(_ *interp.Session, f *dataplane.FaultPolicy) error { f.Enabled = false; return nil })},
		{Name: "fault.reset", Stack: "( interface - )", Help: "disable fault injection on interface and forget its settings", Example: "0 fault.reset",
			Func: w.fault(func(_ *interp.Session, f *dataplane.FaultPolicy) error { *f = dataplane.FaultPolicy{}; return nil })},
		{Name: "fault.seed", Stack: "( n - )", Help: "set the seed of all faults and begin anew: the same seed gives the same faults for the same traffic", Example: "42 fault.seed", Func: w.seed},
		{Name: "fault.show", Stack: "( - )", Help: "show what fault injection does and what it has done", Example: "fault.show", Func: w.showFaults},
	}
	for i, kind := range []struct{ name, what string }{
		{"drop", "that a frame is dropped"},
		{"length", "that a frame is cut short or made longer"},
		{"bitflip", "that one bit of a frame is inverted, from byte 15 on"},
		{"dup", "that a frame is sent twice"},
	} {
		list = append(list,
			interp.Word{Name: "fault." + kind.name + ".probability", Stack: "( probability interface - )",
				Help:    "set the probability " + kind.what + ", in 1/100000",
				Example: "1000 0 fault." + kind.name + ".probability", Func: w.chance(i, true)},
			interp.Word{Name: "fault." + kind.name + ".every", Stack: "( n interface - )",
				Help:    "set " + kind.what + " to every n-th frame instead of by probability; 0 is never",
				Example: "100 0 fault." + kind.name + ".every", Func: w.chance(i, false)})
	}
	return list
}

// fault makes the function of a word that changes the faults of one interface. The
// change takes its values, beneath the interface, from the session.
func (w words) fault(change func(*interp.Session, *dataplane.FaultPolicy) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		i, err := w.popInterface(s)
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *dataplane.Policy) error { return change(s, &p.Port[i].Fault) })
	}
}

// chance makes the function of a word that sets the chance of a fault: the kind-th
// of FaultPolicy.Chances.
func (w words) chance(kind int, random bool) func(*interp.Session) error {
	return w.fault(func(s *interp.Session, f *dataplane.FaultPolicy) error {
		what, most := "probability", int64(dataplane.Certain)
		if !random {
			what, most = "n", math.MaxUint32
		}
		n, err := s.PopRange(what, 0, most)
		if err != nil {
			return err
		}
		c := dataplane.Chance{Probability: uint32(n)}
		if !random {
			c = dataplane.Chance{Every: uint32(n)}
		}
		*f.Chances()[kind].Chance = c
		return nil
	})
}

func (w words) seed(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return w.engine.Update(func(p *dataplane.Policy) error {
		p.FaultSeed = dataplane.FaultSeed{Seed: uint64(n), Epoch: p.FaultSeed.Epoch + 1}
		return nil
	})
}

// showFaults prints for each interface what is set and, behind it, how often it has
// happened.
func (w words) showFaults(s *interp.Session) error {
	policy := w.engine.Policy()
	row(s, "seed", int64(policy.FaultSeed.Seed))
	if n := policy.FaultHash.Len(); n == 0 {
		row(s, "sources", "all")
	} else {
		row(s, "sources", fmt.Sprintf("%d in fault.hash", n))
	}
	all := w.engine.AllStats()
	for i, port := range w.engine.Ports() {
		f, st := policy.Port[i].Fault, all[i]
		s.Printf("%d %s fault injection %s\n", port.Index, port.Name, enabled(f.Enabled))
		done := []uint64{st.DroppedByFI, st.LengthByFI, st.BitflippedByFI, st.DuplicatedByFI}
		for k, c := range f.Chances() {
			happening(s, c.Name, often(*c.Chance), done[k])
		}
	}
	return nil
}

// happening prints a fault, its setting and how many frames have suffered it.
func happening(s *interp.Session, name, setting string, n uint64) {
	s.Printf("  %-21s %-21s %d\n", name, setting, n)
}

func often(c dataplane.Chance) string {
	if c.Every > 0 {
		return fmt.Sprintf("every %d", c.Every)
	}
	return percent(c.Probability)
}
