package ixdp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
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
		{Name: "fault.rate", Stack: "( kbits queue interface - )", Help: "limit the rate to kbits a second, 0 is no limit; frames that would wait longer than queue milliseconds are dropped", Example: "10000 50 0 fault.rate", Func: w.setting(rateLimit)},
		{Name: "fault.outage", Stack: "( milliseconds interface - )", Help: "drop all frames received on interface from now on for milliseconds; 0 ends it", Example: "0 fault.enable 200 0 fault.outage", Func: w.outage},
	}
	list = append(list, report.Pair[faults]{Name: "fault.show", Stack: "( - )", Help: "show what fault injection does and what it has done", Example: "fault.show", Get: w.faults, Text: showFaults}.Words(w.from)...)
	for i, kind := range policy.Faults {
		if kind.Chance == nil {
			continue
		}
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

// chance makes the function of a word that sets the chance of policy.Faults[kind], as a
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
		*policy.Faults[kind].Chance(f) = c
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
	Seed       int64         `json:"seed"`
	Filter     policy.Filter `json:"filter"`     // of their frames only these
	Sources    policy.MACs   `json:"sources"`    // the sources whose frames suffer; empty means all
	HoldLimit  int           `json:"hold_limit"` // the most frames that may wait, per queue of an interface
	Interfaces []faultPort   `json:"interfaces"`
}

type faultPort struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	policy.Fault
	OutageLeft time.Duration `json:"outage_left_ns"` // 0 if there is no outage
	Done       done          `json:"done"`
}

// done counts the frames that have suffered each fault, and those that wait now.
type done struct {
	by   [policy.FaultKinds]uint64
	held uint64
}

// MarshalJSON implements json.Marshaler: a key for each fault, its name with a _ for each blank,
// then "held".
func (d done) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, kind := range policy.Faults {
		b = strconv.AppendQuote(b, strings.ReplaceAll(kind.Name, " ", "_"))
		b = append(strconv.AppendUint(append(b, ':'), d.by[i], 10), ',')
	}
	return append(strconv.AppendUint(append(b, `"held":`...), d.held, 10), '}'), nil
}

func (w words) faults(*interp.Session) (faults, error) {
	now := w.engine.Snapshot(false)
	p := now.Policy
	v := faults{Seed: int64(p.Seed.Seed), Sources: p.Fault, Filter: p.FaultFilter, HoldLimit: now.Hold}
	for i, info := range now.Ports {
		v.Interfaces = append(v.Interfaces, faultPort{
			Index: info.Index, Name: info.Name, Fault: p.Ports[i].Fault, OutageLeft: info.OutageLeft,
			Done: done{info.Stats.ByFI, info.Stats.HeldByFI},
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
	if v.Filter.Tree != nil {
		row(s, "filter", v.Filter.Source)
	}
	for _, f := range v.Interfaces {
		s.Printf("%d %s fault injection %s\n", f.Index, f.Name, enabled(f.Enabled))
		for i, kind := range policy.Faults {
			happening(s, kind.Name, v.set(i, &f), f.Done.by[i])
		}
		happening(s, "held", "now", f.Done.held)
	}
}

// set returns the setting of a fault of an interface.
func (v *faults) set(kind int, f *faultPort) string {
	switch kind {
	case policy.FaultOutage:
		return fmt.Sprintf("%d ms left", f.OutageLeft.Round(time.Millisecond).Milliseconds())
	case policy.FaultBurst:
		return fmt.Sprintf("%d %d %d %d", f.Burst.Enter, f.Burst.Leave, f.Burst.LossBad, f.Burst.LossGood)
	case policy.FaultDelay:
		order := ""
		if f.KeepOrder {
			order = ", ordered"
		}
		return fmt.Sprintf("%d ± %d us%s", f.Delay.Microseconds(), f.Jitter.Microseconds(), order)
	case policy.FaultRate:
		return fmt.Sprintf("%d kbit/s, %d ms", f.Rate.Kbits, f.Rate.Queue.Milliseconds())
	case policy.FaultHold:
		return fmt.Sprintf("%d frames", v.HoldLimit)
	}
	return often(*policy.Faults[kind].Chance(&f.Fault))
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

func rateLimit(s *interp.Session, f *policy.Fault) (err error) {
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
