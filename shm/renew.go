// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// ErrGone says that the queue's name leads elsewhere or nowhere: whoever opens the queue
// now does not find what is put in.
var ErrGone = errors.New("file is gone")

// renounceByte of a corrupt file is locked by whoever takes its name away.
const renounceByte = participantSlots

// Intact is nil as long as others find this queue under its name and it can be used.
// Otherwise it is ErrGone or ErrCorrupt, and says what has happened. It costs some system
// calls, a few microseconds.
func (q *Queue) Intact() error {
	return q.with(func(*member) error { return q.intact() })
}

func (q *Queue) intact() error {
	if !named(q.fd, q.path) {
		var st unix.Stat_t
		if unix.Lstat(q.path, &st) != nil {
			return fmt.Errorf("%w: it was removed", ErrGone)
		}
		return fmt.Errorf("%w: another one has its name", ErrGone)
	}
	err := ours(q.fd)
	var slots, slotSize int
	if err == nil {
		slots, slotSize, err = check(q.fd)
	}
	switch {
	case err == nil && (uint64(slots) != q.m.slots || uint64(slotSize) != q.m.stride):
		return fmt.Errorf("%w: its header says %d slots of %d bytes", ErrCorrupt, slots, slotSize)
	case err == nil || errors.Is(err, ErrCorrupt):
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Renew opens the queue of the same name anew, for one that is not Intact: what has the
// name now, if that is a queue, or one that is made with the sizes and the mode of the old
// one. The old one stays open: packets may wait in it. A corrupt file loses its name, whoever
// uses it; that is for ethertap alone. Errors are those of Open under Repair.
func (q *Queue) Renew() (*Queue, error) {
	overwrite := false
	err := q.with(func(*member) error {
		if err := q.renounce(); err != nil {
			return err
		}
		return q.guarded(func(b *member) error { // of a file that was truncated nothing is known
			overwrite = b.h.mode.Load()&modeOverwrite != 0
			return nil
		})
	})
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return nil, err
	}
	again, err := Open(q.name, Options{
		Slots: int(q.m.slots), SlotSize: int(q.m.stride),
		Role: q.role, Name: q.label, Repair: true, Logf: q.logf, dir: q.dir,
	})
	if err != nil || !overwrite {
		return again, err
	}
	if err := again.SetOverwrite(true); err != nil {
		return nil, errors.Join(err, again.Close())
	}
	return again, nil
}

// renounce takes the name away from a file that is corrupt. Of several who do so one gets
// the lock, and each looks again when it has it; so no other file loses its name.
func (q *Queue) renounce() error {
	if err := q.intact(); !errors.Is(err, ErrCorrupt) {
		return nil
	}
	if ok, err := tryLock(q.fd, unix.F_WRLCK, renounceByte); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%w, who replaces it", ErrInUse)
	}
	defer setLock(q.fd, unix.F_UNLCK, renounceByte)
	if !named(q.fd, q.path) {
		return nil
	}
	if err := unix.Unlink(q.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// Backlog is how many packets wait, by the counters alone: without a look at the slots, and
// as exact as figures can be that others change meanwhile.
func (q *Queue) Backlog() (n uint64, err error) {
	err = q.with(func(b *member) error {
		var in, out uint64
		for id := uint16(1); id < participantSlots; id++ {
			e := b.m.participant(id)
			out += e.retrieved.get() + e.discarded.get() + e.overwritten.get() + e.lost.get()
			in += e.stored.get()
		}
		n = min(max(in, out)-out, b.m.slots)
		return nil
	})
	return n, err
}

// Wrote says whether a record is one that this producer has put in. It may be asked after
// Close, and not while Put runs.
func (p *Producer) Wrote(r *Record) bool {
	return r.Producer == p.id && r.Seq > p.first && r.Seq <= p.offered
}
