// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"time"

	"ethertap/shm"
)

// Input is where the packets of a run come from. Source, a queue, is one; that of collect/stream is
// another. The Collector calls the methods from one goroutine, but for Wake and Refused.
type Input interface {
	// Drain takes up to max packets and calls fn for each, in their order. A record is valid until
	// fn returns. It returns how many packets it took, the one that fn failed on included, and stops
	// at an error of fn, which it returns.
	Drain(max int, fn func(*shm.Record) error) (n int, err error)
	// Wait sleeps until a packet may be there, Wake is called, or the timeout has passed. It returns
	// whether another look is worth while.
	Wait(timeout time.Duration) (again bool, err error)
	// Wake ends a Wait, or the next one at once.
	Wake()
	// Interfaces returns the interfaces of the packets, by the number that a record has. The counts of
	// refused packets never decrease.
	Interfaces() []shm.Interface
	// Written says that the output has written all packets that Drain has given so far.
	Written()
	// Refused returns how many packets the queues had no room for since the run began.
	Refused() uint64
}
