package ixdp

import (
	"fmt"
	"math"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/port"
	"ethertap/words/report"
)

// faultWords returns the words of fault injection, except fault.hash.*.
func (w words) faultWords() []interp.Word {
	list := []interp.Word{
		{Name: "fault.enable", Stack: "( interface - )", Help: "enable fault injection on frames received on interface", Example: "0 fault.enable",
			Func: w.fault(func(_ *interp.Session, f *policy.Fault) error { f.Enabled = true; return nil })},
		{Name: "fault.disable", Stack: "( interface - )", Help: "disable fault injection on interface; its settings stay", Example: "0 fault.disable",
			Func: w.fault(func(_ *interp.Session, f *policy.Fault) error { f.Enabled = false; return nil })},
		{Name: "fault.reset", Stack: "( interface - )", Help: "disable fault injection on interface and forget its settings", Example: "0 fault.reset",
			Func: w.fault(func(_ *interp.Session, f *policy.Fault) error { *f = policy.Fault{}; return nil })},
		{Name: "fault.seed", Stack: "( n - )", Help: "set the seed of all faults and begin anew: the same seed gives the same faults for the same traffic", Example: "42 fault.seed", Func: w.seed},
		{Name: "fault.burst", Stack: "( enter leave bad good interface - )", Help: "lose frames in bursts: probabilities in 1/100000 of entering a burst with a frame, of leaving it, of loss in it and outside of it (Gilbert-Elliott)", Example: "100 10000 100000 0 0 fault.burst", Func: w.setting(burst)},
		{Name: "fault.delay", Stack: "( delay jitter interface - )", Help: "delay frames by delay plus or minus up to jitter, in microseconds; frames may overtake each other by the jitter", Example: "10000 2000 0 fault.delay", Func: w.setting(delay)},
		{Name: "fault.delay.ordered", Stack: "( flag interface - )", Help: "keep the order of delayed frames whatever the jitter, if flag is not 0", Example: "-1 0 fault.delay.ordered", Func: w.setting(ordered)},
		{Name: "fault.rate", Stack: "( kbits queue interface - )", Help: "limit the rate to kbits a second, 0 is no limit; frames that would wait longer than queue milliseconds are dropped", Example: "10000 50 0 fault.rate", Func: w.setting(rate)},
		{Name: "fault.outage", Stack: "( milliseconds interface - )", Help: "drop all frames received on interface from now on for milliseconds; 0 ends it", Example: "0 fault.enable 200 0 fault.outage", Func: w.outage},
	}
	list = append(list, report.Pair[faults]{Name: "fault.show", Stack: "( - )", Help: "show what fault injection does and what it has done", Example: "fault.show", Get: w.faults, Text: showFaults}.Words(w.from)...)
	for i, kind := range policy.Chances {
		list = append(list,
			interp.Word{Name: "fault." + kind.Name + ".probability", Stack: "( probability interface - )",
				Help:    "set the probability " + kind.Help + ", in 1/100000",
				Example: "1000 0 fault." + kind.Name + ".probability", Func: w.chance(i, true)},
			interp.Word{Name: "fault." + kind.Name + ".every", Stack: "( n interface - )",
				Help:    "set " + kind.Help + " to every n-th frame instead of by probability; 0 is never",
				Example: "100 0 fault." + kind.Name + ".every", Func: w.chance(i, false)})
	}
	return list
}

// fault makes the function of a word that changes the faults of one interface. The word takes the
// interface from the stack, then change takes its values from below it.
func (w words) fault(change func(*interp.Session, *policy.Fault) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		i, err := port.Pop(s, w.engine)
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *policy.Policy) error { return change(s, &p.Ports[i].Fault) })
	}
}

// setting is like fault, for words that configure a fault. A configured fault has no effect
// before fault.enable, so the word hints at that while it is missing.
func (w words) setting(change func(*interp.Session, *policy.Fault) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		i, err := port.Pop(s, w.engine)
		if err != nil {
			return err
		}
		changed := false
		err = w.engine.Update(func(p *policy.Policy) error {
			before := p.Ports[i].Fault
			err := change(s, &p.Ports[i].Fault)
			changed = p.Ports[i].Fault != before
			return err
		})
		if err == nil && changed {
			s.Hint(func() string { return w.idle(i) })
		}
		return err
	}
}

// idle returns the hint that the faults of an interface have no effect yet, "" if they have or
// none is set.
func (w words) idle(i int) string {
	f := w.engine.Policy().Ports[i].Fault
	if f.Enabled || f == (policy.Fault{Outage: f.Outage}) {
		return ""
	}
	return fmt.Sprintf("fault injection is disabled on interface %d, so this has no effect yet: %d fault.enable", i, i)
}

// chance makes the function of a word that sets the chance of policy.Chances[kind], as a
// probability if random is set, and otherwise as every n-th frame.
func (w words) chance(kind int, random bool) func(*interp.Session) error {
	return w.setting(func(s *interp.Session, f *policy.Fault) error {
		what, most := "probability", int64(policy.Certain)
		if !random {
			what, most = "n", math.MaxUint32
		}
		n, err := s.PopRange(what, 0, most)
		if err != nil {
			return err
		}
		c := policy.Chance{Probability: uint32(n)}
		if !random {
			c = policy.Chance{Every: uint32(n)}
		}
		*policy.Chances[kind].Of(f) = c
		return nil
	})
}

func (w words) seed(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return w.engine.Update(func(p *policy.Policy) error {
		p.Seed = policy.Seed{Seed: uint64(n), Epoch: p.Seed.Epoch + 1}
		return nil
	})
}

// faults are the settings of all faults, and how often each has happened.
type faults struct {
	Seed       int64       `json:"seed"`
	Sources    policy.MACs `json:"sources"`    // the sources whose frames suffer; empty means all
	HoldLimit  int         `json:"hold_limit"` // the most frames that may wait, per queue of an interface
	Interfaces []faultPort `json:"interfaces"`
}

type faultPort struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	policy.Fault
	OutageLeft time.Duration `json:"outage_left_ns"` // 0 if there is no outage
	Done       done          `json:"done"`
}

// done counts the frames that have suffered each fault.
type done struct {
	Outage    uint64 `json:"outage"`
	Burst     uint64 `json:"burst"`
	Drop      uint64 `json:"drop"`
	Length    uint64 `json:"length"`
	Bitflip   uint64 `json:"bitflip"`
	Dup       uint64 `json:"dup"`
	Reorder   uint64 `json:"reorder"`
	Delay     uint64 `json:"delay"`
	RateLimit uint64 `json:"rate_limit"`
	HoldLimit uint64 `json:"hold_limit"`
	Held      uint64 `json:"held"` // frames waiting now
}

func (w words) faults(*interp.Session) (faults, error) {
	now := w.engine.Snapshot(false)
	p := now.Policy
	v := faults{Seed: int64(p.Seed.Seed), Sources: p.Fault, HoldLimit: now.Hold}
	for i, info := range now.Ports {
		st := info.Stats
		v.Interfaces = append(v.Interfaces, faultPort{
			Index: info.Index, Name: info.Name, Fault: p.Ports[i].Fault, OutageLeft: info.OutageLeft,
			Done: done{
				Outage: st.OutageByFI, Burst: st.BurstByFI, Drop: st.RandomByFI, Length: st.LengthByFI, Bitflip: st.BitflippedByFI,
				Dup: st.DuplicatedByFI, Reorder: st.ReorderedByFI, Delay: st.DelayedByFI, RateLimit: st.RateByFI, HoldLimit: st.HoldByFI, Held: st.HeldByFI,
			},
		})
	}
	return v, nil
}

// showFaults prints, for each interface, the setting of each fault and how often it has happened.
func showFaults(s *interp.Session, v faults) {
	row(s, "seed", v.Seed)
	if n := v.Sources.Len(); n == 0 {
		row(s, "sources", "all")
	} else {
		row(s, "sources", fmt.Sprintf("%d in fault.hash", n))
	}
	for _, f := range v.Interfaces {
		s.Printf("%d %s fault injection %s\n", f.Index, f.Name, enabled(f.Enabled))
		happening(s, "outage", fmt.Sprintf("%d ms left", f.OutageLeft.Round(time.Millisecond).Milliseconds()), f.Done.Outage)
		b := f.Burst
		happening(s, "burst", fmt.Sprintf("%d %d %d %d", b.Enter, b.Leave, b.LossBad, b.LossGood), f.Done.Burst)
		happening(s, "drop", often(f.Drop), f.Done.Drop)
		happening(s, "length", often(f.Length), f.Done.Length)
		happening(s, "bitflip", often(f.Bitflip), f.Done.Bitflip)
		happening(s, "dup", often(f.Dup), f.Done.Dup)
		happening(s, "reorder", often(f.Reorder), f.Done.Reorder)
		order := ""
		if f.KeepOrder {
			order = ", ordered"
		}
		happening(s, "delay", fmt.Sprintf("%d ± %d us%s", f.Delay.Microseconds(), f.Jitter.Microseconds(), order), f.Done.Delay)
		happening(s, "rate limit", fmt.Sprintf("%d kbit/s, %d ms", f.Rate.Kbits, f.Rate.Queue.Milliseconds()), f.Done.RateLimit)
		happening(s, "hold limit", fmt.Sprintf("%d frames", v.HoldLimit), f.Done.HoldLimit)
		happening(s, "held", "now", f.Done.Held)
	}
}

// burst takes the four probabilities of a burst, in the order of the fields of policy.Burst.
func burst(s *interp.Session, f *policy.Fault) error {
	var b policy.Burst
	for _, p := range []struct {
		name string
		to   *uint32
	}{{"good", &b.LossGood}, {"bad", &b.LossBad}, {"leave", &b.Leave}, {"enter", &b.Enter}} {
		n, err := s.PopRange(p.name, 0, policy.Certain)
		if err != nil {
			return err
		}
		*p.to = uint32(n)
	}
	f.Burst = b
	return nil
}

func delay(s *interp.Session, f *policy.Fault) (err error) {
	if f.Jitter, err = popTime(s, "jitter", time.Microsecond); err != nil {
		return err
	}
	f.Delay, err = popTime(s, "delay", time.Microsecond)
	return err
}

func ordered(s *interp.Session, f *policy.Fault) error {
	flag, err := s.PopInt()
	f.KeepOrder = flag != 0
	return err
}

func rate(s *interp.Session, f *policy.Fault) (err error) {
	if f.Rate.Queue, err = popTime(s, "queue", time.Millisecond); err != nil {
		return err
	}
	kbits, err := s.PopRange("kbits", 0, 1e9)
	f.Rate.Kbits = uint64(kbits)
	return err
}

func (w words) outage(s *interp.Session) error {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return err
	}
	d, err := popTime(s, "milliseconds", time.Millisecond)
	if err != nil {
		return err
	}
	return w.engine.Outage(i, d)
}

// popTime takes a time in units, at most policy.MaxDelay.
func popTime(s *interp.Session, what string, unit time.Duration) (time.Duration, error) {
	n, err := s.PopRange(what, 0, int64(policy.MaxDelay/unit))
	return time.Duration(n) * unit, err
}

// happening prints a row: a fault, its setting, and the number of frames that have suffered it.
func happening(s *interp.Session, name, setting string, n uint64) {
	s.Printf("  %-21s %-32s %d\n", name, setting, n)
}

func often(c policy.Chance) string {
	if c.Every > 0 {
		return fmt.Sprintf("every %d", c.Every)
	}
	return percent(c.Probability)
}
