// SPDX-License-Identifier: BSD-3-Clause

package reading

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ethertap/dataplane"
)

// However many ask, one reading is taken, and all get it.
func TestOneReadingForAll(t *testing.T) {
	var taken atomic.Int32
	asked := make(chan struct{})
	s := NewSource(func(bool) *Reading {
		<-asked
		taken.Add(1)
		return &Reading{Snapshot: dataplane.Snapshot{Time: time.Now()}}
	}, time.Hour)
	var wg sync.WaitGroup
	var got [50]*Reading
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = s.Get(context.Background(), false); err != nil {
				t.Error(err)
			}
		})
	}
	close(asked)
	wg.Wait()
	for _, r := range got {
		if r != got[0] {
			t.Fatal("not all have the same reading")
		}
	}
	if n := taken.Load(); n != 1 {
		t.Errorf("%d readings were taken", n)
	}
	// One without tables does not do for who wants them; one with them does for all.
	with, err := s.Get(context.Background(), true)
	if err != nil || with == got[0] || taken.Load() != 2 {
		t.Errorf("with tables: %v, %d readings", err, taken.Load())
	}
	if r, err := s.Get(context.Background(), false); err != nil || r != with {
		t.Errorf("one with tables was not given to who needs none: %v", err)
	}
}

// An engine that does not answer makes nobody wait longer than they want, and is asked once.
func TestBusyEngine(t *testing.T) {
	var taken atomic.Int32
	answer := make(chan struct{})
	s := NewSource(func(bool) *Reading {
		taken.Add(1)
		<-answer
		return &Reading{Snapshot: dataplane.Snapshot{Time: time.Now()}}
	}, time.Hour)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for range 10 {
		if _, err := s.Get(gone, false); !errors.Is(err, ErrBusy) {
			t.Fatalf("busy: %v", err)
		}
	}
	close(answer)
	if _, err := s.Get(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	if n := taken.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestReady(t *testing.T) {
	for _, c := range []struct {
		s    dataplane.Snapshot
		want string
	}{
		{dataplane.Snapshot{Running: true, Waiting: "eth1 is gone"}, ""},
		{dataplane.Snapshot{Waiting: "port eth1: no such interface"}, "not forwarding: port eth1: no such interface"},
		{dataplane.Snapshot{}, "not forwarding: the engine is stopped"},
	} {
		got := ""
		if err := (&Reading{Snapshot: c.s}).Ready(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.s, got, c.want)
		}
	}
}
