// SPDX-License-Identifier: BSD-3-Clause

// Package reading is what all views of a running tap show: the engine's snapshot and the state of the
// queues that it feeds. A view takes it from a Source, which many views share. The package does not know how
// anything is shown.
package reading

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ethertap/dataplane"
	"ethertap/shm"
)

// Reading is a tap at one moment. Nobody changes it, since it may be shared.
type Reading struct {
	dataplane.Snapshot
	Queues []Queue // those that are fed; the first is the TAP queue
}

// Queue is the state of one queue, and who has it open.
type Queue struct {
	shm.Status
	Users []shm.Participant
	Err   error // why there is no more than the name, or nil
}

// Consumers returns the living processes that take packets out, except this one's prompt.
func (q *Queue) Consumers() (list []shm.Participant) {
	for _, p := range q.Users {
		if p.Consumer && p.Alive {
			list = append(list, p)
		}
	}
	return list
}

// Read takes a reading, with the tables of sources, Ethertypes and VLANs if asked. Like Engine.Snapshot it waits for a
// start that is under way.
func Read(e *dataplane.Engine, tables bool) *Reading {
	r := &Reading{Snapshot: e.Snapshot(tables)}
	for _, q := range e.Queues() {
		s := Queue{Status: shm.Status{Name: q.Name()}}
		status, err := q.Status()
		if err == nil {
			s.Status = status
			s.Users, err = q.Participants()
		}
		if errors.Is(err, shm.ErrClosed) {
			continue // it is fed no more, since a moment ago
		}
		s.Err = err
		r.Queues = append(r.Queues, s)
	}
	return r
}

// Ready returns nil if frames are forwarded, and otherwise an error that says why they are not.
func (r *Reading) Ready() error {
	switch {
	case r.Running:
		return nil
	case r.Waiting != "":
		return fmt.Errorf("not forwarding: %s", r.Waiting)
	}
	return errors.New("not forwarding: the engine is stopped")
}

// ErrBusy says that there is no reading in time.
var ErrBusy = errors.New("the engine is busy: an interface is being started or stopped")

// Source gives readings of one engine to many. It takes one at a time, and at most one in Fresh: so however
// many ask, the engine is asked no more often.
type Source struct {
	read  func(tables bool) *Reading
	fresh time.Duration
	turn  chan struct{} // holds a token while nobody reads

	mu   sync.Mutex
	last [2]*Reading // without tables and with them
}

// NewSource makes a source of a function that takes a reading, mostly Read. A reading is given again until it is older than fresh.
func NewSource(read func(tables bool) *Reading, fresh time.Duration) *Source {
	s := &Source{read: read, fresh: fresh, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Get returns a reading that is younger than fresh. It waits until ctx ends, and then returns ErrBusy.
func (s *Source) Get(ctx context.Context, tables bool) (*Reading, error) {
	if r := s.recent(tables); r != nil {
		return r, nil
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return nil, ErrBusy
	}
	done := make(chan *Reading, 1)
	go func() { // goes on when ctx ends: the engine cannot be told to hurry
		defer func() { s.turn <- struct{}{} }()
		r := s.recent(tables) // somebody else may have read meanwhile
		if r == nil {
			r = s.read(tables)
			s.keep(tables, r)
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		return nil, ErrBusy
	}
}

// recent returns the last reading if it may be given again. One with tables does for who needs none.
func (s *Source) recent(tables bool) *Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.last) - 1; i >= 0; i-- {
		if r := s.last[i]; r != nil && (i == 1 || !tables) && time.Since(r.Time) < s.fresh {
			return r
		}
	}
	return nil
}

func (s *Source) keep(tables bool, r *Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tables {
		s.last[1] = r
	} else {
		s.last[0] = r
	}
}
