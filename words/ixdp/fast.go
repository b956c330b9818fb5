package ixdp

import (
	"time"

	"ethertap/dataplane"
	"ethertap/interp"
)

// fastWords are about the part of the dataplane that is in the kernel.
func (w words) fastWords() []interp.Word {
	return []interp.Word{
		{Name: "fastpath.enable", Stack: "( - )", Help: "leave frames that suffer no faults in the kernel, where the interfaces can", Example: "fastpath.enable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(true) }},
		{Name: "fastpath.disable", Stack: "( - )", Help: "take all frames to user space", Example: "fastpath.disable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(false) }},
		{Name: "fastpath.status", Stack: "( - )", Help: "show whether frames received on each interface may stay in the kernel, or why not", Example: "fastpath.status", Func: w.fastStatus},
		{Name: "bypass.enable", Stack: "( - )", Help: "let the link go on without taps and faults when ethertap stops, is killed or hangs, until bypass.disable or ethertap --clear", Example: "bypass.enable",
			Func: func(*interp.Session) error { return w.engine.SetBypass(true) }},
		{Name: "bypass.disable", Stack: "( - )", Help: "let the link end with ethertap", Example: "bypass.disable",
			Func: func(*interp.Session) error { return w.engine.SetBypass(false) }},
		{Name: "bypass.limit", Stack: "( milliseconds - )", Help: "take a thread for dead when it has shown no sign of life for so long: 10 to 60000", Example: "200 bypass.limit", Func: w.bypassLimit},
		{Name: "bypass.status", Stack: "( - )", Help: "show whether the link would go on without ethertap, and how many frames went past it", Example: "bypass.status", Func: w.bypassStatus},
	}
}

func (w words) bypassLimit(s *interp.Session) error {
	n, err := s.PopRange("limit in milliseconds", dataplane.MinBypass.Milliseconds(), dataplane.MaxBypass.Milliseconds())
	if err != nil {
		return err
	}
	return w.engine.SetBypassLimit(time.Duration(n) * time.Millisecond)
}

func (w words) bypassStatus(s *interp.Session) error {
	b := w.engine.Bypass()
	s.Printf("bypass %s, after %d ms without a sign of life\n", enabled(b.On), b.Limit.Milliseconds())
	switch {
	case b.Pinned != "":
		s.Printf("pinned in %s\n", b.Pinned)
	case b.Why != "":
		s.Printf("not in use: %s\n", b.Why)
	}
	all := w.engine.AllStats()
	for i, port := range w.engine.Ports() {
		s.Printf("%d %s bypassed %d\n", i, port.Name, all[i].Bypassed)
	}
	return nil
}

func (w words) fastStatus(s *interp.Session) error {
	wanted, why := w.engine.FastPath()
	s.Printf("fast path %s\n", enabled(wanted))
	for i, port := range w.engine.Ports() {
		use := "in use"
		if why[i] != "" {
			use = "not in use: " + why[i]
		}
		s.Printf("%d %s %s\n", i, port.Name, use)
	}
	return nil
}

// mode says how an interface is attached, and with the fast path enabled whether it
// is used.
func mode(p dataplane.PortInfo) string {
	if p.FastPath == "" {
		return p.Mode
	}
	return p.Mode + " " + p.FastPath
}
