// SPDX-License-Identifier: BSD-3-Clause

package shm

import "time"

// bellWait is the longest sleep at a stretch: what a producer killed between publishing
// and ringing costs.
const bellWait = 50 * time.Millisecond

// asleep announces that this participant is about to sleep. Look for packets once more
// after it, before waiting.
func (b *member) asleep() { b.h.sleepers[b.id/64].Or(1 << (b.id % 64)) }

func (b *member) awake() { b.h.sleepers[b.id/64].And(^uint64(1 << (b.id % 64))) }

// wanted says that somebody sleeps or is about to: then post. Asked once a batch, after
// publishing: the compare-and-swap that published comes before these loads for everyone,
// as the sleeper's bit comes before its last look; so one of the two sees the other.
func (h *header) wanted() bool { return h.sleepers[0].Load()|h.sleepers[1].Load() != 0 }

// post wakes a sleeper that has no token: sem_post, except that tokens never outnumber the sleepers.
func (b *member) post() {
	s := &b.h.bell
	for range 64 {
		d := s.data.Load()
		if int(uint32(d)) >= sleepersSet(b.h) {
			return
		}
		if s.data.CompareAndSwap(d, d+1) {
			s.wake(1)
			return
		}
	}
}

// wait is sem_timedwait, except that it may return early, like any wait on a futex.
func (b *member) wait(d time.Duration) error {
	s := &b.h.bell
	const waiter = 1 << 32
	if s.take(0) {
		return nil
	}
	s.data.Add(waiter)
	err := s.sleep(d)
	if !s.take(waiter) {
		s.data.Add(^uint64(waiter - 1)) // minus one waiter
	}
	return err
}

// take takes a token, together with minus of the upper half, if there is one.
func (s *semaphore) take(minus uint64) bool {
	for range 64 {
		d := s.data.Load()
		if uint32(d) == 0 {
			return false
		}
		if s.data.CompareAndSwap(d, d-1-minus) {
			return true
		}
	}
	return false
}
