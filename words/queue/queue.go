// Package queue is the word set of the TAP queue, `tap.queue.*`. It translates
// between the VM and a queue in shared memory and knows no dataplane, so that the
// bare shell has these words too, also when nothing fills the queue.
package queue

import (
	"sync"

	"ethertap/interp"
	"ethertap/shm"
)

// Words returns the words that work on the queue that open gives; it is called
// when a word first needs it, until it succeeds. All sessions share one consumer,
// which is made when a packet is first asked for.
func Words(open func() (*shm.Queue, error)) interp.Set {
	w := &words{open: open}
	return interp.Set{
		Name:     "tap.queue",
		Help:     "the TAP queue: take packets out, empty it, look at it",
		Prefixes: []string{"tap."},
		Words: []interp.Word{
			{Name: "tap.queue.get", Stack: "( - packet )", Help: "retrieve packet from TAP queue", Example: "tap.queue.get .", Func: w.get},
			{Name: "tap.queue.reset", Stack: "( - )", Help: "reset (clear) TAP queue", Example: "tap.queue.reset", Func: w.reset},
			{Name: "tap.queue.status", Stack: "( - )", Help: "show TAP packet queue status", Example: "tap.queue.status", Func: w.status},
			{Name: "tap.queue.who", Stack: "( - )", Help: "list the processes that have the TAP queue open", Example: "tap.queue.who", Func: w.who},
		},
	}
}

type words struct {
	open func() (*shm.Queue, error)

	mu       sync.Mutex // of what follows; a consumer is not for concurrent use
	queue    *shm.Queue
	consumer *shm.Consumer
	buf      []byte
}

// get leaves the next packet, or data of length 0 when none waits. It never blocks.
// The packet is taken only when the stack has room for it.
func (w *words) get(s *interp.Session) error {
	if err := s.Room(); err != nil {
		return err
	}
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
	rec, ok, err := w.consumer.Get(w.buf)
	if err != nil {
		return err
	}
	if !ok {
		return s.Push(interp.NewData(nil))
	}
	w.buf = rec.Data
	data := rec.Data
	if len(data) > interp.MaxValue {
		data = data[:interp.MaxValue]
	}
	return s.Push(interp.NewData(data))
}

// opened returns the queue.
func (w *words) opened() (*shm.Queue, error) {
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

func (w *words) reset(*interp.Session) error {
	q, err := w.opened()
	if err != nil {
		return err
	}
	_, err = q.Reset()
	return err
}

func (w *words) status(s *interp.Session) error {
	q, err := w.opened()
	if err != nil {
		return err
	}
	st, err := q.Status()
	if err != nil {
		return err
	}
	s.Printf("packet queue %s\n", st.Name)
	for _, row := range []struct {
		name string
		n    uint64
		rare bool // shown only when it is not 0
	}{
		{"head", st.Head, false},
		{"tail", st.Tail, false},
		{"inserted", st.Inserted, false},
		{"full", st.Full, false},
		{"retrieved", st.Retrieved, false},
		{"discarded", st.Discarded, true},
		{"overwritten", st.Overwritten, true},
		{"truncated", st.Truncated, true},
		{"orphaned", st.Orphaned, true},
	} {
		if row.n > 0 || !row.rare {
			s.Printf("  %-9s %d\n", row.name, row.n)
		}
	}
	return nil
}

func (w *words) who(s *interp.Session) error {
	q, err := w.opened()
	if err != nil {
		return err
	}
	list, err := q.Participants()
	if err != nil {
		return err
	}
	s.Printf("%7s %-9s %-9s %12s  %s\n", "pid", "program", "role", "packets", "name")
	for _, p := range list {
		role := "user"
		switch {
		case p.Producer:
			role = "producer"
		case p.Consumer:
			role = "consumer"
		}
		dead := ""
		if !p.Alive {
			dead = " (ended)"
		}
		s.Printf("%7d %-9s %-9s %12d  %s%s\n", p.PID, p.Role, role, p.Packets, interp.Printable(p.Name), dead)
	}
	return nil
}
