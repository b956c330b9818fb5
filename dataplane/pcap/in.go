// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/memory"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
	"ethertap/lib/capture"
)

// In implements port.Port. It gives the packets of a file to the engine, in their order, on queue 0. Nothing can be sent by it.
type In struct {
	*memory.Port
	path    string
	choice  choice
	options InOptions
	done    chan struct{} // closed at the end of the file

	mu     sync.Mutex // guards the rest
	cond   *sync.Cond // these have changed
	r      *capture.Reader
	state  Status
	stop   bool  // the goroutine has to end
	target int64 // where to go, in ns since the first packet; -1: nowhere
	err    error // why there are no more packets; nil: the file was read to its end

	admitted bool  // the engine was started once
	begun    bool  // there was a packet
	shift    int64 // added to the times of packets in a later round
	skip     int64 // packets before this time are left out
	round    round

	pending pending
}

// round is what was read of the file since it was begun, packets that were left out by a seek too.
type round struct {
	packets     uint64
	timed       uint64 // of these, packets that have a time
	first, last int64  // the smallest and the largest time of these
}

// add adds a packet.
func (r *round) add(at int64, untimed bool) {
	r.packets++
	if untimed {
		return
	}
	if r.timed == 0 {
		r.first, r.last = at, at
	}
	r.timed++
	r.first, r.last = min(r.first, at), max(r.last, at)
}

// length is how much later the packets of the next round come: it begins as long after this one as packets follow each other on
// the average.
func (r *round) length() int64 {
	whole, gap := r.last-r.first, int64(time.Microsecond)
	if whole < 0 {
		whole = math.MaxInt64 // more than a number can say
	}
	if r.timed > 1 {
		gap = max(whole/int64(r.timed-1), 1)
	}
	return plus(whole, gap)
}

// plus is the sum of two times, or the first or last time of all if the sum is beyond.
func plus(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

// InOptions say how a file is read.
type InOptions struct {
	Pace Pace
	Loop int // how often the file is read; 0 means once
}

// Status is how far the reading of a file is.
type Status struct {
	Packets  uint64        // given to the engine
	Bytes    uint64        // of these
	Sent     uint64        // not read: the file says that they were sent, and no interface was named
	Other    uint64        // not read: of other interfaces
	Foreign  uint64        // not read: not Ethernet
	Long     uint64        // not read: longer than the other port takes
	Cut      uint64        // given without their last bytes, which the recorder has cut off
	Late     uint64        // given more than 100 µs after they were due
	Latest   time.Duration // how late the latest was
	Round    int           // number of the reading, from 1
	Rounds   int           // how many there will be
	First    int64         // time of the first packet read, in ns since 1970
	At       int64         // that of the last one
	Consumed int64         // bytes of the file
	Size     int64         // of the file
	Pace     Pace
	Paused   bool
	Ended    bool
}

// tooLate is how late a frame counts as late.
const tooLate = 100 * time.Microsecond

// NewIn returns the port with a name.
func NewIn(name string, o InOptions) (*In, error) {
	path, c, err := split(name)
	if err != nil {
		return nil, err
	}
	p := &In{path: path, choice: c, options: o, done: make(chan struct{}), target: -1, skip: math.MinInt64}
	p.cond = sync.NewCond(&p.mu)
	p.state = Status{Pace: o.Pace, Round: 1, Rounds: max(o.Loop, 1)}
	p.Port = memory.New(name, memory.Options{Elastic: true, Timed: true, NoTX: true})
	return p, nil
}

// Facts implements port.Port.
func (p *In) Facts() port.Facts {
	f := p.Port.Facts()
	f.Driver = "pcap"
	if f.Mode == port.Memory {
		f.Mode = port.File
	}
	return f
}

// Check implements port.Port.
func (p *In) Check() error {
	st, err := os.Stat(p.path)
	switch {
	case err != nil:
		return fmt.Errorf("port %s: %w", p.Name(), err)
	case !st.Mode().IsRegular():
		return fmt.Errorf("port %s: %w", p.Name(), noFile(st.Mode()))
	}
	return nil
}

// noFile is the error for what is no regular file. Reading a pipe or a terminal lasts until somebody writes into it, opening a pipe
// until somebody else does; a stop and words would have to wait for that.
func noFile(m fs.FileMode) error {
	if m.IsDir() {
		return errors.New("a directory")
	}
	return errors.New("neither a file nor a link to one; write the packets to a file first, and give that")
}

// Inspect implements port.Port. It opens the file, once.
func (p *In) Inspect() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil && !p.state.Ended {
		if err := p.openLocked(); err != nil {
			return fmt.Errorf("port %s: %w", p.Name(), err)
		}
	}
	return p.Port.Inspect()
}

// openLocked opens the file, also anew. If it cannot be opened, the reader stays as it is.
func (p *In) openLocked() error {
	st, err := os.Stat(p.path)
	if err == nil && !st.Mode().IsRegular() {
		return noFile(st.Mode())
	}
	r, err := capture.Open(p.path)
	if err != nil {
		return err
	}
	if p.r != nil {
		p.r.Close()
	}
	p.r = r
	if st != nil {
		p.state.Size = st.Size()
	}
	return nil
}

// Admit implements port.Port: it begins to read, or goes on where it was stopped.
func (p *In) Admit() (func() error, error) {
	shut, err := p.Port.Admit()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.stop, p.admitted = false, true
	p.mu.Unlock()
	var reader sync.WaitGroup
	reader.Go(p.read)
	return func() error {
		p.set(func() { p.stop = true })
		reader.Wait()
		return shut()
	}, nil
}

// set changes fields, of which the goroutine is told.
func (p *In) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.cond.Broadcast()
}

// pending is the packet that is given next. The goroutine owns it; between two starts it waits.
type pending struct {
	capture.Packet
	here bool
}

const (
	// roomTime is how long the goroutine waits when there is no room: less than the thread takes for a full ring.
	roomTime = 50 * time.Microsecond
	// wakeEvery is after how many frames the thread is woken: a batch of it.
	wakeEvery = 256
	// spinTime is before a packet is due by so much the goroutine looks at the clock all the time: sleeps end late.
	spinTime = 60 * time.Microsecond
	// wakeTime is how long before a packet is due the thread is woken: waking takes some 10 µs, and a thread that looks for frames
	// does so for some 50 µs.
	wakeTime = 30 * time.Microsecond
	// lookTime is how long the goroutine sleeps at most before it looks whether it is to stop.
	lookTime = 20 * time.Millisecond
)

// read gives packets until the end of the file or a stop.
func (p *In) read() {
	// The thread is never unlocked, so it ends with the goroutine and its timer slack.
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // sleeps are late by 50 µs otherwise
	defer p.Wake(0)
	t := timer{pace: p.options.Pace}
	longest := int(p.Facts().Longest)
	var c counts
	for unseen := 0; p.ready(&t, &c); {
		if when, ok := t.due(p.pending.Time); ok && !p.await(when, &c) {
			t.begun = false
			continue
		}
		if len(p.pending.Data) > longest {
			c.long++
		} else if !p.give() {
			continue // to be stopped
		} else {
			c.packets++
			c.bytes += uint64(len(p.pending.Data))
			if p.pending.Wire > uint32(len(p.pending.Data)) {
				c.cut++
			}
		}
		p.pending.here = false
		if unseen++; unseen == wakeEvery || t.pace != Max {
			unseen = 0
			p.Wake(0)
		}
	}
}

// counts are what the goroutine has not told yet.
type counts struct {
	packets, bytes, long, cut, late uint64
	latest                          time.Duration
}

// give gives the pending packet to the engine. It returns false if the engine does not run any more.
func (p *In) give() bool {
	b := p.pending.Data
	for {
		switch p.Give(0, b, xsk.Meta{Time: p.pending.Time, Missing: p.pending.Wire - uint32(len(b))}) {
		case memory.Taken:
			return true
		case memory.Shut:
			return false
		}
		p.Wake(0)
		if p.interrupted() {
			return false
		}
		sleep(roomTime)
	}
}

// await waits until a packet is due. It returns false if something else is to be done before.
func (p *In) await(when time.Time, c *counts) bool {
	for woken := false; ; {
		left := time.Until(when)
		switch {
		case left < -tooLate:
			c.late++
			c.latest = max(c.latest, -left)
			return true
		case left <= 0:
			return true
		case left > spinTime:
			if p.interrupted() {
				return false
			}
			sleep(min(left-spinTime, lookTime))
		case left <= wakeTime && !woken:
			woken = true
			p.Wake(0)
		}
	}
}

// sleep sleeps more precisely than the timers of Go, whose shortest sleep is a millisecond.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil)
}

// interrupted says whether the goroutine has to stop, to pause, or to go elsewhere.
func (p *In) interrupted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop || p.state.Paused || p.target >= 0
}

// ready waits until there is a pending packet that may be given. It returns false at the end and after a stop. Others may get the lock
// between any two packets.
func (p *In) ready(t *timer, c *counts) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Packets += c.packets
	p.state.Bytes += c.bytes
	p.state.Long += c.long
	p.state.Cut += c.cut
	p.state.Late += c.late
	p.state.Latest = max(p.state.Latest, c.latest)
	*c = counts{latest: c.latest}
	for {
		switch {
		case p.stop || p.state.Ended:
			return false
		case p.target >= 0 && p.begun:
			p.seekLocked()
			t.begun = false
		case p.state.Paused:
			p.cond.Wait()
			t.begun = false
		case p.pending.here:
			return true
		default:
			p.advanceLocked()
			p.mu.Unlock() // many packets may be left out, and words and a stop do not wait for that
			p.mu.Lock()
		}
	}
}

// advanceLocked reads a packet. It is pending afterwards if it is one of those wanted.
func (p *In) advanceLocked() {
	n := &p.pending.Packet
	err := p.r.Next(n)
	p.state.Consumed = p.r.Consumed()
	switch {
	case err == io.EOF && !p.choice.there(p.r):
		p.endLocked(p.noInterface())
		return
	case err == io.EOF && p.state.Round < p.state.Rounds && p.round.packets > 0:
		p.againLocked()
		return
	case err == io.EOF:
		p.endLocked(nil)
		return
	case err != nil:
		p.endLocked(fmt.Errorf("port %s: %w", p.Name(), err))
		return
	}
	switch {
	case !p.choice.of(p.r, n) && p.choice.any:
		p.state.Sent++
		return
	case !p.choice.of(p.r, n):
		p.state.Other++
		return
	case p.r.Interfaces()[n.Interface].LinkType&0xffff != capture.Ethernet:
		p.state.Foreign++
		return
	case n.Untimed:
		n.Time = p.state.At
	default:
		n.Time = plus(n.Time, p.shift)
	}
	if fcs := uint32(p.r.FCS(n)); n.Wire >= fcs { // an interface does not give it either
		n.Wire -= fcs
		n.Data = n.Data[:min(len(n.Data), int(n.Wire))]
	}
	p.round.add(n.Time, n.Untimed)
	if !p.begun {
		p.begun, p.state.First = true, n.Time
	}
	if n.Time < p.skip {
		return
	}
	p.skip = math.MinInt64
	p.state.At, p.pending.here = n.Time, true
}

// againLocked begins the file anew, for the next round.
func (p *In) againLocked() {
	if err := p.openLocked(); err != nil {
		p.endLocked(fmt.Errorf("port %s: %w", p.Name(), err))
		return
	}
	p.shift = plus(p.shift, p.round.length())
	p.round = round{}
	p.state.Round++
}

// seekLocked goes to the time target after the first packet.
func (p *In) seekLocked() {
	to := plus(p.state.First, p.target)
	p.target = -1
	p.pending.here = false
	if p.round.packets == 0 || to <= max(p.round.last, p.state.At) {
		if err := p.openLocked(); err != nil {
			p.endLocked(fmt.Errorf("port %s: %w", p.Name(), err))
			return
		}
		p.shift, p.round, p.state.Round = 0, round{}, 1
	}
	p.skip = to
}

// endLocked ends the reading.
func (p *In) endLocked(err error) {
	p.state.Ended, p.err = true, err
	p.r.Close()
	p.End()
	close(p.done)
}

// noInterface is the error for an interface that the file does not have.
func (p *In) noInterface() error {
	var names []string
	for i, f := range p.r.Interfaces() {
		names = append(names, strings.TrimSpace(fmt.Sprintf("%d %s", i, f.Name)))
	}
	if len(names) == 0 {
		return nil // it has no packets either
	}
	return fmt.Errorf("port %s: the file has no such interface; it has %s", p.Name(), strings.Join(names, ", "))
}

// Done is closed when the file was read to its end, or cannot be read any further. Err says which.
func (p *In) Done() <-chan struct{} { return p.done }

// Err returns why the file could not be read to its end, or nil.
func (p *In) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Status returns how far the reading is.
func (p *In) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Errors of the words.
var (
	errEnded  = errors.New("the replay has ended")
	errBefore = errors.New("a replay has no time before its first packet")
)

// Began says whether the reading has begun: with the first start of the engine.
func (p *In) Began() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.admitted
}

// Pause stops the reading for a while. It is no error to pause twice.
func (p *In) Pause() error { return p.setRunning(true) }

// Resume goes on after Pause.
func (p *In) Resume() error { return p.setRunning(false) }

func (p *In) setRunning(paused bool) (err error) {
	p.set(func() {
		if p.state.Ended {
			err = errEnded
			return
		}
		p.state.Paused = paused
	})
	return err
}

// Seek goes on with the packets from the time d after the first one. Packets are given again if that is before the last one.
func (p *In) Seek(d time.Duration) (err error) {
	p.set(func() {
		switch {
		case p.state.Ended:
			err = errEnded
		case d < 0:
			err = errBefore
		default:
			p.target = int64(d)
		}
	})
	return err
}

// Close closes the file. It is called after the last stop.
func (p *In) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil || p.state.Ended {
		return nil
	}
	return p.r.Close()
}

// Summary says in a line what was read.
func (p *In) Summary() string {
	s := p.Status()
	text := fmt.Sprintf("%s: %d packets read, %d bytes", p.Name(), s.Packets, s.Bytes)
	for _, o := range []struct {
		n    uint64
		what string
	}{
		{s.Sent, "left out, which the file calls sent (name an interface to read them: #0)"}, {s.Other, "of other interfaces left out"},
		{s.Foreign, "left out, which are not Ethernet"}, {s.Long, "left out, too long for the other port"},
		{s.Cut, "of which the recorder has cut off the end"},
		{s.Late, fmt.Sprintf("late, by up to %v", s.Latest.Round(time.Microsecond))},
	} {
		if o.n > 0 {
			text += fmt.Sprintf("; %d %s", o.n, o.what)
		}
	}
	return text
}
