package queue

import (
	"ethertap/interp"
	"ethertap/shm"
)

// get leaves the next packet of a queue, taken through buf, which it returns. The packet
// is taken only when the stack has room for it.
func get(s *interp.Session, c *shm.Consumer, buf []byte) ([]byte, error) {
	if err := s.Room(); err != nil {
		return buf, err
	}
	rec, ok, err := c.Get(buf)
	if err != nil {
		return buf, err
	}
	if !ok {
		return buf, s.Push(interp.NewData(nil))
	}
	return rec.Data, s.Push(interp.NewData(rec.Data[:min(len(rec.Data), interp.MaxValue)]))
}

func reset(_ *interp.Session, q *shm.Queue) error {
	_, err := q.Reset()
	return err
}

func overwrite(s *interp.Session, q *shm.Queue) error {
	flag, err := s.PopInt()
	if err != nil {
		return err
	}
	return q.SetOverwrite(flag != 0)
}

// status prints what has always been printed, the sizes, and what there is to say more.
func status(s *interp.Session, q *shm.Queue) error {
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
		{"slots", uint64(st.Slots), false},
		{"slot size", uint64(st.SlotSize), false},
		{"waiting", uint64(st.Waiting), true},
		{"highwater", st.HighWater, true},
		{"discarded", st.Discarded, true}, // thrown away by reset
		{"overwrote", st.Overwritten, true},
		{"truncated", st.Truncated, true},
		{"orphaned", st.Orphaned, true},   // written too slowly, not in
		{"abandoned", st.Abandoned, true}, // in the hands of producers that were killed
		{"lost", st.Lost, true},           // in the hands of consumers that were killed
		{"holes", st.Holes, true},         // slots of slow consumers gone round
	} {
		if row.n > 0 || !row.rare {
			s.Printf("  %-9s %d\n", row.name, row.n)
		}
	}
	if st.Overwrite {
		s.Print("  overwrite yes\n")
	}
	if st.Deleted {
		s.Print("  deleted   yes\n")
	}
	return nil
}

// who lists who is there, but for the handle that asks when it is there for that alone.
func who(s *interp.Session, q *shm.Queue) error {
	list, err := q.Participants()
	if err != nil {
		return err
	}
	s.Printf("%7s %-9s %-9s %12s  %s\n", "pid", "program", "role", "packets", "name")
	for _, p := range list {
		if p.Self && p.Role == shm.RoleOther {
			continue
		}
		role := "user"
		switch {
		case p.Producer:
			role = "producer"
		case p.Consumer:
			role = "consumer"
		}
		s.Printf("%7d %-9s %-9s %12d  %s\n", p.PID, p.Role, role, p.Packets, label(p))
	}
	return nil
}

func producers(s *interp.Session, q *shm.Queue) error {
	list, err := q.Participants()
	if err != nil {
		return err
	}
	s.Printf("%7s %-9s %12s %12s %12s %9s %9s %9s  %s\n", "pid", "program", "offered", "inserted", "full", "overwrote", "truncated", "orphaned", "name")
	for _, p := range list {
		if p.Producer {
			s.Printf("%7d %-9s %12d %12d %12d %9d %9d %9d  %s\n", p.PID, p.Role, p.Offered, p.Packets, p.Refused, p.Overwrote, p.Truncated, p.Orphaned, label(p))
		}
	}
	return nil
}

// label is the name of a participant, and that it is gone if it is.
func label(p shm.Participant) string {
	if !p.Alive {
		return interp.Printable(p.Name) + " (ended)"
	}
	return interp.Printable(p.Name)
}
