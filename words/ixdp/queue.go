package ixdp

import (
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/port"
)

// oneQueue is what one thread counted for an interface, and what the kernel did for
// the socket of that queue.
type oneQueue struct {
	dataplane.PortInfo
	Queue int `json:"queue"`
	dataplane.QueueStats

	mirror bool // there is no other interface
}

// popQueue takes a queue and an interface from the stack.
func (w words) popQueue(s *interp.Session) (v oneQueue, err error) {
	i, err := port.Pop(s, w.engine)
	if err != nil {
		return v, err
	}
	ports := w.engine.Ports()
	q, err := s.PopRange("queue", 0, int64(ports[i].Queues-1))
	if err != nil {
		return v, err
	}
	v = oneQueue{PortInfo: ports[i], Queue: int(q), mirror: len(ports) == 1}
	v.QueueStats, err = w.engine.QueueStats(i, v.Queue)
	return v, err
}

func showQueue(s *interp.Session, v oneQueue) {
	s.Printf("%d %s %s queue:%d %s\n", v.Index, v.Name, v.Driver, v.Queue, v.Mode)
	forwarding(s, v.PortStats)
	others(s, v.PortStats, v.mirror)
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
