// Package queue is the word sets of packet queues: `tap.queue.*` for the TAP queue,
// `pqueue.*` for any by its name. It translates between the VM and queues in shared
// memory and knows no dataplane, so that the bare shell has these words too, also when
// nothing fills the queue.
package queue

import (
	"sync"

	"ethertap/interp"
	"ethertap/shm"
)

// Words returns the words that work on the queue that open gives, and on others by
// name. open is called when a word first needs the queue, until it succeeds, and again
// after the queue was deleted. All sessions share one consumer, which is made when a
// packet is first asked for.
func Words(open func() (*shm.Queue, error)) interp.Set {
	w := &tap{open: open}
	return interp.Set{
		Name:     "queue",
		Help:     "packet queues: take packets out, empty them, look at them",
		Prefixes: []string{"tap.", "pqueue."},
		Words: append([]interp.Word{
			{Name: "tap.queue.get", Stack: "( - packet )", Help: "retrieve packet from TAP queue", Example: "tap.queue.get .", Func: w.get},
			{Name: "tap.queue.reset", Stack: "( - )", Help: "reset (clear) TAP queue", Example: "tap.queue.reset", Func: w.with(reset)},
			{Name: "tap.queue.status", Stack: "( - )", Help: "show TAP packet queue status", Example: "tap.queue.status", Func: w.with(status)},
			{Name: "tap.queue.who", Stack: "( - )", Help: "list the processes that have the TAP queue open", Example: "tap.queue.who", Func: w.with(who)},
			{Name: "tap.queue.producers", Stack: "( - )", Help: "show what each producer of the TAP queue has put in and had refused", Example: "tap.queue.producers", Func: w.with(producers)},
			{Name: "tap.queue.overwrite", Stack: "( flag - )", Help: "let a full TAP queue overwrite its oldest packets (true), or refuse new ones (false)", Example: "-1 tap.queue.overwrite", Func: w.with(overwrite)},
			{Name: "tap.queue.delete", Stack: "( - )", Help: "delete the TAP queue's file, unless another process uses it", Example: "tap.queue.delete", Func: w.delete},
		}, named...),
	}
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
	q, err := w.opened()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.consumer == nil {
		if w.consumer, err = q.NewConsumer("tap.queue.get"); err != nil {
			return err
		}
	}
	w.buf, err = get(s, w.consumer, w.buf)
	return err
}

// opened returns the queue.
func (w *tap) opened() (*shm.Queue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		q, err := w.open()
		if err != nil {
			return nil, err
		}
		w.queue = q
	}
	return w.queue, nil
}

// with makes the function of a word of f.
func (w *tap) with(f func(*interp.Session, *shm.Queue) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		q, err := w.opened()
		if err != nil {
			return err
		}
		return f(s, q)
	}
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
	if c := w.consumer; c != nil {
		w.consumer = nil
		return c.Close()
	}
	return nil
}
