package nic

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

// WatchTime bounds how long a change of an interface stays unseen, should the
// kernel's message about it get lost.
const WatchTime = time.Second

// Watch is what is told of changes of interfaces in one network namespace.
type Watch struct {
	home *os.File
	// Gone is told of an interface that has just gone, with its last name.
	Gone func(*netlink.LinkAttrs)
	// Changed is called whenever something may have changed, once a second at least.
	Changed func()
}

// NewWatch returns a watch of the calling thread's network namespace. It is to be run, or closed.
func NewWatch() (*Watch, error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &Watch{home: home}, nil
}

// Close ends a watch that was not run.
func (w *Watch) Close() error { return w.home.Close() }

// Run calls the functions until quit is closed, in a thread of its own in the network
// namespace of NewWatch. It must be called in a goroutine of its own, whose thread ends
// with it. The error says why nothing is watched.
func (w *Watch) Run(quit <-chan struct{}) error {
	defer w.home.Close()
	runtime.LockOSThread() // for good: the thread ends here, and nothing else runs in its namespace
	if err := enter(w.home); err != nil {
		return err
	}
	updates := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribeWithOptions(updates, quit, netlink.LinkSubscribeOptions{}); err != nil {
		updates = nil // looking now and then has to do
	}
	settings, end := watchSettings()
	defer end()
	tick := time.NewTicker(WatchTime)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			if updates != nil {
				for range updates { // until the subscription has ended
				}
			}
			return nil
		case u, ok := <-updates:
			if !ok {
				updates = nil // the kernel's messages overflowed, say
			} else if u.Header.Type == unix.RTM_DELLINK && u.IfInfomsg.Family == unix.AF_UNSPEC {
				w.Gone(u.Attrs())
			}
		case <-settings:
		case <-tick.C:
		}
		w.Changed()
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
