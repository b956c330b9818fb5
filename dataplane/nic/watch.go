// SPDX-License-Identifier: BSD-3-Clause

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

// WatchTime is the longest time that a change of an interface stays unnoticed if the message of the
// kernel about it gets lost.
const WatchTime = time.Second

// Watch reports changes of interfaces in one network namespace.
type Watch struct {
	home *os.File
	// Gone is called for an interface that has just gone, with its last name.
	Gone func(*netlink.LinkAttrs)
	// Changed is called whenever something may have changed, at least once a second.
	Changed func()
}

// NewWatch returns a watch of the network namespace of the calling thread. The caller has to call
// Run or Close.
func NewWatch() (*Watch, error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &Watch{home: home}, nil
}

// Close ends a watch that was not run.
func (w *Watch) Close() error { return w.home.Close() }

// Run calls the functions until quit is closed. It must be called in a goroutine of its own, whose
// thread it takes into the network namespace of NewWatch; the thread ends with it. The error says
// why nothing is watched.
func (w *Watch) Run(quit <-chan struct{}) error {
	defer w.home.Close()
	runtime.LockOSThread() // forever: the thread ends here, so nothing else runs in its namespace
	if err := enter(w.home); err != nil {
		return err
	}
	updates := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribeWithOptions(updates, quit, netlink.LinkSubscribeOptions{}); err != nil {
		updates = nil // then the ticker has to suffice
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
				updates = nil // the messages of the kernel overflowed, for instance
			} else if u.Header.Type == unix.RTM_DELLINK && u.IfInfomsg.Family == unix.AF_UNSPEC {
				w.Gone(u.Attrs())
			}
		case <-settings:
		case <-tick.C:
		}
		w.Changed()
	}
}

// watchSettings reports when somebody has changed an interface with ethtool, for instance its
// queues. If the kernel does not report that, nothing is sent, and the ticker of Run has to
// suffice. end must be called.
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
			// A message that was lost because the buffer was full (ENOBUFS) is a change too.
			if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case c <- struct{}{}:
			default: // a change is pending already
			}
		}
	}()
	return c, func() {
		_ = f.Close() // ends the reading
		<-done
	}
}

// enter moves the calling thread into a network namespace. It needs CAP_SYS_ADMIN if the thread is
// in another one.
func enter(home *os.File) error {
	var present, wanted unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &present); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if err := unix.Fstat(int(home.Fd()), &wanted); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if present.Ino == wanted.Ino && present.Dev == wanted.Dev {
		return nil
	}
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: setns: %w", err)
	}
	return nil
}
