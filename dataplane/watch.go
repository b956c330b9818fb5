package dataplane

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/genl"
)

// watchTime bounds how long a change of an interface stays unseen, should the
// kernel's message about it get lost.
const watchTime = time.Second

// watch looks after the interfaces until quit is closed: it says when links go
// down and come back, follows their MTU, and starts anew when an interface that
// disappeared is there again. It has a thread of its own in the network namespace
// of the start, home.
func (e *Engine) watch(quit chan struct{}, home *os.File) {
	defer home.Close()
	runtime.LockOSThread() // for good: the thread ends here, and nothing else runs in its namespace
	if err := enter(home); err != nil {
		e.config.Logf("interfaces are not watched, one that disappears will not be attached again: %v", err)
		return
	}
	updates := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribeWithOptions(updates, quit, netlink.LinkSubscribeOptions{}); err != nil {
		updates = nil // looking now and then has to do
	}
	settings, end := watchSettings()
	defer end()
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			if updates != nil {
				for range updates { // until the subscription has ended
				}
			}
			return
		case u, ok := <-updates:
			if !ok {
				updates = nil // the kernel's messages overflowed, say
			} else if u.Header.Type == unix.RTM_DELLINK && u.IfInfomsg.Family == unix.AF_UNSPEC {
				e.lastSeen(quit, u.Attrs())
			}
		case <-settings:
		case <-tick.C:
		}
		e.look(quit)
	}
}

// watchSettings says when somebody has changed an interface with ethtool: its queues, say.
// Kernels that do not tell are looked at every second. end must be called.
func watchSettings() (changed <-chan struct{}, end func()) {
	f, err := genl.Subscribe(unix.ETHTOOL_GENL_NAME, unix.ETHTOOL_MCGRP_MONITOR_NAME)
	if err != nil {
		return nil, func() {}
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			// What was lost since the buffer was full (ENOBUFS) is a change too.
			if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case c <- struct{}{}:
			default: // it will look anyway
			}
		}
	}()
	return c, func() {
		_ = f.Close() // ends the reading
		<-done
	}
}

// enter takes the calling thread into a network namespace. It needs
// CAP_SYS_ADMIN if the thread is not there.
func enter(home *os.File) error {
	var here, there unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if err := unix.Fstat(int(home.Fd()), &there); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if here.Ino == there.Ino && here.Dev == there.Dev {
		return nil
	}
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: setns: %w", err)
	}
	return nil
}

// look compares the interfaces with what was known of them.
func (e *Engine) look(quit chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != quit {
		return // stopped meanwhile
	}
	e.sayGone()
	again := e.workers == nil
	var why error
	for _, p := range e.ports {
		switch {
		case e.workers == nil:
			if l, err := netlink.LinkByIndex(p.index); err == nil && p.is(l.Attrs()) {
				e.follow(p, l.Attrs())
			}
		case p.gone.Load(): // it may have been elsewhere and come back, or be made anew
			_, err := p.find(e.ports)
			again = again || err == nil
			if errors.As(err, new(strangerError)) {
				why = err
			}
		case e.observe(p):
			again = true
		}
	}
	if !again {
		again = e.followQueues()
	}
	if again {
		why = e.restart()
	} else {
		e.watchFast()
		e.followJoiners()
	}
	e.complain(why)
}

// lastSeen learns the last name of an interface that has just gone: it may have got it a
// moment before.
func (e *Engine) lastSeen(quit chan struct{}, a *netlink.LinkAttrs) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != quit {
		return
	}
	for _, p := range e.ports {
		if a.Index == p.index && (!p.gone.Load() || p.is(a)) {
			e.follow(p, a)
		}
	}
}

// complain says once why frames are not forwarded.
func (e *Engine) complain(err error) {
	said := ""
	if err != nil {
		said = err.Error()
		if said != e.said {
			e.config.Logf("waiting: %v", err)
		}
	}
	e.said = said
}

// observe looks at one interface that lives and says whether the engine has to start anew
// because of it. The caller holds mu.
func (e *Engine) observe(p *port) (again bool) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil { // the threads find that out by themselves
		return false
	}
	a := l.Attrs()
	e.follow(p, a)
	if up := working(a); up != p.up {
		if p.up = up; up {
			e.config.Logf("port %s: the link is up", p.name)
		} else {
			p.downs++
			e.config.Logf("port %s: the link is down", p.name)
		}
	}
	if a.MasterIndex != p.master {
		p.warnMaster(a, e.config.Logf)
	}
	p.limits = limitsOf(l) // the other end's MTU, too
	for _, w := range e.workers {
		w.lanes[p.number].longest.Store(p.limits.send)
	}
	if a.MTU == p.mtu {
		return false
	}
	raised := a.MTU > p.mtu
	e.config.Logf("port %s: the MTU was %d and is %d", p.name, p.mtu, a.MTU)
	p.mtu = a.MTU
	for _, w := range e.workers {
		for i := range w.lanes {
			if o := w.lanes[i].output; o != mirror {
				w.lanes[i].limit.Store(uint32(14 + min(e.ports[i].mtu, e.ports[o].mtu)))
			}
		}
	}
	if p.mtu > longMTU {
		e.config.Logf("port %s: frames longer than MTU %d are lost: ip link set %s mtu %d", p.name, longMTU, p.device, longMTU)
		return false
	}
	again = frameSize(p.mtu) > e.workers[0].umem.FrameSize() || p.mtu > maxMTU && !e.long
	if raised && !again { // a start says it too
		e.warnAllSlots(p)
	}
	return again
}

// restart stops and starts, if it can be expected to succeed: an interface that is
// still there goes on as long as the other one is missing. The caller holds mu.
//
// Tried: putting a new socket in the place of the dead one. Nobody knows which
// chunks of the memory the kernel had for it, unless each frame is noted
// whenever it changes hands. So the memory is made anew, and the interface that
// stayed pauses for some ten milliseconds.
func (e *Engine) restart() error {
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	for _, p := range e.ports {
		if e.workers == nil || p.gone.Load() {
			candidate := &port{number: p.number, given: p.given, identity: p.identity}
			if err := candidate.inspect(&e.config, e.ports, e.fast.bypass.pinned, tool); err != nil {
				return err
			}
		}
	}
	if err := e.rollback(0); err != nil {
		e.config.Logf("while stopping: %v", err)
	}
	if err := e.start(); err != nil {
		if failed := e.rollback(0); failed != nil {
			e.config.Logf("while stopping: %v", failed)
		}
		return err // and tried every second: only the reason is said, once
	}
	for _, p := range e.ports {
		if p.goneSaid {
			p.goneSaid = false
			e.config.Logf("port %s: the interface is back", p.name)
		}
	}
	return nil
}
