// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"time"

	"ethertap/shm"
	"ethertap/tests/bench/queue/vyukov"
)

// errStop says that a packet told to end.
var errStop = errors.New("stop")

// warm is how many packets go through before the clock runs, where a single thread is
// measured: a few laps, after which the slots are in the cache as far as they fit.
const warm = 4 * slots

// nap bounds a sleep of a consumer.
const nap = 20 * time.Millisecond

// ours is the TAP queue.
type ours struct{ q *shm.Queue }

func (o ours) Close() error { return o.q.Close() }

type ourProducer struct {
	*shm.Producer
	recs []shm.Record
}

func records(l load) []shm.Record {
	recs, data := make([]shm.Record, l.batch), make([]byte, l.size)
	for i := range recs {
		recs[i].Data = data
	}
	return recs
}

func (o ours) producer(l load) (producer, error) {
	p, err := o.q.NewProducer("bench")
	return &ourProducer{p, records(l)}, err
}

func (p *ourProducer) put(n, size int) error {
	for i := range p.recs {
		p.recs[i].Data = p.recs[i].Data[:size]
	}
	var b breath
	for n > 0 {
		k := p.Put(p.recs[:min(n, len(p.recs))])
		if k == 0 {
			if p.Err() != nil {
				return p.Err()
			}
			b.taken()
		}
		n -= k
	}
	return nil
}

type ourConsumer struct {
	*shm.Consumer
	load
	buf []byte
	put func(*shm.Record) error
}

func (o ours) consumer(l load) (consumer, error) {
	c, err := o.q.NewConsumer("bench")
	x := &ourConsumer{Consumer: c, load: l, buf: make([]byte, slotSize)}
	x.put = func(r *shm.Record) error {
		if copy(x.buf, r.Data); len(r.Data) == stopSize {
			return errStop
		}
		return nil
	}
	return x, err
}

func (c *ourConsumer) take(n int) error {
	var b breath
	for n > 0 {
		k, err := c.some(n)
		if err == errStop {
			return nil
		}
		if err != nil {
			return err
		}
		if n -= k; k == 0 {
			if !c.wait {
				b.taken()
			} else if _, err := c.Wait(nap); err != nil {
				return err
			}
		}
	}
	return nil
}

// some takes what one call takes.
func (c *ourConsumer) some(n int) (int, error) {
	if c.batch > 1 {
		return c.Drain(min(n, c.batch), c.put)
	}
	r, ok, err := c.Get(c.buf)
	if !ok {
		return 0, err
	}
	if len(r.Data) == stopSize {
		return 1, errStop
	}
	return 1, nil
}

// alone makes the calls in a loop of its own: so small ones are not to be measured
// through an interface.
func (o ours) alone(l load) (float64, error) {
	p, err := o.q.NewProducer("bench")
	if err != nil {
		return 0, err
	}
	defer p.Close()
	c, err := o.q.NewConsumer("bench")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	recs, buf := records(l), make([]byte, slotSize)
	copyOut := func(r *shm.Record) error { copy(buf, r.Data); return nil }
	var start time.Time
	for n := -warm; n < l.packets; n += l.batch {
		if n == 0 {
			start = time.Now()
		}
		if p.Put(recs) != l.batch {
			return 0, errors.Join(errors.New("a packet was refused"), p.Err())
		}
		if l.batch == 1 {
			if _, ok, err := c.Get(buf); !ok {
				return 0, errors.Join(errors.New("a packet is missing"), err)
			}
		} else if k, err := c.Drain(l.batch, copyOut); k != l.batch {
			return 0, errors.Join(errors.New("packets are missing"), err)
		}
	}
	return perPacket(start, l.packets), nil
}

// plain is the plain ring.
type plain struct{ *vyukov.Ring }

func openPlain(name string) (ring, error) {
	r, err := vyukov.Open("/dev/shm/"+name, slots, slotSize)
	return plain{r}, err
}

// plainEnd is either end of it. Closing it leaves the ring as it is.
type plainEnd struct {
	*vyukov.Ring
	load
	buf []byte
}

func (plainEnd) Close() error { return nil }

func (r plain) producer(l load) (producer, error) {
	return plainEnd{r.Ring, l, make([]byte, l.size)}, nil
}

func (r plain) consumer(l load) (consumer, error) {
	return plainEnd{r.Ring, l, make([]byte, slotSize)}, nil
}

// put posts once a batch, if consumers wait at all.
func (p plainEnd) put(n, size int) error {
	var b breath
	for n > 0 {
		for k := min(n, p.batch); k > 0; {
			if p.Put(p.buf[:size]) {
				n, k = n-1, k-1
				continue
			}
			if p.wait {
				p.Post()
			}
			b.taken()
		}
		if p.wait {
			p.Post()
		}
	}
	return nil
}

func (c plainEnd) take(n int) error {
	var b breath
	for n > 0 {
		switch k := c.Get(c.buf); {
		case k == stopSize:
			return nil
		case k >= 0:
			n--
		case c.wait:
			c.Wait(nap)
		default:
			b.taken()
		}
	}
	return nil
}

func (r plain) alone(l load) (float64, error) {
	data, buf := make([]byte, l.size), make([]byte, slotSize)
	var start time.Time
	for n := -warm; n < l.packets; n += l.batch {
		if n == 0 {
			start = time.Now()
		}
		for range l.batch {
			if !r.Put(data) {
				return 0, errors.New("a packet was refused")
			}
		}
		for range l.batch {
			if r.Get(buf) != l.size {
				return 0, errors.New("a packet is missing")
			}
		}
	}
	return perPacket(start, l.packets), nil
}
