// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"encoding/json"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/port"
	"ethertap/words/report"
)

// oneQueue has the counters of one queue of an interface: those of the thread, and the kernel's
// for the socket.
type oneQueue struct {
	dataplane.PortInfo
	Queue int
	dataplane.QueueStats

	mirror bool // there is no other interface
}

// MarshalJSON implements json.Marshaler.
func (v oneQueue) MarshalJSON() ([]byte, error) {
	return json.Marshal(report.Flat{v.PortInfo, struct {
		Queue int `json:"queue"`
	}{v.Queue}, v.PortStats, struct {
		Kernel dataplane.Counts `json:"kernel"`
	}{v.Kernel}})
}

// popQueue takes a queue and an interface from the stack.
func (w words) popQueue(s *interp.Session) (v oneQueue, err error) {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return v, err
	}
	now := w.engine.Snapshot(false)
	q, err := s.PopRange("queue", 0, int64(now.Ports[i].Queues-1))
	if err != nil {
		return v, err
	}
	p := &now.Ports[i]
	return oneQueue{PortInfo: p.PortInfo, Queue: int(q), QueueStats: p.Threads[q], mirror: len(now.Ports) == 1 || p.Threads[q].Mirrored > 0}, nil
}

func showQueue(s *interp.Session, v oneQueue) {
	s.Printf("%d %s %s queue:%d %s\n", v.Index, v.Name, v.Driver, v.Queue, v.Mode)
	rows(s, v.PortStats, "", dataplane.ForwardRows)
	rows(s, v.PortStats, "", lastRows(v.mirror)...)
	for _, c := range v.ErrReasons {
		row(s, "err "+c.Name, c.N)
	}
	for _, c := range v.CallErrors {
		row(s, "call "+c.Name, c.N)
	}
	for _, c := range v.Kernel {
		row(s, c.Name, c.N)
	}
}
