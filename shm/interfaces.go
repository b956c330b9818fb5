package shm

import (
	"errors"
	"fmt"
	"time"
)

// Interface is an interface that records refer to by its index.
type Interface struct {
	Index   int    // 0 to 63
	Name    string // up to 32 bytes
	MAC     [6]byte
	Taps    Taps   // which of its packets go into the queue
	Refused uint64 // packets refused because the queue was full or they were written too slowly; SetInterfaces ignores it
}

// Taps says which packets of an interface go into a queue. The program that fills the queue sets
// it, and it is valid as long as the queue has a producer.
type Taps uint32

// These are the bits of Taps.
const (
	TapRX      Taps = 1 << iota // received frames
	TapTX                       // sent frames
	TapHosts                    // only those from or to some hosts (a machash)
	TapFurther                  // the queue is a further one (pqueue.*), not the TAP queue
	TapStated                   // the program has set Taps; without this bit the others mean nothing
)

// interfacePatience is how long a writer of the table is waited for. A writer that was killed or
// stopped is then ignored; what it wrote is written again.
const interfacePatience = 100 * time.Millisecond

var errKeepsChanging = errors.New("interface table: somebody keeps changing it")

// SetInterfaces replaces the table. The counters of an interface go on if its index and either
// its name or its address stay the same, and start at 0 otherwise.
func (q *Queue) SetInterfaces(list []Interface) error {
	for _, i := range list {
		if i.Index < 0 || i.Index >= maxInterfaces {
			return fmt.Errorf("queue %s: interface %s: index %d: must be 0 to %d", q.name, i.Name, i.Index, maxInterfaces-1)
		}
		if len(i.Name) > 32 {
			return fmt.Errorf("queue %s: interface %s: name longer than 32 bytes", q.name, i.Name)
		}
	}
	return q.with(func(b *member) error {
		if !b.lockInterfaces() {
			return errKeepsChanging
		}
		var seen [maxInterfaces]bool
		for _, i := range list {
			e := b.m.iface(i.Index)
			seen[i.Index] = true
			if e.used == 0 || printable(e.name[:]) != i.Name && e.mac != i.MAC {
				e.refused.Store(0)
			}
			e.name = [32]byte{}
			copy(e.name[:], i.Name)
			e.mac = i.MAC
			e.taps = uint32(i.Taps)
			e.index = uint32(i.Index)
			e.used = 1
		}
		for n, ok := range seen {
			if !ok {
				b.m.iface(n).used = 0
			}
		}
		b.h.interfaceLock.Add(1)
		return nil
	})
}

// SetTaps changes the taps of the interfaces 0, 1, … that are in the table.
func (q *Queue) SetTaps(taps ...Taps) error {
	return q.with(func(b *member) error {
		if !b.lockInterfaces() {
			return errKeepsChanging
		}
		for n, t := range taps[:min(len(taps), maxInterfaces)] {
			if e := b.m.iface(n); e.used != 0 {
				e.taps = uint32(t)
			}
		}
		b.h.interfaceLock.Add(1)
		return nil
	})
}

// lockInterfaces makes the lock's number odd, if nobody else does so first.
func (b *member) lockInterfaces() bool {
	lock := &b.h.interfaceLock
	deadline := time.Now().Add(interfacePatience)
	for {
		v := lock.Load()
		if v&1 == 0 {
			if lock.CompareAndSwap(v, v+1) {
				return true
			}
		} else if time.Now().After(deadline) {
			if lock.CompareAndSwap(v, v+2) {
				return true
			}
		}
		if time.Now().After(deadline.Add(interfacePatience)) {
			return false
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// Interfaces returns the table, ordered by index. It waits for a writer of the table; if the
// writer has died, it returns the table as it is.
func (q *Queue) Interfaces() ([]Interface, error) {
	var list []Interface
	err := q.with(func(b *member) error {
		lock := &b.h.interfaceLock
		deadline := time.Now().Add(interfacePatience)
		for {
			v := lock.Load()
			list = list[:0]
			for n := range maxInterfaces {
				if e := b.m.iface(n); e.used != 0 {
					list = append(list, Interface{Index: n, Name: printable(e.name[:]), MAC: e.mac, Taps: Taps(e.taps), Refused: e.refused.Load()})
				}
			}
			if v&1 == 0 && lock.Load() == v || time.Now().After(deadline) {
				return nil
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
	return list, err
}
