// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import "ethertap/dataplane"

// portsOf returns what is known of the interfaces of an engine, by number.
func portsOf(e *dataplane.Engine) (list []dataplane.PortInfo) {
	s := e.Snapshot(false)
	for i := range s.Ports {
		list = append(list, s.Ports[i].PortInfo)
	}
	return list
}

// Ports returns what is known of the interfaces, by number.
func (d *device) Ports() []dataplane.PortInfo { return portsOf(d.Engine) }

// AllStats returns the counters of the interfaces, by number.
func (d *device) AllStats() (list []dataplane.PortStats) {
	s := d.Snapshot(false)
	for i := range s.Ports {
		list = append(list, s.Ports[i].Stats)
	}
	return list
}

// queueStats returns the counters of one queue of an interface.
func (d *device) queueStats(number, queue int) dataplane.QueueStats {
	return d.Snapshot(false).Ports[number].Threads[queue]
}

// FastPath says whether the fast path is wanted, and by interface why it is not used.
func (d *device) FastPath() (wanted bool, why []string) {
	f := d.Snapshot(false).FastPath
	return f.Wanted, f.Why
}
