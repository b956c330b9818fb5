// SPDX-License-Identifier: BSD-3-Clause

package wire

import (
	"fmt"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// Lab is the topology with generators and the sink.
type Lab struct {
	*netlab.Bridge
	Sink *Sink
	t    testing.TB
}

// NewLab makes the topology with so many queues on each link. It goes with the test.
func NewLab(t testing.TB, queues int, age bool) *Lab {
	t.Helper()
	l := &Lab{Bridge: netlab.NewBridgeWith(t, netlab.Options{Queues: queues, Promisc: true}), t: t}
	l.Sink = NewSink(t, l.Snk, netlab.K1, age)
	return l
}

// Generator makes a generator at s0.
func (l *Lab) Generator(core int, f Traffic) *Generator {
	l.t.Helper()
	return NewGenerator(l.t, l.Src, netlab.S0, core, f)
}

// AwaitTraffic sends a few frames now and then until some arrive: the device works.
func (l *Lab) AwaitTraffic(atMost time.Duration) error {
	l.t.Helper()
	probe := l.Generator(GeneratorCore, Traffic{Size: smallest, Rate: 1000, Burst: 1})
	before, err := l.Sink.Count()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(atMost); ; {
		if _, err := probe.Send(1); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		n, err := l.Sink.Count()
		if err != nil || n > before {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing arrives after %v", atMost)
		}
	}
}

// Saturate floods the device and returns how many frames a second come out.
func (l *Lab) Saturate(warm, during time.Duration, generators ...*Generator) (perSecond float64, err error) {
	for _, g := range generators {
		stop, err := g.Flood()
		if err != nil {
			return 0, err
		}
		defer func() {
			if serr := stop(); err == nil {
				err = serr
			}
		}()
	}
	time.Sleep(warm)
	before, err := l.Sink.Count()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	time.Sleep(during)
	after, err := l.Sink.Count()
	if err != nil {
		return 0, err
	}
	return float64(after-before) / time.Since(start).Seconds(), nil
}

// settle is how long the last frames may take.
const settle = 50 * time.Millisecond

// Offer sends n frames and returns at which rate it did and how many came out.
func (l *Lab) Offer(g *Generator, n int) (perSecond float64, arrived int, err error) {
	before, err := l.Sink.Count()
	if err != nil {
		return 0, 0, err
	}
	took, err := g.Send(n)
	if err != nil {
		return 0, 0, err
	}
	after, err := l.Sink.Count()
	for last := before; err == nil && after != last; {
		last = after
		time.Sleep(settle)
		after, err = l.Sink.Count()
	}
	return float64(n) / took.Seconds(), int(after - before), err
}
