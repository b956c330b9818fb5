package queue

import (
	"errors"
	"fmt"
	"strings"

	"ethertap/interp"
	"ethertap/shm"
)

// lab is the queue of the examples.
const lab = `"` + shm.Prefix + `lab" `

// named are the words on queues by name. Each opens the queue for as long as it runs.
var named = []interp.Word{
	{Name: "pqueue.create", Stack: "( slots size name - )", Help: "make a packet queue of so many slots of so many bytes, 64 of which are the record's header; 0 is the usual number", Example: "64 256 " + lab + "pqueue.create " + lab + "pqueue.delete", Func: create},
	{Name: "pqueue.delete", Stack: "( name - )", Help: "delete a packet queue's file, unless another process uses it", Example: "0 0 " + lab + "pqueue.create " + lab + "pqueue.delete", Func: onNamed(func(_ *interp.Session, q *shm.Queue) error { return q.Delete() })},
	example("pqueue.get", "( name - packet )", "retrieve packet from a packet queue", take),
	example("pqueue.reset", "( name - )", "reset (clear) a packet queue", reset),
	example("pqueue.status", "( name - )", "show status of a packet queue", status),
	example("pqueue.who", "( name - )", "list the processes that have a packet queue open", who),
	example("pqueue.producers", "( name - )", "show what each producer of a packet queue has put in and had refused", producers),
	example("pqueue.overwrite", "( flag name - )", "let a full packet queue overwrite its oldest packets (true), or refuse new ones (false)", overwrite),
}

func example(name, stack, help string, f func(*interp.Session, *shm.Queue) error) interp.Word {
	flag := ""
	if strings.HasPrefix(stack, "( flag") {
		flag = "-1 "
	}
	return interp.Word{Name: name, Stack: stack, Help: help, Example: "0 0 " + lab + "pqueue.create " + flag + lab + name, Func: onNamed(f)}
}

// onNamed makes the function of a word of f.
func onNamed(f func(*interp.Session, *shm.Queue) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		q, err := shm.Open(name, shm.Options{Name: name, NoCreate: true})
		if err != nil {
			return err
		}
		return errors.Join(f(s, q), q.Close())
	}
}

// create makes a queue, or finds it there with the sizes wanted.
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

// take is get with a consumer for one packet.
func take(s *interp.Session, q *shm.Queue) error {
	c, err := q.NewConsumer("pqueue.get")
	if err != nil {
		return err
	}
	_, err = get(s, c, nil)
	return errors.Join(err, c.Close())
}
