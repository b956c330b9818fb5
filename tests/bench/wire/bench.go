// SPDX-License-Identifier: BSD-3-Clause

// Package wire is where speed is measured: a generator that leaves the device
// under test its CPU, a sink that costs next to nothing, and the topology of
// netlab between them.
//
//	 namespace src             namespace dut               namespace snk
//	+-----------------+      +----------------------+      +----------------+
//	|  Generator   s0 |------| d0   under test   d1 |------| k1   Sink, XDP |
//	+-----------------+ veth +----------------------+ veth +----------------+
//	  core 0                   core 1                        core 1
//
// The generator is an XDP program that the kernel runs on live frames, paced by
// itself, and that redirects them to s0: some four million frames a second from one
// core, the receiving work of d0 included, which a veth does on the sender's core.
// The sink counts and drops in XDP, and tells how old stamped frames are.
//
// It does not know who is measured.
package wire

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bench is a testing.TB without a test: netlab's laboratories belong to one. What
// is not here would panic, and netlab does not use it.
type bench struct {
	testing.TB // nil; only so that the type satisfies the interface
	name       string
	log        io.Writer
	mu         sync.Mutex // guards what follows; a signal cleans up too
	cleanups   []func()
	failed     bool
}

// stopped is what a fatal error panics with.
type stopped struct{ reason string }

// interrupted is set by a signal; what is begun after it panics with stopped.
var interrupted atomic.Bool

const (
	exitInterrupted = 130
	giveUp          = 10 * time.Second // after a signal
)

func stopIfInterrupted() {
	if interrupted.Load() {
		panic(stopped{"stopped"})
	}
}

// Run runs a measurement outside of a test: fn gets what stands for one. It returns
// the exit status. Everything is cleaned up at its end, after a fatal error, and
// when a signal comes.
func Run(name string, log io.Writer, fn func(testing.TB) error) (status int) {
	b := &bench{name: name, log: log}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	go func() {
		<-signals
		fmt.Fprintf(log, "\n%s: interrupted, cleaning up\n", name)
		interrupted.Store(true)
		select { // the measurement under way ends and cleans up, unless it hangs
		case <-signals:
		case <-time.After(giveUp):
		}
		b.cleanup()
		os.Exit(exitInterrupted)
	}()
	defer b.cleanup()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stopped:
			fmt.Fprintf(log, "%s: %s\n", name, r.reason)
			if status = 1; interrupted.Load() {
				status = exitInterrupted
			}
		default:
			b.cleanup()
			panic(r)
		}
	}()
	if err := fn(b); err != nil {
		b.Fatal(err)
	}
	if b.Failed() {
		return 1
	}
	return 0
}

// cleanup runs the cleanups, the last first. It holds the lock while it does, so a
// signal that comes meanwhile waits for it.
func (b *bench) cleanup() {
	for {
		b.mu.Lock()
		n := len(b.cleanups)
		if n == 0 {
			b.mu.Unlock()
			return
		}
		fn := b.cleanups[n-1]
		b.cleanups = b.cleanups[:n-1]
		b.mu.Unlock()
		fn()
	}
}

func (b *bench) Cleanup(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanups = append(b.cleanups, fn)
}

func (b *bench) Helper()      {}
func (b *bench) Name() string { return b.name }

func (b *bench) Failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

func (b *bench) Fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = true
}

func (b *bench) Log(args ...any)                 { fmt.Fprintln(b.log, args...) }
func (b *bench) Logf(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

func (b *bench) Error(args ...any) {
	b.Log(args...)
	b.Fail()
}

func (b *bench) Errorf(format string, args ...any) {
	b.Logf(format, args...)
	b.Fail()
}

func (b *bench) Fatal(args ...any) {
	b.Fail()
	panic(stopped{fmt.Sprint(args...)})
}

func (b *bench) Fatalf(format string, args ...any) {
	b.Fail()
	panic(stopped{fmt.Sprintf(format, args...)})
}

// Skipf is what netlab calls without the rights it needs.
func (b *bench) Skipf(format string, args ...any) { b.Fatalf(format, args...) }

// TempDir makes a directory that goes at the end.
func (b *bench) TempDir() string {
	dir, err := os.MkdirTemp("", "ethertap-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// scope is a part of a measurement that cleans up after itself.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(fn func()) {
	s.cleanups = append(s.cleanups, fn)
	stopIfInterrupted()
}

// In runs fn with what it asks to be cleaned up done at its end, whichever way it
// ends.
func In(t testing.TB, fn func(testing.TB) error) error {
	stopIfInterrupted()
	s := &scope{TB: t}
	once := sync.OnceFunc(func() {
		for i := len(s.cleanups) - 1; i >= 0; i-- {
			s.cleanups[i]()
		}
	})
	t.Cleanup(once)
	defer once()
	return fn(s)
}

// Cores of the generator and of the device under test: the same on a machine with
// one, where rates mean little.
const GeneratorCore = 0

// DeviceCore is the core of the device under test.
func DeviceCore() int { return min(1, runtime.NumCPU()-1) }
