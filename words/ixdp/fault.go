// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ethertap/dataplane"
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
		{Name: "fault.burst", Stack: "( enter leave bad good interface - )", Help: "lose frames in bursts: probabilities in 1/100000, or as 1%, of entering a burst with a frame, of leaving it, of loss in it and outside of it (Gilbert-Elliott)", Example: "100 10000 100000 0 0 fault.burst", Func: w.setting(burst)},
		{Name: "fault.delay", Stack: "( delay jitter interface - )", Help: "delay frames by delay plus or minus up to jitter, in microseconds, or as 10ms (see fault.delay.distribution); frames may overtake each other by the jitter", Example: "10ms 2ms 0 fault.delay", Func: w.setting(delay)},
		{Name: "fault.delay.distribution", Stack: "( name interface - )", Help: "set how delays are distributed: uniform within the jitter; normal or pareto, with the jitter as standard deviation; or by a file with a table as iproute2 has, which is read now", Example: "normal 0 fault.delay.distribution", Func: w.distribution},
		{Name: "fault.delay.ordered", Stack: "( flag interface - )", Help: "keep the order of delayed frames whatever the jitter, if flag is not 0", Example: "-1 0 fault.delay.ordered", Func: w.setting(ordered)},
		{Name: "fault.rate", Stack: "( kbits queue interface - )", Help: "limit the rate to kbits a second, or as 10Mbit, 0 is no limit; frames that would wait longer than queue milliseconds, or as 50ms, are dropped", Example: "10Mbit 50ms 0 fault.rate", Func: w.setting(rateLimit)},
		{Name: "fault.outage", Stack: "( milliseconds interface - )", Help: "drop all frames received on interface from now on for milliseconds, or as 2s; 0 ends it", Example: "0 fault.enable 200 0 fault.outage", Func: w.outage},
		{Name: "fault.preset", Stack: "( name interface - )", Help: "replace the settings of interface by those of a kind of link: wifi, satellite, 3g, lossy-dsl, or what your word fault.preset.NAME ( interface - ) sets; show them; fault injection stays enabled or disabled", Example: "\"wifi\" 0 fault.preset", Func: w.preset},
		{Name: "fault.trace", Stack: "( file interface - )", Help: "from now on let losses follow a file, which is read now: each line has a time and the loss from that time on (1.5s 5%), the last line perhaps a time and repeat; \"\" ends it", Example: "\"\" 0 fault.trace", Func: w.trace},
		{Name: "fault.cut", Stack: "( interface - )", Help: "drop all frames received on interface until fault.mend; see fault.cut.carrier", Example: "0 fault.enable 0 fault.cut", Func: w.cut},
		{Name: "fault.mend", Stack: "( interface - )", Help: "end what fault.cut or fault.outage does to frames received on interface", Example: "0 fault.mend", Func: w.mend},
		{Name: "fault.cut.carrier", Stack: "( flag interface - )", Help: "set the interface by which the frames would leave down while interface is cut, so that the other side loses its carrier, if flag is not 0", Example: "-1 0 fault.cut.carrier", Func: w.setting(cutCarrier)},
	}
	list = append(list, report.Pair[faults]{Name: "fault.show", Stack: "( - )", Help: "show what fault injection does and what it has done", Example: "fault.show", Get: w.faults, Text: showFaults}.Words(w.from)...)
	for _, kind := range policy.Faults {
		if kind.Chance == nil {
			continue
		}
		list = append(list,
			interp.Word{Name: "fault." + kind.Name + ".probability", Stack: "( probability interface - )",
				Help:    "set the probability " + kind.Help + ", in 1/100000 or as 1%",
				Example: "1% 0 fault." + kind.Name + ".probability", Func: w.setting(probability(kind))},
			interp.Word{Name: "fault." + kind.Name + ".every", Stack: "( n interface - )",
				Help:    "set " + strings.Replace(kind.Help, "a frame", "every n-th frame", 1) + ", instead of frames at random; 0 is never",
				Example: "100 0 fault." + kind.Name + ".every", Func: w.setting(every(kind))},
			interp.Word{Name: "fault." + kind.Name + ".correlation", Stack: "( probability interface - )",
				Help:    "set the probability that fault." + kind.Name + " does to a frame what it did to the frame before, in 1/100000 or as 25%; the mean of its probability stays",
				Example: "25% 0 fault." + kind.Name + ".correlation", Func: w.setting(correlation(kind))})
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
		return w.change(s, i, func(f *policy.Fault) error { return change(s, f) })
	}
}

// change changes the settings of the faults of an interface.
func (w words) change(s *interp.Session, i int, fn func(*policy.Fault) error) error {
	changed := false
	err := w.engine.Update(func(p *policy.Policy) error {
		before := p.Ports[i].Fault
		err := fn(&p.Ports[i].Fault)
		changed = p.Ports[i].Fault != before
		return err
	})
	if err == nil && changed {
		s.Hint(func() string { return w.idle(i) })
	}
	return err
}

// idle returns the hint that a setting of an interface has no effect, "" if all have.
func (w words) idle(i int) string {
	f := w.engine.Policy().Ports[i].Fault
	if !f.Enabled && f != (policy.Fault{Outage: f.Outage}) {
		return fmt.Sprintf("fault injection is disabled on interface %d, so this has no effect yet: %d fault.enable", i, i)
	}
	for _, kind := range policy.Faults {
		if kind.Chance != nil && kind.Chance(&f).Every > 0 && kind.Chance(&f).Correlation > 0 {
			return fmt.Sprintf("on interface %d every n-th frame suffers fault.%s, so its correlation has no effect: set fault.%[2]s.probability", i, kind.Name)
		}
	}
	return ""
}

// probability makes what fault.NAME.probability does, and every what fault.NAME.every does.
func probability(kind policy.FaultKind) func(*interp.Session, *policy.Fault) error {
	return func(s *interp.Session, f *policy.Fault) (err error) {
		c := kind.Chance(f)
		c.Probability, err = popProbability(s, "probability", policy.Certain)
		c.Every = 0
		return err
	}
}

func every(kind policy.FaultKind) func(*interp.Session, *policy.Fault) error {
	return func(s *interp.Session, f *policy.Fault) error {
		n, err := s.PopRange("n", 0, math.MaxUint32)
		c := kind.Chance(f)
		c.Probability, c.Every = 0, uint32(n)
		return err
	}
}

// correlation makes what fault.NAME.correlation does.
func correlation(kind policy.FaultKind) func(*interp.Session, *policy.Fault) error {
	return func(s *interp.Session, f *policy.Fault) (err error) {
		kind.Chance(f).Correlation, err = popProbability(s, "correlation", policy.Certain-1)
		return err
	}
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
	Cut        bool          `json:"cut"`            // the outage has no end, and OutageLeft is 0
	Done       done          `json:"done"`
	Where      places        `json:"where"`
}

// places says where each fault is carried out.
type places [policy.FaultKinds]dataplane.Place

// MarshalJSON implements json.Marshaler, with the keys of done.
func (p places) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, place := range p {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(append(strconv.AppendQuote(b, faultKey(i)), ':'), string(place))
	}
	return append(b, '}'), nil
}

// faultKey returns the key of a fault in JSON.
func faultKey(fault int) string { return strings.ReplaceAll(policy.Faults[fault].Name, " ", "_") }

// done counts the frames that have suffered each fault, and those that wait now.
type done struct {
	by   [policy.FaultKinds]uint64
	held uint64
}

// MarshalJSON implements json.Marshaler: a key for each fault, its name with a _ for each blank,
// then "held".
func (d done) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i := range policy.Faults {
		b = strconv.AppendQuote(b, faultKey(i))
		b = append(strconv.AppendUint(append(b, ':'), d.by[i], 10), ',')
	}
	return append(strconv.AppendUint(append(b, `"held":`...), d.held, 10), '}'), nil
}

func (w words) faults(*interp.Session) (faults, error) {
	now := w.engine.Snapshot(false)
	p := now.Policy
	v := faults{Seed: int64(p.Seed.Seed), Sources: p.Fault, Filter: p.FaultFilter, HoldLimit: now.Hold}
	for i, info := range now.Ports {
		f := faultPort{
			Index: info.Index, Name: info.Name, Fault: p.Ports[i].Fault, OutageLeft: info.OutageLeft, Cut: p.Ports[i].Fault.IsCut(),
			Done: done{info.Stats.ByFI, info.Stats.HeldByFI}, Where: info.Where,
		}
		if f.Cut {
			f.OutageLeft = 0
		}
		v.Interfaces = append(v.Interfaces, f)
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
			happening(s, kind.Name, v.set(i, &f), f.Done.by[i], f.Where[i])
		}
		happening(s, "held", "now", f.Done.held, dataplane.Nowhere)
	}
}

// set returns the setting of a fault of an interface.
func (v *faults) set(kind int, f *faultPort) string {
	switch kind {
	case policy.FaultOutage:
		carrier := ""
		if f.CutCarrier {
			carrier = ", with carrier"
		}
		if f.Cut {
			return "cut" + carrier
		}
		return fmt.Sprintf("%d ms left", f.OutageLeft.Round(time.Millisecond).Milliseconds())
	case policy.FaultBurst:
		return fmt.Sprintf("%d %d %d %d", f.Burst.Enter, f.Burst.Leave, f.Burst.LossBad, f.Burst.LossGood)
	case policy.FaultTrace:
		t := &f.Trace
		if t.Steps == "" {
			return "none"
		}
		text := fmt.Sprintf("%s, %d steps", filepath.Base(t.File), t.Len())
		if t.Repeat > 0 {
			text += ", repeated"
		}
		return text
	case policy.FaultDelay:
		order := ""
		if f.Distribution.Shape != policy.Uniform {
			order = ", " + filepath.Base(f.Distribution.String())
		}
		if f.KeepOrder {
			order += ", ordered"
		}
		return fmt.Sprintf("%s ± %s us%s", trimmed(uint64(f.Delay), uint64(time.Microsecond)), trimmed(uint64(f.Jitter), uint64(time.Microsecond)), order)
	case policy.FaultRate:
		return fmt.Sprintf("%d kbit/s, %s ms", f.Rate.Kbits, trimmed(uint64(f.Rate.Queue), uint64(time.Millisecond)))
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
		var err error
		if *p.to, err = popProbability(s, p.name, policy.Certain); err != nil {
			return err
		}
	}
	f.Burst = b
	return nil
}

func delay(s *interp.Session, f *policy.Fault) (err error) {
	if f.Jitter, err = popTime(s, "jitter", time.Microsecond, 0, policy.MaxDelay); err != nil {
		return err
	}
	f.Delay, err = popTime(s, "delay", time.Microsecond, 0, policy.MaxDelay)
	return err
}

// popNamed takes ( name interface - ).
func (w words) popNamed(s *interp.Session) (name string, i int, err error) {
	if i, err = port.Pop(s, w.engine); err == nil {
		name, err = s.PopString()
	}
	return name, i, err
}

// distribution reads a file before it changes the policy, since that may take a while.
func (w words) distribution(s *interp.Session) error {
	name, i, err := w.popNamed(s)
	if err != nil {
		return err
	}
	d, ok := policy.NamedDistribution(name)
	if !ok {
		if d, err = distributionFrom(name); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no distribution and no file %s; uniform, normal and pareto need no file", interp.Quote(name))
		} else if err != nil {
			return err
		}
	}
	return w.change(s, i, func(f *policy.Fault) error { f.Distribution = d; return nil })
}

func ordered(s *interp.Session, f *policy.Fault) error {
	flag, err := s.PopInt()
	f.KeepOrder = flag != 0
	return err
}

func rateLimit(s *interp.Session, f *policy.Fault) (err error) {
	if f.Rate.Queue, err = popTime(s, "queue", time.Millisecond, 0, policy.MaxDelay); err != nil {
		return err
	}
	f.Rate.Kbits, err = popRate(s, "kbits", 1e9)
	return err
}

func (w words) outage(s *interp.Session) error {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return err
	}
	d, err := popTime(s, "milliseconds", time.Millisecond, 0, policy.MaxDelay)
	if err != nil {
		return err
	}
	return w.engine.Outage(i, d)
}

func (w words) cut(s *interp.Session) error {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return err
	}
	return w.engine.Cut(i)
}

// trace reads a file before it changes the policy, as distribution does.
func (w words) trace(s *interp.Session) error {
	name, i, err := w.popNamed(s)
	if err != nil {
		return err
	}
	var t policy.Trace
	if name != "" {
		if t, err = traceFrom(name); err != nil {
			return err
		}
		s.Hint(func() string { return w.idle(i) })
	}
	return w.engine.Trace(i, t)
}

func (w words) mend(s *interp.Session) error {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return err
	}
	return w.engine.Outage(i, 0)
}

func cutCarrier(s *interp.Session, f *policy.Fault) error {
	flag, err := s.PopInt()
	f.CutCarrier = flag != 0
	return err
}

// happening prints a row: a fault, its setting, the number of frames that have suffered it, and where.
func happening(s *interp.Session, name, setting string, n uint64, where dataplane.Place) {
	if where == dataplane.Nowhere {
		s.Printf("  %-21s %-32s %d\n", name, setting, n)
		return
	}
	s.Printf("  %-21s %-32s %-11d %s\n", name, setting, n, where)
}

func often(c policy.Chance) string {
	if c.Every > 0 {
		return fmt.Sprintf("every %d", c.Every)
	}
	if c.Correlation > 0 {
		return fmt.Sprintf("%s, corr. %s", percent(c.Probability), probabilities.text(uint64(c.Correlation)))
	}
	return percent(c.Probability)
}
