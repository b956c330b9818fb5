// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"fmt"
	"slices"
	"time"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/report"
)

// fastWords returns the words of the fast path and the bypass.
func (w words) fastWords() []interp.Word {
	return slices.Concat([]interp.Word{
		{Name: "fastpath.enable", Stack: "( - )", Help: "leave frames that need not wait in the kernel, where the interfaces can", Example: "fastpath.enable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(true) }},
		{Name: "fastpath.disable", Stack: "( - )", Help: "take all frames to user space", Example: "fastpath.disable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(false) }},
	},
		report.Pair[fastPath]{Name: "fastpath.status", Stack: "( - )", Help: "show whether frames received on each interface may stay in the kernel, or why not", Example: "fastpath.status", Get: w.fastPath, Text: showFastPath}.Words(w.from),
		[]interp.Word{
			{Name: "bypass.enable", Stack: "( - )", Help: "let the link go on without taps and faults when ethertap stops, is killed or hangs, until bypass.disable or ethertap --clear", Example: "bypass.enable",
				Func: func(*interp.Session) error { return w.engine.SetBypass(true) }},
			{Name: "bypass.disable", Stack: "( - )", Help: "let the link end with ethertap", Example: "bypass.disable",
				Func: func(*interp.Session) error { return w.engine.SetBypass(false) }},
			{Name: "bypass.limit", Stack: "( milliseconds - )", Help: "set how long a thread may show no sign of life before it counts as dead: 10 to 60000 milliseconds, or as 200ms", Example: "200 bypass.limit", Func: w.bypassLimit},
		},
		report.Pair[bypass]{Name: "bypass.status", Stack: "( - )", Help: "show whether the link would go on without ethertap, and how many frames went past it", Example: "bypass.status", Get: w.bypass, Text: showBypass}.Words(w.from),
	)
}

func (w words) bypassLimit(s *interp.Session) error {
	limit, err := popTime(s, "limit in milliseconds", time.Millisecond, dataplane.MinBypass, dataplane.MaxBypass)
	if err != nil {
		return err
	}
	return w.engine.SetBypassLimit(limit)
}

// bypass describes what happens to the link when this process is gone.
type bypass struct {
	Enabled    bool         `json:"enabled"`
	Limit      int64        `json:"limit_ms"` // how long a thread may show no sign of life before it is taken for dead
	Pinned     string       `json:"pinned"`   // the directory of the pinned programs and maps, "" if they are not pinned
	Why        string       `json:"why"`      // the reason why the bypass is not in use, "" if it is
	Interfaces []bypassPort `json:"interfaces"`
}

type bypassPort struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Bypassed uint64 `json:"bypassed"` // frames that went past taps and faults
}

func (w words) bypass(*interp.Session) (bypass, error) {
	now := w.engine.Snapshot(false)
	b := now.Bypass
	v := bypass{Enabled: b.On, Limit: b.Limit.Milliseconds(), Pinned: b.Pinned, Why: b.Why}
	for i, p := range now.Ports {
		v.Interfaces = append(v.Interfaces, bypassPort{i, p.Name, p.Stats.Bypassed})
	}
	return v, nil
}

func showBypass(s *interp.Session, v bypass) {
	s.Printf("bypass %s, after %d ms without a sign of life\n", enabled(v.Enabled), v.Limit)
	switch {
	case v.Pinned != "":
		s.Printf("pinned in %s\n", v.Pinned)
		if v.Why != "" {
			s.Printf("%s\n", v.Why)
		}
	case v.Why != "":
		s.Printf("not in use: %s\n", v.Why)
	}
	for _, p := range v.Interfaces {
		s.Printf("%d %s bypassed %d\n", p.Index, p.Name, p.Bypassed)
	}
}

// fastPath lists which interfaces use the fast path.
type fastPath struct {
	Enabled    bool       `json:"enabled"`
	Interfaces []fastPort `json:"interfaces"`
}

type fastPort struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	InUse bool   `json:"in_use"` // frames received here use the fast path
	Why   string `json:"why"`    // the reason why they do not, "" if they do

	Filters int `json:"filter_instructions"` // of the program of the filters of these frames, 0 if there is none in the kernel
}

func (w words) fastPath(*interp.Session) (v fastPath, err error) {
	now := w.engine.Snapshot(false)
	v.Enabled = now.FastPath.Wanted
	for i, p := range now.Ports {
		why := now.FastPath.Why
		instructions, _ := w.engine.Filtered(i)
		v.Interfaces = append(v.Interfaces, fastPort{i, p.Name, why[i] == "", why[i], instructions})
	}
	return v, nil
}

func showFastPath(s *interp.Session, v fastPath) {
	s.Printf("fast path %s\n", enabled(v.Enabled))
	for _, p := range v.Interfaces {
		use := "in use"
		if !p.InUse {
			use = "not in use: " + p.Why
		}
		if p.Filters > 0 {
			use += fmt.Sprintf(", filters of %d instructions", p.Filters)
		}
		s.Printf("%d %s %s\n", p.Index, p.Name, use)
	}
}

// mode returns how an interface is attached, followed by the state of its fast path if the fast
// path is enabled, and by whether filters are asked about the frames received there.
func mode(p dataplane.PortInfo, filters bool) string {
	text := p.Mode
	if p.FastPath != "" {
		text += " " + p.FastPath
	}
	if filters {
		text += " filters"
	}
	return text
}
