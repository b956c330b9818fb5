// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/collect"
	"ethertap/collect/index"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// Each file of a set gets its index from what the recording notes. If the process that makes them does
// not keep up, so that a part of that is lost, it reads the file. If it is killed, as by a signal to the
// recorder's process group before it has its own, another one goes on.
func TestIndexer(t *testing.T) {
	for name, at := range map[string]int{"none is killed": -1, "one is killed early": 1100, "one is killed at the end": 2499} {
		t.Run(name, func(t *testing.T) { testIndexer(t, at) })
	}
}

// The end does not wait for a process that cannot obey, as one that gets no core: here it is stopped.
func TestIndexerEnd(t *testing.T) {
	setup(t)
	var mu sync.Mutex
	var said []string
	x := newIndexer(func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	})
	x.patience, x.parting = 0, 10*time.Millisecond
	files, err := collect.Create(filepath.Join(t.TempDir(), "x.pcapng"), collect.Options{
		Format: collect.PCAPNG, Rotate: collect.Rotation{Packets: 1000}, Digest: x.digest, Closed: x.closed,
	})
	if err != nil {
		t.Fatal(err)
	}
	var child *os.Process
	for i := range 2500 {
		if err := files.Append(time.Now(), int64(i), &shm.Record{Data: make([]byte, 60)}); err != nil {
			t.Fatal(err)
		}
		if i == 1100 {
			netlab.Await(t, "it runs", func() bool {
				x.mu.Lock()
				defer x.mu.Unlock()
				child = x.child
				return child != nil && child.Signal(unix.SIGSTOP) == nil
			})
			t.Cleanup(func() { child.Kill() })
		}
	}
	if err := files.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	go func() {
		x.end()
		ended.Store(true)
	}()
	netlab.Await(t, "the end", ended.Load)
	netlab.Await(t, "the end of the process", func() bool {
		select {
		case <-x.ended:
			return true
		default:
			return false
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if len(said) != 1 || !strings.HasPrefix(said[0], "the last files have no index yet (") {
		t.Errorf("%q", said)
	}
}

// testIndexer kills the process after a packet of that number.
func testIndexer(t *testing.T, kill int) {
	setup(t)
	var mu sync.Mutex
	var said []string
	x := newIndexer(func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	})
	dir := t.TempDir()
	parts := 0
	files, err := collect.Create(filepath.Join(dir, "x.pcapng"), collect.Options{
		Format: collect.PCAPNG, Rotate: collect.Rotation{Packets: 1000},
		Digest: func(b []byte) {
			if parts++; parts == 3 { // in the second file
				x.digest(make([]byte, maxPending+1))
			}
			x.digest(b)
		},
		Closed: x.closed,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		b := make([]byte, 60)
		copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45")
		copy(b[23:], []byte{6, 0, 0, 10, 0, 0, 1, 10, 0, byte(i >> 8), byte(i)})
		if err := files.Append(time.Now(), int64(i), &shm.Record{Data: b}); err != nil {
			t.Fatal(err)
		}
		if i == kill {
			netlab.Await(t, "it runs", func() bool {
				x.mu.Lock()
				defer x.mu.Unlock()
				return x.child != nil && x.child.Kill() == nil
			})
		}
	}
	if err := files.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
	x.end()
	mu.Lock()
	defer mu.Unlock()
	if len(said) > 0 {
		t.Error(strings.Join(said, "\n"))
	}
	recorded, err := filepath.Glob(dir + "/*.pcapng")
	if err != nil || len(recorded) != 3 || parts < 3 {
		t.Fatalf("%q, %d parts: %v", recorded, parts, err)
	}
	for _, name := range recorded {
		made, err := os.ReadFile(index.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := index.Make(name, t.Context().Err); err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(index.Path(name)); err != nil || string(made) != string(want) {
			t.Errorf("%s: the index is not that of the file: %v", name, err)
		}
	}
}
