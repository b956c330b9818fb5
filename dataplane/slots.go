// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"ethertap/dataplane/port"
	"ethertap/shm"
)

// warnSlotsLocked warns if the slots of a queue are too small for the frames of an interface, so
// that they are cut, and says how to fix that.
func (e *Engine) warnSlotsLocked(q *shm.Queue, p *enginePort) {
	f := p.Facts()
	longest := f.MTU + port.Header
	if q == nil || longest <= q.Room() || f.Elastic { // its MTU says nothing of its frames
		return
	}
	size := shm.SlotFor(longest)
	if tap := e.config.Queue; tap != nil && q.Name() == tap.Name() {
		e.config.Logf("queue %s: a slot holds %d bytes of a frame, and port %s has MTU %d: longer frames are cut; to record them whole, delete the queue (rpclsh -q %s -e tap.queue.delete) and start with --queue-slot-size %d",
			q.Name(), q.Room(), f.Name, f.MTU, q.Name(), size)
		return
	}
	e.config.Logf("queue %s: a slot holds %d bytes of a frame, and port %s has MTU %d: longer frames are cut; to record them whole, remove the queue, delete it, and make it with 0 %d \"%s\" pqueue.create",
		q.Name(), q.Room(), f.Name, f.MTU, size, q.Name())
}

// warnAllSlotsLocked warns of all queues whose slots are too small for the frames of an interface.
func (e *Engine) warnAllSlotsLocked(p *enginePort) {
	for _, o := range e.outlets {
		e.warnSlotsLocked(o.queue.Load(), p)
	}
}
