// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"slices"
	"sync/atomic"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
)

// enginePort is a port with what the engine knows of it. Engine.mu guards all fields but gone.
type enginePort struct {
	port.Port
	number       int
	nic          *nic.Port   // the same port if it is a network interface, else nil
	gone         atomic.Bool // the port has disappeared while the engine ran; set by the first thread that notices
	goneSaid     bool        // this was logged, and its return was not
	unservedBase uint64      // frames on queues without a thread, at the last reset
}

// newPorts makes the ports of a configuration.
func newPorts(c *Config) (list []*enginePort) {
	names := slices.Clone(c.Interfaces)
	for i, p := range c.Ports {
		if p != nil {
			names[i] = ""
		}
	}
	nics := nic.New(names, nic.Options{
		Attach: c.Attach, Copy: c.Copy, Stamps: c.Stamps, Replace: c.Replace, RunDir: c.RunDir, Owner: c.Owner, StampClock: c.StampClock, Logf: c.Logf,
	})
	for i := range names {
		e := &enginePort{number: i, nic: nics[i]}
		if e.nic != nil {
			e.Port = e.nic
		} else {
			e.Port = c.Ports[i]
		}
		list = append(list, e)
	}
	return list
}

// nics returns those ports that are network interfaces.
func (e *Engine) nics() (list []*nic.Port) {
	for _, p := range e.ports {
		if p.nic != nil {
			list = append(list, p.nic)
		}
	}
	return list
}

// PortNames returns the names of the interfaces, by number. It waits for nothing.
func (e *Engine) PortNames() []string {
	list := make([]string, len(e.ports))
	for i, p := range e.ports {
		list[i] = p.Name()
	}
	return list
}

// PortNamed returns the number of the interface that has this name now, or had it on the command
// line. ok is false if there is none. It waits for nothing.
func (e *Engine) PortNamed(name string) (number int, ok bool) {
	for i, p := range e.ports {
		if p.Called(name) {
			return i, true
		}
	}
	return 0, false
}

// checkQueues refuses a port whose numbers of queues do not fit the number of threads. Frames on a
// queue without a thread would bypass the bridge, and a thread without a queue has nothing to bind
// to.
func (p *enginePort) checkQueues(threads int) error {
	command, f := p.QueueCommand(threads), p.Facts()
	switch rx, tx := f.RXQueues, f.TXQueues; {
	case rx > threads:
		return fmt.Errorf("port %s: %s but %s: frames on the other queues would be lost; to fix this, run: %s", f.Name, counted(rx, "receive queue"), counted(threads, "thread"), command)
	case rx < threads:
		return fmt.Errorf("port %s: only %s for %s; to fix this, run: %s", f.Name, counted(rx, "receive queue"), counted(threads, "thread"), command)
	case tx < threads:
		return fmt.Errorf("port %s: only %s for %s; to fix this, run: %s", f.Name, counted(tx, "transmit queue"), counted(threads, "thread"), command)
	}
	return nil
}

// unservable says which frames are lost while so many threads run, and how to fix that; "" if none
// are. Fewer queues than threads lose nothing: the kernel removes no queue that has a socket.
func (p *enginePort) unservable(threads int) string {
	f := p.Facts()
	if f.RXQueues <= threads {
		return ""
	}
	return fmt.Sprintf("port %s: %d receive queues and %s: frames on the other queues are lost, unless the fast path forwards them; to fix this, run: %s",
		f.Name, f.RXQueues, counted(threads, "thread"), p.QueueCommand(threads))
}

// counted returns a number with its noun, in the plural where it has to be.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
