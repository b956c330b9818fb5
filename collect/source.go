package collect

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"ethertap/shm"
)

// How often it is looked whether a queue has come that was not there: at first short against
// the time in which one that begins to be filled is full. Later, and for a file that is there
// and cannot be used, at the cost of a look: 1 % of a CPU with 20 ms, and milliseconds of
// work for a whole file.
const (
	openEvery = 20 * time.Millisecond
	openSoon  = 10 * time.Second // how long that is so
	openLater = 100 * time.Millisecond
)

// idleLook is after how long without packets it is looked whether the queue is the one of its
// name still: the next one fills meanwhile.
const idleLook = 10 * time.Millisecond

// Source is where a run takes packets from: the queue of a name. It may come later than the
// run, and another may come in its place; then the run goes on with that. A Source makes no
// queue.
type Source struct {
	name  string
	logf  func(format string, args ...any)
	begun time.Time
	wake  chan struct{} // ends a wait for a queue; capacity 1

	// Written by the goroutine that collects, under mu; others hold mu to look.
	mu       sync.Mutex
	queue    *shm.Queue // nil: not there
	consumer *shm.Consumer

	refused uint64          // in former queues
	before  uint64          // of the counters of this one: not of our time
	latest  uint64          // of this one, as last read
	told    [64]told        // of former queues, by interface
	table   []shm.Interface // of this one, as last read

	// Of the goroutine that collects.
	left  bool      // there was a queue, which is gone
	since time.Time // when the run came to be without a queue
	said  string    // why the one that is there cannot be opened
}

// told is what the tables of former queues counted as refused for an interface.
type told struct {
	name    string
	refused uint64
}

// OpenSource opens the queue of a name, if it is there. logf gets a line about what happens
// to it later. An error is that of a queue that is there and cannot be used.
func OpenSource(name string, logf func(format string, args ...any)) (*Source, error) {
	s := &Source{name: name, logf: logf, begun: time.Now(), wake: make(chan struct{}, 1)}
	s.since = s.begun
	switch err := s.open(); {
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, shm.ErrStrange): // it gives way to whoever fills the queue
		s.complain(err)
	default:
		return nil, err
	}
	return s, nil
}

// complain says once why the queue that is there cannot be opened.
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
	s.queue, s.consumer, s.before, s.latest, s.table = q, c, before, 0, nil
	return nil
}

// Close leaves the queue.
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

// Name is that of the queue.
func (s *Source) Name() string { return s.name }

// Queue is the queue that is collected from now, nil if there is none. It may be closed at
// any time.
func (s *Source) Queue() *shm.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue
}

// Reset throws away what waits, if there is a queue.
func (s *Source) Reset() error {
	if s.queue == nil {
		return nil
	}
	_, err := s.queue.Reset()
	return err
}

// Wake ends a Wait. Any goroutine may call it.
func (s *Source) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer != nil {
		s.consumer.Wake()
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is roused already
	}
}

// Refused is how many packets the queues had no room for since the Source was opened:
// refused, or overwritten by newer ones. Any goroutine may call it.
func (s *Source) Refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused + s.refusedNow()
}

// refusedNow is what the queue that is there had no room for. The caller holds mu.
func (s *Source) refusedNow() uint64 {
	if s.queue == nil {
		return 0
	}
	if st, err := s.queue.Status(); err == nil { // the loop reads the same memory and sees what is wrong
		s.latest = max(st.Full+st.Overwritten, s.before) - s.before
	}
	return s.latest
}

// Interfaces is the queue's table of interfaces. What is refused counts on over all queues.
func (s *Source) Interfaces() []shm.Interface {
	if s.queue == nil {
		return nil
	}
	if list, err := s.queue.Interfaces(); err == nil { // what is wrong with the queue shows when it is read
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

// Drain takes up to max packets, as shm.Consumer.Drain does. Of a queue that cannot be used
// any more it takes none.
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

// broken leaves a queue that is damaged, unless only a record of it was.
func (s *Source) broken(err error) error {
	why := s.queue.Intact()
	if why == nil {
		return err
	}
	s.leave(why)
	return nil
}

// Wait sleeps until a packet may be there, Wake is called, or the timeout passes; it says
// whether to look again.
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
		// Nothing is there, so it may be that nothing will come.
		if why := s.queue.Intact(); why != nil && !s.filled() {
			s.leave(why)
			return true, nil
		}
	}
	return false, nil
}

// filled says whether the queue that is there has a producer: one that has lost its file is
// taken from as long as somebody puts packets in.
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

// leave gives up the queue that is there.
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
	s.Close() // of a damaged one it fails, and nothing hangs on it
	s.left, s.since = true, time.Now()
}

// await waits for a queue of the name and says whether it is there.
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
