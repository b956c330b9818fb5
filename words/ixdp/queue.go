package ixdp

import "ethertap/interp"

// queueStats prints what one thread counted for an interface, and what the kernel
// did for the socket of that queue.
func (w words) queueStats(s *interp.Session) error {
	i, err := w.popInterface(s)
	if err != nil {
		return err
	}
	ports := w.engine.Ports()
	port := ports[i]
	q, err := s.PopRange("queue", 0, int64(port.Queues-1))
	if err != nil {
		return err
	}
	st, err := w.engine.QueueStats(i, int(q))
	if err != nil {
		return err
	}
	s.Printf("%d %s %s queue:%d %s\n", port.Index, port.Name, port.Driver, q, port.Mode)
	forwarding(s, st.PortStats)
	others(s, st.PortStats, len(ports) == 1)
	for _, c := range st.ErrReasons {
		row(s, "err "+c.Name, c.N)
	}
	for _, c := range st.CallErrors {
		row(s, "call "+c.Name, c.N)
	}
	row(s, "rx_dropped", st.Kernel.Rx_dropped)
	row(s, "rx_invalid_descs", st.Kernel.Rx_invalid_descs)
	row(s, "tx_invalid_descs", st.Kernel.Tx_invalid_descs)
	row(s, "rx_ring_full", st.Kernel.Rx_ring_full)
	// the kernel's names of these two are longer than the column
	s.Printf("  rx_fill_ring_empty_descs %d\n", st.Kernel.Rx_fill_ring_empty_descs)
	s.Printf("  tx_ring_empty_descs   %d\n", st.Kernel.Tx_ring_empty_descs)
	return nil
}
