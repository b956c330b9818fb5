// Package queue is the word sets of packet queues: `tap.queue.*` for the TAP queue,
// `pqueue.*` for any by its name. It translates between the VM and queues in shared
// memory and knows no dataplane, so that the bare shell has these words too, also when
// nothing fills the queue.
package queue

import (
	"errors"
	"slices"
	"sync"

	"ethertap/interp"
	"ethertap/shm"
	"ethertap/words/report"
)

// Words returns the words that work on the queue that open gives, and on others by
// name. open is called when a word first needs the queue, until it succeeds, and again
// after the queue was deleted, by a word or by others; it may give the same one then. All sessions share one consumer, which is made when a
// packet is first asked for.
func Words(open func() (*shm.Queue, error), from report.Source) interp.Set {
	w := &tap{open: open}
	return interp.Set{
		Name:     "queue",
		Help:     "packet queues: take packets out, empty them, look at them",
		Prefixes: []string{"tap.", "pqueue."},
		Words: slices.Concat(
			[]interp.Word{
				{Name: "tap.queue.get", Stack: "( - packet )", Help: "retrieve packet from TAP queue", Example: "tap.queue.get .", Func: w.get},
				{Name: "tap.queue.reset", Stack: "( - )", Help: "reset (clear) TAP queue", Example: "tap.queue.reset", Func: on(w.use, reset)},
			},
			shown(w.use, stateOf, report.Pair[state]{Name: "tap.queue.status", Stack: "( - )", Help: "show TAP packet queue status", Example: "tap.queue.status", Text: showState}).Words(from),
			shown(w.use, usersOf, report.Pair[users]{Name: "tap.queue.who", Stack: "( - )", Help: "list the processes that have the TAP queue open", Example: "tap.queue.who", Text: showUsers}).Words(from),
			shown(w.use, producersOf, report.Pair[producers]{Name: "tap.queue.producers", Stack: "( - )", Help: "show what each producer of the TAP queue has put in and had refused", Example: "tap.queue.producers", Text: showProducers}).Words(from),
			[]interp.Word{
				{Name: "tap.queue.overwrite", Stack: "( flag - )", Help: "let a full TAP queue overwrite its oldest packets (true), or refuse new ones (false)", Example: "-1 tap.queue.overwrite", Func: on(w.use, overwrite)},
				{Name: "tap.queue.delete", Stack: "( - )", Help: "delete the TAP queue's file, unless another process uses it", Example: "tap.queue.delete", Func: w.delete},
			},
			named(from),
		),
	}
}

// use is how a word comes to its queue: it takes what it needs from the stack and runs
// a function on the queue.
type use func(*interp.Session, func(*shm.Queue) error) error

// on makes the function of a word of one that works on a queue.
func on(use use, f func(*interp.Session, *shm.Queue) error) func(*interp.Session) error {
	return func(s *interp.Session) error { return use(s, func(q *shm.Queue) error { return f(s, q) }) }
}

// shown completes a pair of words by how they read their values.
func shown[T any](use use, of func(*shm.Queue) (T, error), p report.Pair[T]) report.Pair[T] {
	p.Get = func(s *interp.Session) (v T, err error) {
		err = use(s, func(q *shm.Queue) (err error) {
			v, err = of(q)
			return err
		})
		return v, err
	}
	return p
}

// tap is the TAP queue as the words see it.
type tap struct {
	open func() (*shm.Queue, error)

	mu       sync.Mutex // of what follows; a consumer is not for concurrent use
	queue    *shm.Queue
	consumer *shm.Consumer
	buf      []byte
}

// get leaves the next packet, or data of length 0 when none waits. It never blocks.
func (w *tap) get(s *interp.Session) error {
	if _, err := w.opened(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.queue == nil { // deleted by another session in this moment
		return s.Push(interp.NewData(nil))
	}
	if w.consumer == nil {
		if w.consumer, err = w.queue.NewConsumer("tap.queue.get"); err != nil {
			return err
		}
	}
	w.buf, err = get(s, w.consumer, w.buf)
	return err
}

// opened returns the queue. One that others do not find any more is used up first.
func (w *tap) opened() (*shm.Queue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil && !usedUp(w.queue) {
		return w.queue, nil
	}
	q, err := w.open()
	switch {
	case err != nil && w.queue == nil:
		return nil, err
	case err != nil || q == w.queue: // there is no other yet
		return w.queue, nil
	}
	w.queue = q
	return q, w.leave()
}

// usedUp says that a queue has lost its file, and nothing is in it.
func usedUp(q *shm.Queue) bool {
	if q.Intact() == nil {
		return false
	}
	st, err := q.Status()
	return err != nil || st.Waiting == 0
}

// leave closes the consumer of the queue before.
func (w *tap) leave() error {
	c := w.consumer
	w.consumer = nil
	if c == nil {
		return nil
	}
	if err := c.Close(); err != nil && !errors.Is(err, shm.ErrCorrupt) {
		return err
	}
	return nil
}

// use runs f on the TAP queue.
func (w *tap) use(_ *interp.Session, f func(*shm.Queue) error) error {
	q, err := w.opened()
	if err != nil {
		return err
	}
	return f(q)
}

// delete takes the queue's name away; the next word that needs a queue opens one anew.
func (w *tap) delete(*interp.Session) error {
	q, err := w.opened()
	if err != nil {
		return err
	}
	if err := q.Delete(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = nil
	return w.leave()
}
