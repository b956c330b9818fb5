package ixdp

import (
	"ethertap/dataplane"
	"ethertap/interp"
)

// fastWords are about the part of the dataplane that is in the kernel.
func (w words) fastWords() []interp.Word {
	return []interp.Word{
		{Name: "fastpath.enable", Stack: "( - )", Help: "leave frames that need neither tap nor faults in the kernel, where the interfaces can", Example: "fastpath.enable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(true) }},
		{Name: "fastpath.disable", Stack: "( - )", Help: "take all frames to user space", Example: "fastpath.disable",
			Func: func(*interp.Session) error { return w.engine.SetFastPath(false) }},
		{Name: "fastpath.status", Stack: "( - )", Help: "show whether frames received on each interface may stay in the kernel, or why not", Example: "fastpath.status", Func: w.fastStatus},
	}
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
