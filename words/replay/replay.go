// SPDX-License-Identifier: BSD-3-Clause

// Package replay has the words of a capture that ethertap reads in place of an interface.
package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"ethertap/dataplane/pcap"
	"ethertap/interp"
	"ethertap/words/report"
)

type words struct {
	in        *pcap.In
	forwarded func() bool // nothing that was read is still on its way
}

var errNone = errors.New("no capture is read; ethertap pcap:FILE … reads one")

var errNotBegun = errors.New("the reading begins after the configuration and the lines of -e; wait in a line of standard input, with --stay")

// Words returns the words that work on a capture; nil means that none is read. forwarded says whether nothing that was read is
// still on its way.
func Words(in *pcap.In, forwarded func() bool, from report.Source) interp.Set {
	w := words{in, forwarded}
	return interp.Set{
		Name:     "replay",
		Help:     "a capture that is read in place of an interface",
		Prefixes: []string{"replay."},
		Words: append(report.Pair[status]{Name: "replay.status", Stack: "( - )", Help: "show how far the reading of the capture is", Example: "replay.status", Get: w.status, Text: show}.Words(from), []interp.Word{
			{Name: "replay.pause", Stack: "( - )", Help: "stop reading the capture; what was read is forwarded", Example: "\"replay.pause\" try drop", Func: w.do((*pcap.In).Pause)},
			{Name: "replay.resume", Stack: "( - )", Help: "go on reading the capture after replay.pause", Example: "\"replay.resume\" try drop", Func: w.do((*pcap.In).Resume)},
			{Name: "replay.seek", Stack: "( milliseconds - )", Help: "go on with the packets from so many milliseconds after the first one; also back, as long as the end has not come", Example: "\"1000 replay.seek\" try drop", Func: w.seek},
			{Name: "replay.ended", Stack: "( - flag )", Help: "whether nothing more comes from a capture: it was read to its end, and all that was read has been forwarded", Example: "replay.ended .", Func: w.ended},
			{Name: "replay.wait", Stack: "( - )", Help: "wait until the capture was read to its end, and all that was read has been forwarded; not in the configuration and in lines of -e, which run before", Example: "\"replay.wait\" try drop", Func: w.wait},
		}...),
	}
}

func (w words) do(f func(*pcap.In) error) func(*interp.Session) error {
	return func(*interp.Session) error {
		if w.in == nil {
			return errNone
		}
		return f(w.in)
	}
}

func (w words) seek(s *interp.Session) error {
	n, err := s.PopRange("milliseconds", 0, math.MaxInt64/int64(time.Millisecond))
	if err != nil {
		return err
	}
	if w.in == nil {
		return errNone
	}
	return w.in.Seek(time.Duration(n) * time.Millisecond)
}

func (w words) ended(s *interp.Session) error {
	if w.in == nil {
		return s.Push(interp.NewFlag(true))
	}
	over := false
	select {
	case <-w.in.Done():
		over = w.forwarded()
	default:
	}
	return s.Push(interp.NewFlag(over))
}

func (w words) wait(s *interp.Session) error {
	switch {
	case w.in == nil:
		return errNone
	case !w.in.Began():
		return errNotBegun
	}
	for {
		select {
		case <-w.in.Done():
			if w.forwarded() {
				return w.in.Err()
			}
		default:
		}
		if err := s.Sleep(5 * time.Millisecond); err != nil {
			return err
		}
	}
}

// status is how far the reading is. Without a capture State is "none" and the rest is empty.
type status struct {
	State    string    `json:"state"` // "none", "running", "paused" or "ended"
	Name     string    `json:"name"`
	Packets  uint64    `json:"packets"`
	Bytes    uint64    `json:"bytes"`
	Sent     uint64    `json:"left_out_sent"`
	Other    uint64    `json:"left_out_other"`
	Foreign  uint64    `json:"left_out_foreign"`
	Long     uint64    `json:"left_out_long"`
	Cut      uint64    `json:"cut_off"`
	Late     uint64    `json:"late"`
	Latest   int64     `json:"latest_ns"`
	Round    int       `json:"round"`
	Rounds   int       `json:"rounds"`
	Pace     string    `json:"pace"`
	First    time.Time `json:"first"`
	At       time.Time `json:"at"`
	Consumed int64     `json:"consumed"`
	Size     int64     `json:"size"`
}

func (w words) status(*interp.Session) (status, error) {
	if w.in == nil {
		return status{State: "none"}, nil
	}
	n := w.in.Status()
	v := status{
		State: "running", Name: w.in.Name(), Packets: n.Packets, Bytes: n.Bytes, Sent: n.Sent, Other: n.Other, Foreign: n.Foreign, Long: n.Long, Cut: n.Cut, Late: n.Late, Latest: int64(n.Latest),
		Round: n.Round, Rounds: n.Rounds, Pace: n.Pace.String(), First: time.Unix(0, n.First), At: time.Unix(0, n.At), Consumed: n.Consumed, Size: n.Size,
	}
	switch {
	case n.Ended:
		v.State = "ended"
	case n.Paused:
		v.State = "paused"
	}
	return v, nil
}

func show(s *interp.Session, v status) {
	if v.State == "none" {
		s.Printf("no capture is read\n")
		return
	}
	s.Printf("%s: %s, pace %s\n", v.Name, v.State, v.Pace)
	row := func(name, format string, args ...any) { s.Printf("  %-21s %s\n", name, fmt.Sprintf(format, args...)) }
	row("packets", "%d", v.Packets)
	row("bytes", "%d", v.Bytes)
	if v.Packets > 0 {
		row("at", "%s, %v after the first", v.At.UTC().Format("2006-01-02 15:04:05.000000000 UTC"), v.At.Sub(v.First))
	}
	if v.Size > 0 {
		row("of the file", "%.1f %%", 100*float64(v.Consumed)/float64(v.Size))
	}
	if v.Rounds > 1 {
		row("round", "%d of %d", v.Round, v.Rounds)
	}
	for _, o := range []struct {
		name string
		n    uint64
	}{{"left out, sent", v.Sent}, {"left out, other", v.Other}, {"left out, no Ethernet", v.Foreign}, {"left out, too long", v.Long}, {"cut off by recorder", v.Cut}} {
		if o.n > 0 {
			row(o.name, "%d", o.n)
		}
	}
	if v.Late > 0 {
		row("late", "%d, by up to %v", v.Late, time.Duration(v.Latest))
	}
}
