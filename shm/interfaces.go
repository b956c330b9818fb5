// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"errors"
	"fmt"
	"time"
)

// Interface names the interface of a record's index.
type Interface struct {
	Index   int    // 0 to 63
	Name    string // up to NameSize bytes
	MAC     [6]byte
	Taps    Taps   // what of it goes into the queue
	Refused uint64 // packets refused because the queue was full, or written too slowly; not set by SetInterfaces
}

// Taps is what of an interface goes into a queue, as the program that fills it says.
// What it says holds for as long as it has a producer.
type Taps uint32

// The bits of Taps.
const (
	TapRX      Taps = 1 << iota // received frames
	TapTX                       // sent frames
	TapHosts                    // of these, only frames from and to some hosts (a machash)
	TapFurther                  // the queue is a further one, of the words pqueue.*; otherwise that of tap.*
	TapStated                   // the program has said so; without this bit nothing is known
	TapFilter                   // only frames that a filter takes
	TapStamped                  // received frames have the time stamps of the device, converted to the wall clock, but for some to which it gave none
)

// On says whether anything of the interface goes into the queue, as far as is known.
func (t Taps) On() bool { return t&(TapRX|TapTX) != 0 }

// NameSize is the room for the name of an interface, in bytes.
const NameSize = 32

// interfacePatience is how long a writer of the table is waited for. One that was killed
// or stopped in the middle is then passed over: what it wrote is written again.
const interfacePatience = 100 * time.Millisecond

var errKeepsChanging = errors.New("interface table: somebody keeps changing it")

// SetInterfaces replaces the table. The counters of an interface go on when its index and
// its name or its address stay the same, and start at 0 otherwise.
func (q *Queue) SetInterfaces(list []Interface) error {
	for _, i := range list {
		if i.Index < 0 || i.Index >= maxInterfaces {
			return fmt.Errorf("queue %s: interface %s: index %d: must be 0 to %d", q.name, i.Name, i.Index, maxInterfaces-1)
		}
		if len(i.Name) > NameSize {
			return fmt.Errorf("queue %s: interface %s: name longer than %d bytes", q.name, i.Name, NameSize)
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
			e.name = [NameSize]byte{}
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

// SetTaps changes what is said of the taps of the interfaces 0, 1, … that are in the table.
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

// lockInterfaces makes the lock's number odd by a step of its own.
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

// Interfaces reads the table, by index. A table that is being written is waited for; one
// whose writer died in the middle is given as it is.
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
