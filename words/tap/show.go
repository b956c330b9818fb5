// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"time"

	"ethertap/interp"
	"ethertap/shm"
)

// lastFault is the key under which a session keeps what fault injection has done to the packet that it took last.
type lastFault struct{}

// fault leaves the names of the faults of the packet that the session took last.
func fault(s *interp.Session) error {
	names, _ := s.Local(lastFault{}).(string)
	return s.Push(interp.NewString(names))
}

// get leaves the next packet of a queue, and returns buf, grown if the packet needed it. It
// takes the packet only when the stack has room for it.
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
	s.SetLocal(lastFault{}, shm.FaultNames(rec.Fault))
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

// state is a picture of a queue.
type state struct {
	Name        string    `json:"name"`
	Head        uint64    `json:"head"` // the number of the next slot to be written
	Tail        uint64    `json:"tail"` // the number of the next slot to be read
	Inserted    uint64    `json:"inserted"`
	Full        uint64    `json:"full"`
	Retrieved   uint64    `json:"retrieved"`
	Slots       uint64    `json:"slots"`
	SlotSize    uint64    `json:"slot_size"` // bytes
	Waiting     uint64    `json:"waiting"`
	HighWater   uint64    `json:"highwater"`
	Discarded   uint64    `json:"discarded"`
	Overwritten uint64    `json:"overwritten"`
	Truncated   uint64    `json:"truncated"`
	Orphaned    uint64    `json:"orphaned"`
	Abandoned   uint64    `json:"abandoned"`
	Lost        uint64    `json:"lost"`
	Holes       uint64    `json:"holes"`
	Overwrite   bool      `json:"overwrite"`
	Deleted     bool      `json:"deleted"`
	Created     time.Time `json:"created"`
}

func stateOf(q *shm.Queue) (state, error) {
	st, err := q.Status()
	return state{
		Name: st.Name, Head: st.Head, Tail: st.Tail, Inserted: st.Inserted, Full: st.Full, Retrieved: st.Retrieved,
		Slots: uint64(st.Slots), SlotSize: uint64(st.SlotSize), Waiting: uint64(st.Waiting), HighWater: st.HighWater,
		Discarded: st.Discarded, Overwritten: st.Overwritten, Truncated: st.Truncated, Orphaned: st.Orphaned,
		Abandoned: st.Abandoned, Lost: st.Lost, Holes: st.Holes, Overwrite: st.Overwrite, Deleted: st.Deleted, Created: st.Created,
	}, err
}

// showState prints the rows that every queue has, and of the others those that are not 0.
func showState(s *interp.Session, v state) {
	s.Printf("packet queue %s\n", v.Name)
	for _, row := range []struct {
		name string
		n    uint64
		rare bool // shown only when it is not 0
	}{
		{"head", v.Head, false},
		{"tail", v.Tail, false},
		{"inserted", v.Inserted, false},
		{"full", v.Full, false},
		{"retrieved", v.Retrieved, false},
		{"slots", v.Slots, false},
		{"slot size", v.SlotSize, false},
		{"waiting", v.Waiting, true},
		{"highwater", v.HighWater, true},
		{"discarded", v.Discarded, true}, // removed by reset
		{"overwrote", v.Overwritten, true},
		{"truncated", v.Truncated, true},
		{"orphaned", v.Orphaned, true},   // written so slowly that the slot was given up
		{"abandoned", v.Abandoned, true}, // held by producers that were killed
		{"lost", v.Lost, true},           // held by consumers that were killed
		{"holes", v.Holes, true},         // slots skipped because a slow consumer held them
	} {
		if row.n > 0 || !row.rare {
			s.Printf("  %-9s %d\n", row.name, row.n)
		}
	}
	if v.Overwrite {
		s.Print("  overwrite yes\n")
	}
	if v.Deleted {
		s.Print("  deleted   yes\n")
	}
}

// users are the processes that have a queue open.
type users struct {
	Queue string `json:"queue"`
	Users []user `json:"users"`
}

type user struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
	Role    string `json:"role"` // "producer", "consumer" or "user"
	Packets uint64 `json:"packets"`
	Name    string `json:"name"`
	Alive   bool   `json:"alive"`
}

// usersOf lists the users of a queue, but not the handle that was opened only to list them.
func usersOf(q *shm.Queue) (users, error) {
	v := users{Queue: q.Name(), Users: []user{}}
	list, err := q.Participants()
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
		v.Users = append(v.Users, user{p.PID, p.Role.String(), role, p.Packets, p.Name, p.Alive})
	}
	return v, err
}

func showUsers(s *interp.Session, v users) {
	s.Printf("%7s %-9s %-9s %12s  %s\n", "pid", "program", "role", "packets", "name")
	for _, p := range v.Users {
		s.Printf("%7d %-9s %-9s %12d  %s\n", p.PID, p.Program, p.Role, p.Packets, label(p.Name, p.Alive))
	}
}

// producers are the producers of a queue.
type producers struct {
	Queue     string     `json:"queue"`
	Producers []producer `json:"producers"`
}

type producer struct {
	PID         int    `json:"pid"`
	Program     string `json:"program"`
	Offered     uint64 `json:"offered"`
	Inserted    uint64 `json:"inserted"`
	Full        uint64 `json:"full"`
	Overwritten uint64 `json:"overwritten"`
	Truncated   uint64 `json:"truncated"`
	Orphaned    uint64 `json:"orphaned"`
	Name        string `json:"name"`
	Alive       bool   `json:"alive"`
}

func producersOf(q *shm.Queue) (producers, error) {
	v := producers{Queue: q.Name(), Producers: []producer{}}
	list, err := q.Participants()
	for _, p := range list {
		if p.Producer {
			v.Producers = append(v.Producers, producer{p.PID, p.Role.String(), p.Offered, p.Packets, p.Refused, p.Overwrote, p.Truncated, p.Orphaned, p.Name, p.Alive})
		}
	}
	return v, err
}

func showProducers(s *interp.Session, v producers) {
	s.Printf("%7s %-9s %12s %12s %12s %9s %9s %9s  %s\n", "pid", "program", "offered", "inserted", "full", "overwrote", "truncated", "orphaned", "name")
	for _, p := range v.Producers {
		s.Printf("%7d %-9s %12d %12d %12d %9d %9d %9d  %s\n", p.PID, p.Program, p.Offered, p.Inserted, p.Full, p.Overwritten, p.Truncated, p.Orphaned, label(p.Name, p.Alive))
	}
}

// label returns the name of a participant, marked if its process has ended.
func label(name string, alive bool) string {
	if !alive {
		return interp.Printable(name) + " (ended)"
	}
	return interp.Printable(name)
}
