// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/interp"
	"ethertap/words/report"
)

// lifeWords returns the words that start and stop the engine and list the interfaces.
func (w words) lifeWords() []interp.Word {
	return append(report.Pair[list]{Name: "if.list", Stack: "( - )", Help: "list the interfaces and how they are", Example: "if.list", Get: w.list, Text: showList}.Words(w.from), []interp.Word{
		{Name: "if.start", Stack: "( - )", Help: "attach to the interfaces and forward", Example: "\"if.start\" try drop", Func: func(*interp.Session) error { return w.engine.Start() }},
		{Name: "if.stop", Stack: "( - )", Help: "stop forwarding and restore the interfaces; counters and settings stay", Example: "if.stop", Func: func(*interp.Session) error { return w.engine.Stop() }},
		{Name: "if.poll", Stack: "( mode - )", Help: "set what threads do when no frame comes: spin, adaptive, sleep or busy", Example: "adaptive if.poll", Func: w.poll},
		{Name: "if.timestamps", Stack: "( mode - )", Help: "set where the time stamps of received frames come from: software, hardware or auto", Example: "software if.timestamps", Func: w.timestamps},
	}...)
}

// list is the state of the engine and of the interfaces.
type list struct {
	State      string               `json:"state"`       // "running", "stopped", or "waiting"
	Waiting    string               `json:"waiting"`     // what the engine waits for, "" if it does not wait
	Short      string               `json:"short"`       // what is lost though the engine runs, because queues and threads do not match; "" if nothing is
	Idle       string               `json:"idle"`        // what threads do when no frame comes
	Stamps     string               `json:"time_stamps"` // where time stamps of received frames come from, as asked for: "software", "hardware" or "auto"
	Interfaces []dataplane.PortInfo `json:"interfaces"`
}

func (w words) list(*interp.Session) (list, error) {
	now := w.engine.Snapshot(false)
	v := list{State: "stopped", Waiting: now.Waiting, Short: now.Short, Idle: now.Poll.String(), Stamps: now.Stamps.String()}
	for _, p := range now.Ports {
		v.Interfaces = append(v.Interfaces, p.PortInfo)
	}
	switch {
	case now.Running:
		v.State = "running"
	case v.Waiting != "":
		v.State = "waiting"
	}
	return v, nil
}

// showList prints a line for the engine and one for each interface.
func showList(s *interp.Session, v list) {
	state := v.State
	switch {
	case v.Waiting == "":
	case v.State == "running": // one interface is missing, the other is served
		state += ", waiting: " + v.Waiting
	default:
		state += ": " + v.Waiting
	}
	s.Printf("%s, idle: %s\n", state, v.Idle)
	if v.Short != "" {
		s.Printf("%s\n", v.Short)
	}
	for _, p := range v.Interfaces {
		link := "down"
		switch {
		case p.Mode == "-":
			link = "-"
		case p.Gone:
			link = "gone"
		case p.Up:
			link = "up"
		}
		stamps := ""
		if p.Stamps == nic.StampsHardware.String() {
			stamps = " timestamps:hardware"
		}
		s.Printf("%d %s %s queues:%d %s link:%s downs:%d mtu:%d mac:%s%s\n", p.Index, p.Name, p.Driver, p.Queues, p.Mode, link, p.Downs, p.MTU, p.MAC, stamps)
	}
}

func (w words) timestamps(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	mode, err := nic.ParseStampMode(name)
	if err != nil {
		return err
	}
	return w.engine.SetStamps(mode)
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
