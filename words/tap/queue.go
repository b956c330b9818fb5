// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"errors"
	"slices"
	"sync"

	"ethertap/interp"
	"ethertap/shm"
	"ethertap/words/report"
)

// QueueWords returns the words of queues: tap.queue.* for the queue that open gives, and
// pqueue.* for any queue by its name. Those that feed further queues are among them if e is
// not nil.
//
// A word that needs the queue calls open until it succeeds, and calls it again after the queue
// was deleted, by a word or by others; open may return the same queue then. All sessions share
// one consumer, which is made when a packet is first asked for.
func QueueWords(open func() (*shm.Queue, error), e Engine, from report.Source) interp.Set {
	set := interp.Set{
		Name:     "queue",
		Help:     "packet queues: take packets out, empty them, look at them",
		Prefixes: []string{"tap.", "pqueue."},
		Words:    slices.Concat(tapQueueWords(open, from), namedWords(from)),
	}
	if e != nil {
		set.Help += ", feed further ones"
		set.Words = append(set.Words, feedWords(e, from)...)
	}
	return set
}

// tapQueueWords returns the words of the TAP queue.
func tapQueueWords(open func() (*shm.Queue, error), from report.Source) []interp.Word {
	t := &tapQueue{open: open}
	return slices.Concat(
		[]interp.Word{
			{Name: "tap.queue.get", Stack: "( - packet )", Help: "retrieve packet from TAP queue", Example: "tap.queue.get .", Func: t.get},
			{Name: "tap.queue.fault", Stack: "( - text )", Help: "what fault injection did to the packet that was taken out of a queue last, such as bit flip; empty if nothing", Example: "tap.queue.get drop tap.queue.fault .", Func: fault},
			{Name: "tap.queue.reset", Stack: "( - )", Help: "reset (clear) TAP queue", Example: "tap.queue.reset", Func: on(t.use, reset)},
		},
		shown(t.use, stateOf, report.Pair[state]{Name: "tap.queue.status", Stack: "( - )", Help: "show TAP packet queue status", Example: "tap.queue.status", Text: showState}).Words(from),
		shown(t.use, usersOf, report.Pair[users]{Name: "tap.queue.who", Stack: "( - )", Help: "list the processes that have the TAP queue open", Example: "tap.queue.who", Text: showUsers}).Words(from),
		shown(t.use, producersOf, report.Pair[producers]{Name: "tap.queue.producers", Stack: "( - )", Help: "show what each producer of the TAP queue has put in and had refused", Example: "tap.queue.producers", Text: showProducers}).Words(from),
		[]interp.Word{
			{Name: "tap.queue.overwrite", Stack: "( flag - )", Help: "let a full TAP queue overwrite its oldest packets (true), or refuse new ones (false)", Example: "-1 tap.queue.overwrite", Func: on(t.use, overwrite)},
			{Name: "tap.queue.delete", Stack: "( - )", Help: "delete the TAP queue's file, unless another process uses it", Example: "tap.queue.delete", Func: t.delete},
		},
	)
}

// use is how a word gets its queue: it takes what it needs from the stack and runs a function
// on the queue.
type use func(*interp.Session, func(*shm.Queue) error) error

// on makes the function of a word from a function that works on a queue.
func on(use use, f func(*interp.Session, *shm.Queue) error) func(*interp.Session) error {
	return func(s *interp.Session) error { return use(s, func(q *shm.Queue) error { return f(s, q) }) }
}

// shown completes a pair of words: it sets how they read their values.
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

// tapQueue is the TAP queue as the words see it.
type tapQueue struct {
	open func() (*shm.Queue, error)

	mu       sync.Mutex // guards the fields below; a consumer is not for concurrent use
	queue    *shm.Queue
	consumer *shm.Consumer
	buf      []byte
}

// get leaves the next packet, or data of length 0 when none waits. It never blocks.
func (t *tapQueue) get(s *interp.Session) error {
	if _, err := t.opened(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	if t.queue == nil { // another session has deleted it since
		return s.Push(interp.NewData(nil))
	}
	if t.consumer == nil {
		if t.consumer, err = t.queue.NewConsumer("tap.queue.get"); err != nil {
			return err
		}
	}
	t.buf, err = get(s, t.consumer, t.buf)
	return err
}

// opened returns the queue. One that others no longer find is used up first.
func (t *tapQueue) opened() (*shm.Queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue != nil && !usedUp(t.queue) {
		return t.queue, nil
	}
	q, err := t.open()
	switch {
	case err != nil && t.queue == nil:
		return nil, err
	case err != nil || q == t.queue: // there is no other yet
		return t.queue, nil
	}
	t.queue = q
	return q, t.leaveLocked()
}

// usedUp says whether a queue has lost its file and holds no packet any more.
func usedUp(q *shm.Queue) bool {
	if q.Intact() == nil {
		return false
	}
	st, err := q.Status()
	return err != nil || st.Waiting == 0
}

// leaveLocked closes the consumer of the former queue.
func (t *tapQueue) leaveLocked() error {
	c := t.consumer
	t.consumer = nil
	if c == nil {
		return nil
	}
	if err := c.Close(); err != nil && !errors.Is(err, shm.ErrCorrupt) {
		return err
	}
	return nil
}

// use runs f on the TAP queue.
func (t *tapQueue) use(_ *interp.Session, f func(*shm.Queue) error) error {
	q, err := t.opened()
	if err != nil {
		return err
	}
	return f(q)
}

// delete deletes the file of the queue; the next word that needs the queue opens it anew.
func (t *tapQueue) delete(*interp.Session) error {
	q, err := t.opened()
	if err != nil {
		return err
	}
	if err := q.Delete(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = nil
	return t.leaveLocked()
}
