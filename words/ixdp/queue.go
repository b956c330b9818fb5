package ixdp

import (
	"ethertap/dataplane"
	"ethertap/interp"
)

// queueStats prints what one thread counted for an interface, and what the kernel
// did for the socket of that queue.
func (w words) queueStats(s *interp.Session) error {
	port, q, st, err := w.popQueue(s)
	if err != nil {
		return err
	}
	ports := w.engine.Ports()
	s.Printf("%d %s %s queue:%d %s\n", port.Index, port.Name, port.Driver, q, port.Mode)
	forwarding(s, st.PortStats)
	others(s, st.PortStats, len(ports) == 1)
	for _, c := range st.ErrReasons {
		row(s, "err "+c.Name, c.N)
	}
	for _, c := range st.CallErrors {
		row(s, "call "+c.Name, c.N)
	}
	for _, c := range st.Kernel {
		row(s, c.Name, c.N)
	}
	return nil
}

// popQueue takes a queue and an interface from the stack and returns the counters.
func (w words) popQueue(s *interp.Session) (port dataplane.PortInfo, queue int, st dataplane.QueueStats, err error) {
	i, err := w.popInterface(s)
	if err != nil {
		return port, 0, st, err
	}
	port = w.engine.Ports()[i]
	q, err := s.PopRange("queue", 0, int64(port.Queues-1))
	if err != nil {
		return port, 0, st, err
	}
	st, err = w.engine.QueueStats(i, int(q))
	return port, int(q), st, err
}
