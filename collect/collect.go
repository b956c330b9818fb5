// SPDX-License-Identifier: BSD-3-Clause

// Package collect drains a packet queue into capture streams: the loop, the format and
// destination of the streams, their limits, and the display of progress.
//
//	Source (Input) → Collector.take → filter → Output: Files → stream, encoder → file, pipe
//
// A Collector is the loop. An Input is where packets come from: a Source is the queue, which may come
// and go. An Output is where the packets go: Files are the streams of a run, one after the other (rotation, names, ring, floor). A
// stream is one of them, and an encoder its format.
//
// The package knows no options, signals or pid files, and creates no queue.
package collect

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ethertap/lib/filter"
	"ethertap/shm"
)

const (
	// batch is how many packets are taken before the loop looks what else is due. 64 packets are
	// taken in about 10 µs.
	batch = 64

	// Packets less than fastGap apart come fast. Then the loop naps instead of waiting for the
	// doorbell of the queue, so that the producer need not ring for each packet. A nap must be
	// short compared to the time in which a queue of the usual size fills: 4096 slots at 4
	// million packets a second are 1 ms.
	fastGap = 50 * time.Microsecond
	nap     = 200 * time.Microsecond

	// maxHold is how long a packet may stay in the buffer while others come fast.
	maxHold = 10 * time.Millisecond

	// idleWait is how long the loop sleeps before it checks whether the reader is gone, and how
	// often it reads the queue's table of interfaces.
	idleWait = 100 * time.Millisecond

	// writtenEvery is how often the input is told at least that packets are written.
	writtenEvery = time.Second
)

// Run says what to collect, and how much.
type Run struct {
	Source Input
	Output Output
	// Filter chooses packets; nil takes all. The others are taken from the queue too, and
	// dropped.
	Filter *filter.Filter
	// Packets ends the run; 0 means no limit. The limit is exact: so many packets are written,
	// and no more are taken from the queue. The limit of bytes belongs to the output. The length of a
	// packet is known only after it is taken, and then no other collector can have it; so the
	// first packet that does not fit ends the run and is counted as not written.
	Packets uint64
	// Received stamps packets with the time of reception, not with the time of writing.
	Received bool
}

// ErrLimit ends a run without an error.
var ErrLimit = errors.New("limit reached")

// Collector is one collecting run.
type Collector struct {
	r   Run
	put func(*shm.Record) error // c.write as a value, made once

	now    time.Time // time of the batch
	stamps stamper
	looked time.Time // when the table of interfaces was read
	reopen atomic.Bool

	// Collect writes these once a batch; others may read them meanwhile.
	packets, bytes, truncated, late, filtered, unwritten atomic.Uint64
	oldest                                               atomic.Int64
}

// Tally counts the packets of a run.
type Tally struct {
	Packets   uint64        // written to the streams
	Bytes     uint64        // length of the streams
	Truncated uint64        // of Packets: those that a slot of the queue could not hold whole
	Late      uint64        // of Packets: those with the time of writing, more than a second after their reception
	Oldest    time.Duration // the longest of these delays
	Filtered  uint64        // taken from the queue and dropped by the filter
	Unwritten uint64        // taken but not written, because it did not fit below the limit of bytes: 0 or 1
}

// New prepares a run. While Collect runs, nobody else may use its source and output.
func New(r Run) *Collector {
	c := &Collector{r: r, now: time.Now(), stamps: stamper{received: r.Received}}
	c.put = c.write
	c.publish()
	return c
}

// Tally returns the counts so far. It may be called at any time, from any goroutine.
func (c *Collector) Tally() Tally {
	return Tally{
		Packets: c.packets.Load(), Bytes: c.bytes.Load(), Truncated: c.truncated.Load(),
		Late: c.late.Load(), Oldest: time.Duration(c.oldest.Load()),
		Filtered: c.filtered.Load(), Unwritten: c.unwritten.Load(),
	}
}

// Reopen asks for the next file, or for a new file of the same name if the file was moved away.
// It may be called from any goroutine.
func (c *Collector) Reopen() {
	c.reopen.Store(true)
	c.r.Source.Wake()
}

// Collect runs until a limit is reached, the context is done, or the reader of the stream is
// gone. In these cases it flushes and closes the stream and returns nil. Otherwise the error says
// how many packets are safe if writing failed, or what is wrong with the queue.
func (c *Collector) Collect(ctx context.Context) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.r.Output.HurryUp()
		c.r.Source.Wake()
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken // after that the source may be closed
		}
	}()
	err := c.loop(ctx)
	if errors.Is(err, ErrLimit) {
		err = nil
	}
	c.describe()
	switch cerr := c.r.Output.Close(time.Now()); {
	case err == nil && cerr == nil:
		c.r.Source.Written()
	case err == nil:
		err = cerr
	case cerr != nil && !errors.Is(err, cerr):
		err = fmt.Errorf("%w; %w", err, cerr)
	}
	c.publish()
	if errors.Is(err, errReaderGone) {
		return nil
	}
	return err
}

// loop takes packets as long as there are any. When none is left, it writes its buffer (at once,
// if packets come slowly) and sleeps.
func (c *Collector) loop(ctx context.Context) error {
	out := c.r.Output
	if err := c.flush(); err != nil { // write the header, since a reader of a pipe waits for it
		return err
	}
	if !out.Room() {
		return ErrLimit
	}
	flushed := time.Now()
	slept, fresh := flushed, 0 // beginning of the last sleep, packets taken since
	for ctx.Err() == nil {
		n, more, err := c.take()
		fresh += n
		if err != nil {
			return err
		}
		if more && !out.Full() {
			continue
		}
		now := time.Now()
		fast := fresh > 0 && now.Sub(slept) < time.Duration(fresh)*fastGap
		due := !out.Hold() && (!fast || now.Sub(flushed) >= maxHold)
		if due || out.Full() || now.Sub(flushed) >= writtenEvery {
			if err := c.flush(); err != nil {
				return err
			}
			flushed = now
		}
		if more {
			continue
		}
		slept, fresh = now, 0
		if fast {
			time.Sleep(nap)
			continue
		}
		again, err := c.r.Source.Wait(idleWait)
		c.looked = time.Time{} // reads the table before a packet that comes alone, so that the packet is written with the drops before it
		if err != nil {
			return err
		}
		if !again && out.ReaderGone() {
			return errReaderGone
		}
	}
	return nil
}

// flush writes the buffer, and tells the input.
func (c *Collector) flush() error {
	err := c.r.Output.Flush()
	if err == nil {
		c.r.Source.Written()
	}
	return err
}

// take moves up to a batch of packets from the queue to the stream. more says that it was as many as it
// asked for, so that others may wait. Near the limit of packets, that is less than a batch.
func (c *Collector) take() (n int, more bool, err error) {
	c.now = time.Now()
	c.stamps.readClock(c.now)
	if since := c.now.Sub(c.looked); since < 0 || since >= idleWait {
		c.describe()
	}
	if err := c.r.Output.Due(c.now); err != nil {
		return 0, false, err
	}
	if c.reopen.Swap(false) {
		if err := c.r.Output.Reopen(c.now); err != nil {
			return 0, false, err
		}
	}
	most := uint64(batch)
	if c.r.Packets > 0 {
		most = min(most, c.r.Packets-c.packets.Load())
	}
	n, err = c.r.Source.Drain(int(most), c.put)
	c.publish()
	if err == nil && c.r.Packets > 0 && c.packets.Load() >= c.r.Packets {
		err = ErrLimit
	}
	return n, n == int(most), err
}

// describe reads the queue's table of interfaces, if the format can use it.
func (c *Collector) describe() {
	if !c.r.Output.Describes() {
		return
	}
	c.looked = c.now
	c.r.Output.Describe(c.r.Source.Interfaces())
}

func (c *Collector) write(r *shm.Record) error {
	if c.r.Filter != nil && !c.r.Filter.Match(r.Data, r.OrigLen, r.Direction == shm.TX) {
		c.filtered.Add(1)
		c.r.Output.Skipped(r)
		return nil
	}
	if !c.r.Output.Knows(r) && c.looked != c.now { // once a batch
		c.describe()
	}
	if err := c.r.Output.Append(c.now, c.stamps.stamp(r), r); err != nil {
		c.unwritten.Add(1)
		return err
	}
	if int(r.OrigLen) > len(r.Data) {
		c.truncated.Add(1)
	}
	if !c.r.Output.Room() {
		return ErrLimit
	}
	return nil
}

func (c *Collector) publish() {
	packets, bytes := c.r.Output.Counts()
	c.packets.Store(packets)
	c.bytes.Store(bytes)
	c.late.Store(c.stamps.late)
	c.oldest.Store(int64(c.stamps.oldest))
}
