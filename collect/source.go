// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"ethertap/shm"
)

// These say how often to look whether the missing queue has come: at first often, so that a new
// queue does not fill before it is opened. Later a look may cost about 1 % of a CPU, and a look
// at a whole file that cannot be used takes milliseconds.
const (
	openEvery = 20 * time.Millisecond
	openSoon  = 10 * time.Second // how long to look often
	openLater = 100 * time.Millisecond
)

// idleLook is the time without packets after which to check whether the queue still has its name,
// since the next one fills meanwhile.
const idleLook = 10 * time.Millisecond

// Source is the queue of a name, from which a run takes packets. The queue may come later than
// the run, and another may take its place; then the run goes on with that one. A Source never
// makes a queue.
type Source struct {
	name  string
	logf  func(format string, args ...any)
	begun time.Time
	wake  chan struct{} // ends a wait for a queue; capacity 1

	// The collecting goroutine writes these, under mu; others hold mu to read them.
	mu       sync.Mutex
	queue    *shm.Queue // nil: it is not there
	consumer *shm.Consumer

	refused uint64          // in former queues
	created time.Time       // when this queue was made
	before  uint64          // counted by this queue before our time
	latest  uint64          // counted by this queue, as last read
	told    [64]told        // counted by former queues, by interface
	table   []shm.Interface // of this queue, as last read

	// The rest belongs to the collecting goroutine.
	left  bool      // there was a queue, and it is gone
	since time.Time // since when there is no queue
	said  string    // why the file that is there cannot be opened, as logged
}

// told is how many packets the tables of former queues counted as refused for an interface.
type told struct {
	name    string
	refused uint64
}

// OpenSource opens the queue of a name, if it is there. Later events of the queue are logged with
// logf. It returns an error if there is a queue that cannot be used.
func OpenSource(name string, logf func(format string, args ...any)) (*Source, error) {
	s := &Source{name: name, logf: logf, begun: time.Now(), wake: make(chan struct{}, 1)}
	s.since = s.begun
	switch err := s.open(); {
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, shm.ErrStrange): // the program that fills the queue will replace it
		s.complain(err)
	default:
		return nil, err
	}
	return s, nil
}

// complain logs once why the queue that is there cannot be opened.
func (s *Source) complain(err error) {
	if err.Error() != s.said {
		s.said = err.Error()
		s.logf("%v; waiting for one", err)
	}
}

// open takes the queue that has the name now.
func (s *Source) open() error {
	q, err := shm.Open(s.name, shm.Options{Role: shm.RoleCollect, Name: "collect", NoCreate: true})
	if err != nil {
		return err
	}
	var before uint64
	st, err := q.Status()
	if err == nil && st.Created.Before(s.begun) {
		before = st.Full + st.Overwritten
	}
	var c *shm.Consumer
	if err == nil {
		c, err = q.NewConsumer("collect")
	}
	if err != nil {
		return errors.Join(err, q.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.consumer, s.created, s.before, s.latest, s.table = q, c, st.Created, before, 0, nil
	return nil
}

// Close closes the queue.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return nil
	}
	err := errors.Join(s.consumer.Close(), s.queue.Close())
	s.queue, s.consumer = nil, nil
	return err
}

// Name returns the name of the queue.
func (s *Source) Name() string { return s.name }

// Queue returns the queue, or nil if there is none. It may be closed at any time.
func (s *Source) Queue() *shm.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue
}

// Reset removes the waiting packets, if there is a queue.
func (s *Source) Reset() error {
	if s.queue == nil {
		return nil
	}
	_, err := s.queue.Reset()
	return err
}

// Wake ends a Wait. It may be called from any goroutine.
func (s *Source) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer != nil {
		s.consumer.Wake()
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // a wake is pending already
	}
}

// Refused returns for how many packets the queues had no room since the Source was opened:
// refused, or overwritten by newer ones. It may be called from any goroutine.
func (s *Source) Refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused + s.refusedNow()
}

// refusedNow returns for how many packets the current queue had no room. The caller holds mu.
func (s *Source) refusedNow() uint64 {
	if s.queue == nil {
		return 0
	}
	if st, err := s.queue.Status(); err == nil { // the loop reads the same memory and reports errors
		s.latest = max(st.Full+st.Overwritten, s.before) - s.before
	}
	return s.latest
}

// Interfaces returns the queue's table of interfaces. The counts of refused packets include
// former queues.
func (s *Source) Interfaces() []shm.Interface {
	if s.queue == nil {
		return nil
	}
	if list, err := s.queue.Interfaces(); err == nil { // an error is reported when the queue is read
		s.table = list
	}
	list := make([]shm.Interface, len(s.table))
	for n, i := range s.table {
		if t := &s.told[i.Index]; t.name == i.Name {
			i.Refused += t.refused
		}
		list[n] = i
	}
	return list
}

// Created returns when the queue that Drain takes from was made, zero if there is none.
func (s *Source) Created() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.created
}

// Written implements Input. What was taken from a queue cannot be given back.
func (s *Source) Written() {}

// Drain takes up to max packets, like shm.Consumer.Drain. It takes none from a queue that cannot
// be used any more.
func (s *Source) Drain(max int, fn func(*shm.Record) error) (n int, err error) {
	if s.consumer == nil {
		return 0, nil
	}
	n, err = s.consumer.Drain(max, fn)
	if err != nil && errors.Is(err, shm.ErrCorrupt) {
		return n, s.broken(err)
	}
	return n, err
}

// broken leaves the queue if it is damaged. An error of a single record is returned.
func (s *Source) broken(err error) error {
	why := s.queue.Intact()
	if why == nil {
		return err
	}
	s.leave(why)
	return nil
}

// Wait sleeps until a packet may be there, Wake is called, or the timeout has passed. It returns
// whether another look is worth while.
func (s *Source) Wait(timeout time.Duration) (again bool, err error) {
	if s.consumer == nil {
		return s.await(timeout), nil
	}
	for _, part := range [...]time.Duration{min(timeout, idleLook), timeout - idleLook} {
		again, err = s.consumer.Wait(part)
		if err != nil && errors.Is(err, shm.ErrCorrupt) {
			return true, s.broken(err)
		}
		if again || err != nil {
			return again, err
		}
		// Nothing is there, and perhaps nothing will come.
		if why := s.queue.Intact(); why != nil && !s.filled() {
			s.leave(why)
			return true, nil
		}
	}
	return false, nil
}

// filled says whether the queue has a producer. A queue that has lost its file is read as long as
// somebody puts packets in.
func (s *Source) filled() bool {
	list, err := s.queue.Participants()
	if err != nil {
		return false
	}
	for _, p := range list {
		if p.Producer && p.Alive {
			return true
		}
	}
	st, err := s.queue.Status() // the last packets may have come before their producer left
	return err == nil && st.Waiting > 0
}

// leave closes the queue and waits for the next one.
func (s *Source) leave(why error) {
	s.said = why.Error()
	s.logf("%v; recording goes on with the next one", why)
	s.Interfaces()
	s.mu.Lock()
	s.refused += s.refusedNow()
	for _, i := range s.table {
		t := &s.told[i.Index]
		if t.name != i.Name {
			*t = told{name: i.Name}
		}
		t.refused += i.Refused
	}
	s.mu.Unlock()
	s.Close() // it fails for a damaged queue, which does not matter
	s.left, s.since = true, time.Now()
}

// await waits for a queue of the name and returns whether there is one.
func (s *Source) await(timeout time.Duration) bool {
	for begin := time.Now(); ; {
		pause := openEvery
		switch err := s.open(); {
		case err == nil:
			if s.left {
				s.logf("queue %s: the next one is there", s.name)
			}
			s.left, s.said = false, ""
			return true
		case !errors.Is(err, fs.ErrNotExist):
			pause = openLater
			s.complain(err)
		case time.Since(s.since) > openSoon:
			pause = openLater
		}
		left := timeout - time.Since(begin)
		if left <= 0 {
			return false
		}
		select {
		case <-s.wake:
			return true
		case <-time.After(min(left, pause)):
		}
	}
}
