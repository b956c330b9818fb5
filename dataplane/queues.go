package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// unserved is what is known of an interface's frames that come on a queue without a thread.
// They go past the bridge, into the host's stack. Engine.mu guards it.
type unserved struct {
	count *ebpf.Map // of the plain program of this run; nil: there is none
	past  uint64    // counted by those before
	base  uint64    // at the last reset
}

// countUnserved makes the counter of a port's plain program, for this run. The caller holds mu.
func (e *Engine) countUnserved(p *port) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ixdp_unserved", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("port %s: counter of frames without a thread: %w", p.name, err)
	}
	u := &e.unserved[p.number]
	u.count = m
	e.undo.push(func() error {
		u.past += u.plain()
		u.count = nil
		return m.Close()
	})
	return m, nil
}

// plain returns what the plain program of this run has counted.
func (u *unserved) plain() (n uint64) {
	var each []uint64
	if u.count == nil || u.count.Lookup(uint32(0), &each) != nil {
		return 0
	}
	for _, v := range each {
		n += v
	}
	return n
}

// countedUnserved returns how many frames of an interface came on queues without a thread so
// far. The caller holds mu.
func (e *Engine) countedUnserved(port int) uint64 {
	n := e.unserved[port].past + e.unserved[port].plain()
	if e.fast.stats != nil {
		if fast, err := e.fast.stats.Unserved(port); err == nil {
			n += fast
		}
	}
	return n
}

func (e *Engine) unservedSince(port int) uint64 {
	return e.countedUnserved(port) - e.unserved[port].base
}

// threads returns how many threads serve the interfaces, given their numbers of queues, or why
// they cannot be served. The caller holds mu.
func (e *Engine) threads() (int, error) {
	queues := MaxQueues
	for _, p := range e.ports {
		queues = min(queues, p.rxQueues)
	}
	if e.config.Queues > 0 {
		queues = e.config.Queues
	}
	if n := len(e.config.CPUs); n > 0 && n < queues {
		return 0, fmt.Errorf("%d threads but only %d CPUs named", queues, n)
	}
	for _, p := range e.ports {
		if err := p.checkQueues(queues); err != nil {
			return 0, err
		}
	}
	return queues, nil
}

// followQueues looks at the numbers of queues, and says whether the engine is to start anew,
// with another number of threads, since a queue has no thread or a thread no queue. Where
// that cannot be, it says once what is lost. The caller holds mu.
func (e *Engine) followQueues() (again bool) {
	short := ""
	defer func() {
		if short != e.short && short != "" {
			e.config.Logf("%s", short)
		}
		e.short = short
	}()
	tool, err := newEthtool()
	if e.workers == nil || err != nil || slices.ContainsFunc(e.ports, func(p *port) bool { return p.gone.Load() }) {
		return false
	}
	var more []*port
	for _, p := range e.ports {
		rx, tx := p.rxQueues, p.txQueues
		p.countQueues(tool)
		if p.rxQueues != rx || p.txQueues != tx {
			e.config.Logf("port %s: there were %d receive and %d transmit queues, there are %d and %d", p.name, rx, tx, p.rxQueues, p.txQueues)
		}
		if p.rxQueues > rx {
			more = append(more, p)
		}
	}
	var lost []string
	for _, p := range e.ports {
		if what := p.unservable(e.queues); what != "" {
			lost = append(lost, what)
		}
	}
	if len(lost) == 0 {
		return false
	}
	threads, err := e.threads()
	if err == nil {
		err = enoughMemory(&e.config, max(0, threads-e.queues), e.frameSize(), availableMemory())
	}
	if err == nil {
		e.config.Logf("starting anew with %s instead of %d", counted(threads, "thread"), e.queues)
		return true
	}
	short = strings.Join(lost, "; ") + e.moreThreads()
	for _, p := range more {
		if err := e.cover(p); err != nil {
			e.config.Logf("port %s: what comes on the new queues is not counted: %v", p.name, err)
		}
	}
	return false
}

// moreThreads says how all queues could have a thread; "" if they cannot. The caller holds mu.
func (e *Engine) moreThreads() string {
	most := 0
	for _, p := range e.ports {
		most = max(most, p.rxQueues)
	}
	cpus := len(e.config.CPUs)
	if most > MaxQueues || e.config.Queues > 0 || cpus > 0 && cpus < most {
		return ""
	}
	var commands []string
	for _, p := range e.ports {
		if p.checkQueues(most) != nil {
			commands = append(commands, p.queueCommand(most))
		}
	}
	return fmt.Sprintf("; or for %d threads: %s", most, strings.Join(commands, ", "))
}

// cover puts a port's program on queues that have come since it was attached: a veth gives it
// to those that there are then, and frames of others pass unseen. An update to the program
// that is there already does nothing, so another one is between for a moment.
func (e *Engine) cover(p *port) error {
	between, err := newProgram(e.long, p.program.Sockets, e.unserved[p.number].count)
	if err != nil {
		return err
	}
	program := p.program.Program
	if e.fast.path != nil {
		program = e.fast.path.Program(p.number)
	}
	return errors.Join(p.link.Update(between.Program), p.link.Update(program), between.Close())
}

// Short says what is lost though frames are forwarded, since there are more or fewer queues
// than threads, with the command that mends it; "" if nothing is.
func (e *Engine) Short() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.short
}
