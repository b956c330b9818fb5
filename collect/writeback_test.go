// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ethertap/shm"
)

// nameOf returns the base name of an open file, without ".part".
func nameOf(f *os.File) string {
	name, err := os.Readlink(descriptor(f))
	if err != nil {
		name = f.Name()
	}
	return strings.TrimSuffix(filepath.Base(name), part)
}

// Write-back of a long file begins every 8 MiB, pages leave the cache a GiB behind, and of a set
// those of the file before the last.
func TestWriteback(t *testing.T) {
	var mu sync.Mutex
	var done []string
	wasBack, wasLeave := writeBack, leaveCache
	t.Cleanup(func() { writeBack, leaveCache = wasBack, wasLeave })
	note := func(what string) func(*os.File, int64, int64) error {
		return func(f *os.File, from, to int64) error {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, fmt.Sprintf("%s %s %d-%d", what, nameOf(f), from>>20, to>>20))
			return nil
		}
	}
	writeBack, leaveCache = note("write"), note("drop")
	got := func(n int) []string {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			list := slices.Clone(done)
			mu.Unlock()
			if len(list) >= n || time.Now().After(deadline) {
				return list
			}
		}
	}
	f, err := os.Create(t.TempDir() + "/long")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w writeback
	e := early{w: &w}
	e.wrote(f, 7<<20)
	e.wrote(f, 25<<20)
	if want := []string{"write long 0-8", "write long 8-16", "write long 16-24"}; !slices.Equal(got(3), want) {
		t.Errorf("%q", got(3))
	}
	e.wrote(f, 1<<30+16<<20)
	if list := got(132); len(list) != 132 || !slices.Contains(list, "drop long 0-8") || !slices.Contains(list, "drop long 8-16") {
		t.Errorf("%d: %q", len(list), list[len(list)-4:])
	}

	mu.Lock()
	done = nil
	mu.Unlock()
	s, err := Create(filepath.Join(t.TempDir(), "s%N.pcap"), Options{Rotate: Rotation{Packets: 9}})
	if err != nil {
		t.Fatal(err)
	}
	r := &shm.Record{Data: make([]byte, 1<<20)}
	r.OrigLen = uint32(len(r.Data))
	s.enc.SetSnapLen(1 << 21)
	for range 36 {
		if err := s.Append(time.Now(), 1, r); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"write s00001.pcap 0-8", "write s00002.pcap 0-8", "drop s00001.pcap 0-0", "write s00003.pcap 0-8", "drop s00002.pcap 0-0", "write s00004.pcap 0-8"}
	list := got(len(want))
	slices.Sort(list)
	slices.Sort(want)
	if err := s.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(list, want) {
		t.Errorf("%q, not %q", list, want)
	}
}

// A disk that does not answer holds up nothing.
func TestWritebackOfSlowDisk(t *testing.T) {
	began, answer := make(chan struct{}, 100), make(chan struct{})
	was := writeBack
	writeBack = func(*os.File, int64, int64) error { began <- struct{}{}; <-answer; return nil }
	t.Cleanup(func() { close(answer); writeBack = was })
	path := filepath.Join(t.TempDir(), "s.pcap")
	s, err := Create(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &shm.Record{Data: make([]byte, 200_000), OrigLen: 200_000}
	for range 100 {
		if err := s.Append(time.Now(), 1, r); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	<-began // and nothing else is begun until it answers
	if err := s.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
	// The next one may write it at once.
	if s, err = Create(path, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
}
