// SPDX-License-Identifier: BSD-3-Clause

// Package shm is the TAP queue: a multi-producer, multi-consumer packet queue in
// POSIX shared memory that any number of processes use at once, that survives the
// SIGKILL of any of them at any instruction, and that trusts nothing it reads from
// the file. It knows slots, participants and a doorbell; it refuses to know what a
// packet means, where it came from, or who may be tapped.
//
// # The file
//
// A queue NAME is the file /dev/shm/NAME: a header, a table of participants, a
// table of interfaces, and a power-of-two number of slots of one size. layout.go
// states every field with its writer; ethertap_queue.h states the same for C.
//
// # The slot word
//
// A position counts packets since creation: slot index = position mod slots,
// lap = position div slots. Each slot has one 64-bit word, lap:45 | state:3 | owner:16.
//
//	FREE(lap) --producer--> WRITING(lap,owner) --> FULL(lap)
//	FULL(lap) --consumer--> READING(lap,owner) --> FREE(lap+1)
//	WRITING(lap,owner) --impatient consumer--> ORPHAN(lap,owner)    the writer frees it when it wakes
//	READING|ORPHAN(lap,owner) --producer--> same(lap+1,owner)       a hole: the producer goes past
//	WRITING|READING|ORPHAN(lap,dead) --anybody--> FREE(lap+1)       only if the kernel says dead
//
// Every arrow is one compare-and-swap, so claiming and owning are the same
// instruction and a kill never loses who holds what. A word never goes back, and
// the same (slot, lap, state, owner) never comes twice, so a stale compare-and-swap
// always fails. No time-out ever frees memory that somebody alive may still touch:
// a stopped writer becomes an ORPHAN and a stopped reader is walked around.
//
// A position is past for the head when its word shows it claimed or jumped, and past
// for the tail when its word shows it taken. Head and tail in the header are only
// hints, moved forward by anybody over positions that are past, never back; they may
// lag by a few positions. A hole is made in the word before the head moves over it,
// never after: otherwise a late producer could publish behind the head.
//
// A reader that is merely busy must not cost a packet: a producer goes round a
// reader's slot only when at least `margin` slots behind it are free. (Without that a
// full queue turns into holes, one for each packet taken.)
//
// Where FREE, or FULL before the head, is what one expects, the compare-and-swap comes
// without a look before: a slot's line then crosses between cores once and not twice.
//
// # Who lives
//
// Every user of the file holds a shared OFD lock on byte 0; every participant an
// exclusive OFD lock on the byte of its id, on an open file description of its own,
// because F_OFD_GETLK does not see locks of the description it asks with. The kernel
// drops the lock when the process dies, keeps it while it is stopped, and knows it
// across PID namespaces. It is asked only when a slot is in the way.
//
// # A file that is gone
//
// A file may be removed, replaced, truncated or scribbled over while it is used; who has it
// mapped does not notice. Intact asks, Renew opens what has the name now or makes it anew.
// Whoever fills the queue does that; whoever reads it takes what is in the old file and
// opens the name again when nobody puts packets in any more.
//
// # Counting
//
// Counters belong to participant ids and are never reset; totals are sums over all
// ids. Before the compare-and-swap that completes a packet its owner notes position
// and the counter's next value; whoever finds the owner dead sees from the slot's word
// whether the step happened and sets the counter right (see settle). So the totals
// add up after any number of kills:
//
//	inserted = retrieved + discarded + overwritten + lost + waiting + being read now
//
// # The doorbell
//
// A sem_t of glibc, used as a doorbell and not as a count. A consumer about to sleep
// sets its bit in the sleepers' map, looks once more, and waits at most 50 ms at a
// time. A producer looks at the map once a batch, after publishing, and posts only
// when there are more sleepers than tokens: no system call while no one sleeps. A
// killed sleeper leaves a bit, that is one superfluous token, not a drifting count.
package shm
