package dataplane

import (
	"fmt"
	"slices"
	"sync/atomic"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
)

// enginePort is a port with what the engine keeps of it. Engine.mu guards it, but for gone.
type enginePort struct {
	port.Port
	number       int
	nic          *nic.Port   // the same, if it is a network interface; else nil
	gone         atomic.Bool // has disappeared while running; set by the first thread that finds out
	goneSaid     bool        // that is said, and not yet that it is back
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
	nics := nic.New(names, nic.Options{Attach: c.Attach, Copy: c.Copy, Replace: c.Replace, RunDir: c.RunDir, Owner: c.Owner, Logf: c.Logf})
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

// nics lists the network interfaces among the ports.
func (e *Engine) nics() (list []*nic.Port) {
	for _, p := range e.ports {
		if p.nic != nil {
			list = append(list, p.nic)
		}
	}
	return list
}

// PortNames returns what the interfaces are called, by number. It waits for nothing.
func (e *Engine) PortNames() []string {
	list := make([]string, len(e.ports))
	for i, p := range e.ports {
		list[i] = p.Name()
	}
	return list
}

// PortNamed returns the number of the interface that is called so now, or was on the command
// line. It waits for nothing.
func (e *Engine) PortNamed(name string) (number int, ok bool) {
	for i, p := range e.ports {
		if p.Called(name) {
			return i, true
		}
	}
	return 0, false
}

// checkQueues demands as many queues as there are threads: frames of a queue
// without a thread would go past the bridge, and a thread without a queue has
// nothing to bind to.
func (p *enginePort) checkQueues(threads int) error {
	mend, f := p.QueueCommand(threads), p.Facts()
	switch rx, tx := f.RXQueues, f.TXQueues; {
	case rx > threads:
		return fmt.Errorf("port %s: %d receive queues but %d to be served: the rest of the traffic would be lost: %s", f.Name, rx, threads, mend)
	case rx < threads:
		return fmt.Errorf("port %s: only %d receive queues for %d threads: %s", f.Name, rx, threads, mend)
	case tx < threads:
		return fmt.Errorf("port %s: only %d transmit queues for %d threads: %s", f.Name, tx, threads, mend)
	}
	return nil
}

// unservable says what is lost while so many threads run; "" if nothing is. Fewer queues than
// threads are no loss: the kernel takes none away that has a socket.
func (p *enginePort) unservable(threads int) string {
	f := p.Facts()
	if f.RXQueues <= threads {
		return ""
	}
	return fmt.Sprintf("port %s: %d receive queues and %s: what comes on the other queues is lost, unless the fast path forwards it: %s",
		f.Name, f.RXQueues, counted(threads, "thread"), p.QueueCommand(threads))
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
