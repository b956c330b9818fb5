package dataplane

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// Engine bridges two interfaces or mirrors one. Its methods may be called from
// any goroutine.
type Engine struct {
	config Config
	epoch  time.Time              // where the clock of faults begins
	policy atomic.Pointer[Policy] // read by the threads
	update sync.Mutex             // one Update at a time
	counts []*counters            // by queue; they outlive Stop
	tables []portTables           // likewise; nil before the first Start

	mu      sync.Mutex // guards what follows, and the ports
	ports   []*port
	workers []*worker // running ones, by queue
	undo    undo
	frames  Frames // after the last Stop
	base    [][2]tally
	frameID []uint64 // by queue: where the ids of the next run begin
	kernel  [][2]kernelCount
}

// New makes an engine: the interfaces have their numbers, the policy can be
// changed and asked, but no interface is looked at before Start.
func New(c Config) (*Engine, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		config:  c,
		epoch:   time.Now(),
		tables:  make([]portTables, c.Queues),
		base:    make([][2]tally, c.Queues),
		frameID: make([]uint64, c.Queues),
		kernel:  make([][2]kernelCount, c.Queues),
	}
	for i, name := range c.Interfaces {
		e.ports = append(e.ports, &port{number: i, name: name, driver: "-", mode: notAttached})
	}
	for range c.Queues {
		e.counts = append(e.counts, new(counters))
	}
	e.policy.Store(new(Policy))
	return e, nil
}

// errNative says that a driver refused native XDP where generic XDP is allowed.
var errNative = errors.New("native XDP refused")

// Start checks the interfaces, attaches and forwards. On error everything is as
// it was before. It must be called in the network namespace of the interfaces,
// and Stop likewise.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers != nil {
		return errors.New("the engine runs already")
	}
	if err := e.start(); err != nil {
		return errors.Join(err, e.rollback(0))
	}
	return nil
}

func (e *Engine) start() error {
	if err := e.Privileged(); err != nil {
		return err
	}
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	frame := 0
	for _, p := range e.ports {
		p.generic = e.config.Attach == AttachSKB
		p.gone.Store(false)
		if err := p.inspect(&e.config, tool); err != nil {
			return err
		}
		frame = max(frame, frameSize(p.mtu))
	}
	if len(e.ports) == 2 {
		a, b := e.ports[0], e.ports[1]
		if a.index == b.index {
			return fmt.Errorf("ports %s and %s are the same interface", a.name, b.name)
		}
		if a.mtu != b.mtu {
			e.config.Logf("ports %s and %s have different MTUs (%d, %d): longer frames get lost", a.name, b.name, a.mtu, b.mtu)
		}
	}
	for _, p := range e.ports {
		restore, err := p.offloadsOff(tool, e.config.Logf)
		if err != nil {
			return err
		}
		e.undo.push(restore)
	}
	for kept := len(e.undo); ; { // again at most once for each port
		err := e.bring(frame)
		if !errors.Is(err, errNative) {
			return err
		}
		if err := e.rollback(kept); err != nil {
			return err
		}
	}
}

// bring is what depends on the mode of each port: sockets before the program,
// since they are bound for it, and the program last, since frames come with it.
func (e *Engine) bring(frame int) error {
	if err := e.open(frame); err != nil {
		return err
	}
	for _, p := range e.ports {
		end, err := p.promiscuous()
		if err != nil {
			return err
		}
		e.undo.push(end)
	}
	if err := e.launch(); err != nil {
		return err
	}
	return e.attach()
}

// rollback undoes all but the first steps.
func (e *Engine) rollback(keep int) error {
	e.frames = Frames{}
	err := e.undo.run(keep)
	e.workers = nil
	for _, p := range e.ports {
		p.mode = notAttached
	}
	return err
}

// open makes the programs and the threads' sockets and registers these.
func (e *Engine) open(frame int) error {
	for _, p := range e.ports {
		program, err := newProgram(e.config.Queues)
		if err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
		p.program = program
		e.undo.push(func() error { p.program = nil; return program.Close() })
	}
	for q := range e.config.Queues {
		w := &worker{
			queue: q, poll: e.config.Poll, cpu: -1, policy: &e.policy, counts: e.counts[q],
			answer: make(chan Frames, 1), done: make(chan Frames, 1),
			tally: e.counts[q].read(), frameID: e.frameID[q], vanish: e.vanished, tables: &e.tables[q], epoch: e.epoch,
		}
		for i := range e.ports {
			if e.tables[q][i].Load() == nil {
				e.tables[q][i].Store(newTables())
			}
		}
		if len(e.config.CPUs) > 0 {
			w.cpu = e.config.CPUs[q]
		}
		e.workers = append(e.workers, w)
		if err := w.openSockets(e.ports, &e.config, frame, &e.undo); err != nil {
			return err
		}
		for i, p := range e.ports {
			if err := p.program.Register(q, w.lanes[i].sock.FD()); err != nil {
				return fmt.Errorf("port %s: register queue %d: %w", p.name, q, err)
			}
			e.undo.push(func() error { return p.unregister(q) })
			p.mode = "COPY"
			switch {
			case p.generic:
				p.mode = "SKB"
			case w.lanes[i].sock.ZeroCopy():
				p.mode = "ZEROCOPY"
			}
		}
	}
	return nil
}

// launch starts the threads and waits until each is where it should be.
func (e *Engine) launch() error {
	if e.config.Queue != nil {
		list := make([]shm.Interface, len(e.ports))
		for i, p := range e.ports {
			list[i] = shm.Interface{Index: i, Name: p.name, MAC: p.mac}
		}
		if err := e.config.Queue.SetInterfaces(list); err != nil {
			return fmt.Errorf("tap queue: interfaces: %w", err)
		}
	}
	for _, w := range e.workers {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		e.undo.push(func() error { return unix.Close(fd) })
		w.wakeFD = fd
		if e.config.Queue != nil {
			if w.tapper, err = e.config.Queue.NewProducer(fmt.Sprintf("queue %d", w.queue)); err != nil {
				return fmt.Errorf("tap queue: %w", err)
			}
			e.undo.push(w.tapper.Close)
		}
		ready := make(chan error, 1)
		go w.run(ready)
		if err := <-ready; err != nil {
			return err
		}
		e.undo.push(func() error { return e.halt(w) })
	}
	return nil
}

// halt ends a thread and keeps what it leaves.
func (e *Engine) halt(w *worker) error {
	w.stop.Store(true)
	w.wake()
	frames := <-w.done
	e.frames.add(frames)
	e.frameID[w.queue] = w.frameID
	for i := range w.lanes {
		e.kernel[w.queue][i].close(w.lanes[i].sock)
	}
	if n := frames.Lost(); n != 0 {
		return fmt.Errorf("queue %d: %d of %d frames of memory are not accounted for", w.queue, n, frames.Total)
	}
	return nil
}

// attach lets the frames come, as the last step of a start.
func (e *Engine) attach() error {
	for _, p := range e.ports {
		if e.config.Replace {
			restore, err := p.evict(e.config.Logf)
			if err != nil {
				return err
			}
			e.undo.push(restore)
		}
		detach, err := p.attach()
		if err != nil && !p.generic && e.config.Attach == AttachAuto && e.config.Copy != ZeroCopyForced {
			e.config.Logf("port %s: the driver (%s) refuses native XDP, generic XDP is used: %v", p.name, p.driver, err)
			p.generic = true
			return errNative
		}
		if err != nil {
			how := "native"
			if p.generic {
				how = "generic"
			}
			return fmt.Errorf("port %s: attach %s XDP (driver %s): %w", p.name, how, p.driver, err)
		}
		e.undo.push(detach)
	}
	return nil
}

// Stop detaches, sends what has been received, and restores everything. The
// counters stay. Stopping what does not run is no error.
func (e *Engine) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers == nil {
		return nil
	}
	return e.rollback(0)
}

// Running says whether frames are forwarded.
func (e *Engine) Running() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workers != nil
}

// vanished says once that an interface is gone. Threads call it.
func (e *Engine) vanished(i int) {
	if p := e.ports[i]; p.gone.CompareAndSwap(false, true) {
		e.config.Logf("port %s: the interface has disappeared", p.name)
	}
}

// Policy returns the policy in force. It must not be modified.
func (e *Engine) Policy() Policy { return *e.policy.Load() }

// Update changes the policy: fn gets a copy, which is in force for every batch
// that begins after Update has returned. An error of fn, or a probability out of
// range, leaves all as it was. The sets of addresses are replaced, never modified.
func (e *Engine) Update(fn func(*Policy) error) error {
	e.update.Lock()
	defer e.update.Unlock()
	p := *e.policy.Load()
	if err := fn(&p); err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	e.policy.Store(&p)
	return nil
}

// Outage drops all frames that an interface receives from now on for so long, if
// fault injection is enabled on it. It ends one that was under way.
func (e *Engine) Outage(port int, d time.Duration) error {
	return e.Update(func(p *Policy) error {
		if port < 0 || port >= len(e.config.Interfaces) {
			return fmt.Errorf("no interface %d", port)
		}
		if f := &p.Port[port].Fault; f.Enabled {
			f.Outage = int64(time.Since(e.epoch) + d)
			return nil
		}
		return fmt.Errorf("fault injection is disabled on interface %d: %d fault.enable", port, port)
	})
}

// OutageLeft returns how long an outage of an interface still lasts.
func (e *Engine) OutageLeft(port int) time.Duration {
	return max(0, time.Duration(e.policy.Load().Port[port].Fault.Outage)-time.Since(e.epoch))
}

// answerTime bounds the wait for a thread's answer.
const answerTime = 2 * time.Second

// Frames counts the chunks of all threads' memory, at a moment between two
// batches of each; after Stop as each thread left them. It is a test's question.
func (e *Engine) Frames() (Frames, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers == nil {
		return e.frames, nil
	}
	var sum Frames
	for _, w := range e.workers {
		select { // of an earlier question that was not waited for
		case <-w.answer:
		default:
		}
		w.ask.Store(true)
		w.wake()
		select {
		case f := <-w.answer:
			sum.add(f)
		case <-time.After(answerTime):
			return sum, fmt.Errorf("queue %d: its thread does not answer", w.queue)
		}
	}
	return sum, nil
}
