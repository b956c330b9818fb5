// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ethertap/interp"
	"ethertap/shm"
	"ethertap/words/report"
)

// lab is the name of the queue of the examples, as source.
const lab = `"` + shm.Prefix + `lab" `

// namedWords returns the words that work on a queue by its name. Each opens the queue for as
// long as it runs.
func namedWords(from report.Source) []interp.Word {
	const made = "0 0 " + lab + "pqueue.create " // makes the queue of an example
	word := func(name, stack, help, inputs string, f func(*interp.Session, *shm.Queue) error) interp.Word {
		return interp.Word{Name: name, Stack: stack, Help: help, Example: made + inputs + lab + name, Func: on(useNamed, f)}
	}
	return slices.Concat(
		[]interp.Word{
			{Name: "pqueue.create", Stack: "( slots size name - )", Help: "make a packet queue of so many slots of so many bytes, 64 of which are the record's header; 0 is the usual number", Example: "64 256 " + lab + "pqueue.create " + lab + "pqueue.delete", Func: create},
			word("pqueue.delete", "( name - )", "delete a packet queue's file, unless another process uses it", "", func(_ *interp.Session, q *shm.Queue) error { return q.Delete() }),
			word("pqueue.get", "( name - packet )", "retrieve packet from a packet queue", "", take),
			word("pqueue.reset", "( name - )", "reset (clear) a packet queue", "", reset),
		},
		shown(useNamed, stateOf, report.Pair[state]{Name: "pqueue.status", Stack: "( name - )", Help: "show status of a packet queue", Example: made + lab + "pqueue.status", Text: showState}).Words(from),
		shown(useNamed, usersOf, report.Pair[users]{Name: "pqueue.who", Stack: "( name - )", Help: "list the processes that have a packet queue open", Example: made + lab + "pqueue.who", Text: showUsers}).Words(from),
		shown(useNamed, producersOf, report.Pair[producers]{Name: "pqueue.producers", Stack: "( name - )", Help: "show what each producer of a packet queue has put in and had refused", Example: made + lab + "pqueue.producers", Text: showProducers}).Words(from),
		[]interp.Word{word("pqueue.overwrite", "( flag name - )", "let a full packet queue overwrite its oldest packets (true), or refuse new ones (false)", "-1 ", overwrite)},
	)
}

// useNamed runs f on the queue whose name is on the stack.
func useNamed(s *interp.Session, f func(*shm.Queue) error) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	q, err := shm.Open(name, shm.Options{Name: name, NoCreate: true})
	if err != nil {
		return err
	}
	return errors.Join(f(q), q.Close())
}

// create makes a queue, unless there is one of this name and these sizes.
func create(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(name, shm.Prefix) || name == shm.Prefix {
		return fmt.Errorf("a queue that is made here is named %sSOMETHING, not %s", shm.Prefix, interp.Quote(name))
	}
	size, err := s.PopRange("slot size", 0, shm.MaxSlotSize)
	if err != nil {
		return err
	}
	slots, err := s.PopRange("slots", 0, shm.MaxSlots)
	if err != nil {
		return err
	}
	q, err := shm.Open(name, shm.Options{Name: name, Slots: int(slots), SlotSize: int(size), Exact: true})
	if err != nil {
		return err
	}
	return q.Close()
}

// take gets one packet, with a consumer of its own.
func take(s *interp.Session, q *shm.Queue) error {
	c, err := q.NewConsumer("pqueue.get")
	if err != nil {
		return err
	}
	_, err = get(s, c, nil)
	return errors.Join(err, c.Close())
}
