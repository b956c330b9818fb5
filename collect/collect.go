// Package collect drains a packet queue into a capture stream: the loop, the
// stream's format, where it goes, its limits, and the display of progress.
//
//	shm.Consumer → Collector.take → Encoder → Output.buf → Output.Flush → file, pipe
//
// It knows no options, signals or pid files, creates no queue and decides
// nothing about what is captured: that is done where the packets are tapped.
package collect

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ethertap/shm"
)

const (
	// batch is how many packets are taken between two looks at the clock. They
	// share a timestamp: 64 packets are taken in about 10 µs.
	batch = 64

	// Packets closer to each other than fastGap are fast: then the loop naps
	// instead of waiting at the queue's door, so that the producer need not
	// ring the bell for each packet. A nap must be short against the time in
	// which a queue of the usual size fills: 4096 slots at 4 million a second
	// are 1 ms.
	fastGap = 50 * time.Microsecond
	nap     = 200 * time.Microsecond

	// maxHold is how long a packet may stay in the buffer while others come fast.
	maxHold = 10 * time.Millisecond

	// idleWait is how long the loop sleeps before it looks whether the reader
	// is gone.
	idleWait = 100 * time.Millisecond
)

// Limits end a stream; 0 is no limit.
type Limits struct {
	// Packets is exact: so many are taken from the queue, and no more.
	Packets uint64
	// Bytes is the length of the stream, headers included, and never exceeded.
	// How long the next packet is shows only once it is taken, and then nobody
	// else can have it. So the first packet that does not fit ends the stream
	// and is counted as not written. It is not less than HeaderSize.
	Bytes uint64
}

// errLimit ends the loop as wished.
var errLimit = errors.New("limit reached")

// Collector is one collecting run.
type Collector struct {
	consumer *shm.Consumer
	out      *Output
	limits   Limits
	put      func(*shm.Record) error // c.write, bound once

	now   int64  // timestamp of the batch, ns since the epoch
	taken uint64 // packets appended to out

	// What others may see while Run works, written by Run once a batch.
	packets, bytes, unwritten atomic.Uint64
}

// New prepares a run from the consumer into the output, both of which Run uses
// alone.
func New(consumer *shm.Consumer, out *Output, limits Limits) *Collector {
	c := &Collector{consumer: consumer, out: out, limits: limits}
	c.put = c.write
	c.publish()
	return c
}

// Counts tells, at any time and from any goroutine, how many packets went into
// the stream, the length of the stream in bytes, and how many packets (0 or 1)
// were taken from the queue but not written since they passed the byte limit.
func (c *Collector) Counts() (packets, bytes, unwritten uint64) {
	return c.packets.Load(), c.bytes.Load(), c.unwritten.Load()
}

// Run collects until a limit is reached, the context is done, or the reader of
// the stream is gone: all of these are good ends, and the stream is flushed
// and closed. The error of a bad one says how many packets are safe when
// writing failed, or what is wrong with the queue.
func (c *Collector) Run(ctx context.Context) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.out.HurryUp()
		c.consumer.Wake()
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken // the consumer may be closed after Run
		}
	}()
	err := c.loop(ctx)
	if errors.Is(err, errLimit) {
		err = nil
	}
	switch cerr := c.out.Close(); {
	case err == nil:
		err = cerr
	case cerr != nil && !errors.Is(err, cerr):
		err = fmt.Errorf("%w; %w", err, cerr)
	}
	c.taken = c.out.Packets()
	c.publish()
	if errors.Is(err, ErrReaderGone) {
		return nil
	}
	return err
}

// loop takes packets as long as there are any. When none is left it writes
// what it has, at once if packets come slowly, and sleeps.
func (c *Collector) loop(ctx context.Context) error {
	if err := c.out.Flush(); err != nil { // the header: a reader on a pipe waits for it
		return err
	}
	if !c.roomForAny() {
		return errLimit
	}
	flushed := time.Now()
	slept, fresh := flushed, 0 // begin of the last sleep, packets taken since
	for ctx.Err() == nil {
		n, err := c.take()
		fresh += n
		if err != nil {
			return err
		}
		if n == batch && !c.out.Full() {
			continue
		}
		now := time.Now()
		fast := fresh > 0 && now.Sub(slept) < time.Duration(fresh)*fastGap
		if c.out.Full() || !fast || now.Sub(flushed) >= maxHold {
			if err := c.out.Flush(); err != nil {
				return err
			}
			flushed = now
		}
		if n == batch {
			continue
		}
		slept, fresh = now, 0
		if fast {
			time.Sleep(nap)
			continue
		}
		more, err := c.consumer.Wait(idleWait)
		if err != nil {
			return err
		}
		if !more && c.out.ReaderGone() {
			return ErrReaderGone
		}
	}
	return nil
}

// take moves up to a batch of packets from the queue to the output's buffer.
func (c *Collector) take() (int, error) {
	most := uint64(batch)
	if c.limits.Packets > 0 {
		most = min(most, c.limits.Packets-c.taken)
	}
	c.now = following(c.now, time.Now().UnixNano())
	n, err := c.consumer.Drain(int(most), c.put)
	c.publish()
	if err == nil && c.limits.Packets > 0 && c.taken >= c.limits.Packets {
		err = errLimit
	}
	return n, err
}

func (c *Collector) write(r *shm.Record) error {
	if !c.out.Room(c.out.enc.Size(r), c.limits.Bytes) {
		c.unwritten.Add(1)
		return errLimit
	}
	c.out.Append(c.now, r)
	c.taken++
	if !c.roomForAny() {
		return errLimit
	}
	return nil
}

// roomForAny tells whether the byte limit lets in a packet at all, were it
// empty. If not, none is taken in vain.
func (c *Collector) roomForAny() bool {
	return c.out.Room(recordHeader, c.limits.Bytes)
}

func (c *Collector) publish() {
	c.packets.Store(c.taken)
	c.bytes.Store(c.out.Bytes())
}

// following keeps timestamps from going back by the little a clock is corrected
// by, as readers expect. A clock that was set back is followed: from then on
// it is right.
func following(last, now int64) int64 {
	if now < last && last-now < int64(time.Second) {
		return last
	}
	return now
}
