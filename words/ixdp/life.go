package ixdp

import (
	"ethertap/dataplane"
	"ethertap/interp"
)

// lifeWords start, stop and list.
func (w words) lifeWords() []interp.Word {
	return []interp.Word{
		{Name: "if.list", Stack: "( - )", Help: "list the interfaces and how they are", Example: "if.list", Func: w.list},
		{Name: "if.start", Stack: "( - )", Help: "attach to the interfaces and forward", Example: "\"if.start\" try drop", Func: func(*interp.Session) error { return w.engine.Start() }},
		{Name: "if.stop", Stack: "( - )", Help: "stop forwarding and restore the interfaces; counters and settings stay", Example: "if.stop", Func: func(*interp.Session) error { return w.engine.Stop() }},
		{Name: "if.poll", Stack: "( mode - )", Help: "set what threads do when no frame comes: spin, adaptive or sleep", Example: "adaptive if.poll", Func: w.poll},
	}
}

// list prints a line for the engine and one for each interface.
func (w words) list(s *interp.Session) error {
	state := "stopped"
	switch {
	case w.engine.Running():
		state = "running"
	case w.engine.Waiting() != "":
		state = "waiting: " + w.engine.Waiting()
	}
	s.Printf("%s, idle: %s\n", state, w.engine.Poll())
	for _, p := range w.engine.Ports() {
		link := "down"
		switch {
		case p.Mode == "-":
			link = "-"
		case p.Gone:
			link = "gone"
		case p.Up:
			link = "up"
		}
		s.Printf("%d %s %s queues:%d %s link:%s downs:%d mtu:%d mac:%s\n", p.Index, p.Name, p.Driver, p.Queues, p.Mode, link, p.Downs, p.MTU, p.MAC)
	}
	return nil
}

func (w words) poll(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	mode, err := dataplane.ParsePollMode(name)
	if err != nil {
		return err
	}
	w.engine.SetPoll(mode)
	return nil
}
