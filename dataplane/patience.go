// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// A capture that is read has no hurry. While all ports are files, a thread that finds a queue full waits for its reader, so that
// no packet is lost. It waits as long as another process has the queue open to read it. Readers in this process, the words at
// its prompt, are waited for as long as they take packets: the session that has read some may never read again. The first one
// may be late by as much.

const (
	// roomNap is how long the thread sleeps before it offers packets again.
	roomNap = 100 * time.Microsecond
	// lookForReaders is how often the thread looks whether a full queue is read.
	lookForReaders = 5 * time.Millisecond
	// ownReaders is for how long a reader in this process may take nothing.
	ownReaders = time.Second
)

// reading is what a thread knows of the readers of a queue that was full.
type reading struct {
	looked time.Time // when it looked last
	yes    bool      // there was a reader
	taken  uint64    // packets that were taken out of the queue until then
	last   time.Time // when that number had changed
}

// putPatiently puts the records of an outlet into its queue, and waits for room as long as somebody reads the queue. It
// returns how many were stored; the queue has counted the others as refused.
func (w *worker) putPatiently(out *outlet) (stored int) {
	lane := &out.lanes[w.queue]
	defer w.waits.Store(false)
	for rest := lane.records; ; {
		n, left := lane.producer.Offer(rest)
		stored += n
		if rest = left; len(rest) == 0 {
			return stored
		}
		if !w.mayWait(out) || !lane.reading.look(out.queue.Load()) {
			return stored + lane.producer.Put(rest)
		}
		w.waits.Store(true)
		nap := unix.NsecToTimespec(int64(roomNap))
		_ = unix.Nanosleep(&nap, nil)
	}
}

// mayWait says whether the thread may wait for room: not while it has to end, to use another queue, or to feed this one no more.
func (w *worker) mayWait(out *outlet) bool {
	return !w.stopping.Load() && w.errand.Load() == nil && w.plan.Load().outlets[out.number] == out && out.lanes[w.queue].producer.Err() == nil
}

// look says whether somebody reads a queue.
func (r *reading) look(q *shm.Queue) bool {
	now := time.Now()
	if now.Sub(r.looked) < lookForReaders {
		return r.yes
	}
	r.looked, r.yes = now, false
	if r.last.IsZero() {
		r.last = now // it waits for the first reader as long
	}
	list, err := q.Participants()
	if err != nil {
		return false
	}
	for _, p := range list {
		if p.Consumer && p.Alive && p.PID != os.Getpid() {
			r.yes = true
			return true
		}
	}
	s, err := q.Status()
	if err != nil {
		return false
	}
	if s.Retrieved != r.taken {
		r.taken, r.last = s.Retrieved, now
	}
	r.yes = now.Sub(r.last) < ownReaders
	return r.yes
}
