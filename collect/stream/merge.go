// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"ethertap/collect"
	"ethertap/lib/capture"
	"ethertap/shm"
)

// quiet is how long a tap has sent nothing before the others do not wait for it any more.
const quiet = 10 * time.Second

// Options of a packet in PCAPNG.
const (
	optComment            = 1
	ifDescription, ifMAC  = 3, 6
	epbPacketID, epbQueue = 5, 6
)

// merge puts the packets of several taps in the order of time. The packets of a tap stay in the order of
// their messages; those of different taps wait for each other, as long as the window says.
//
// Time passes as the stream's does: while old messages are read it is when they were stored, and after that
// it goes on with the clock.
type merge struct {
	window time.Duration
	logf   func(format string, args ...any)
	full   bool // no more is taken before something is given
	chosen bool // an instance was asked for, and a run may have messages of others

	runs   map[string]*tap
	awaits bool    // a run that has nothing now may send an earlier packet
	open   waiting // the runs whose next packet is known, or whose next message is not opened yet

	clock   time.Time // when the last message was stored
	came    time.Time // and when it came
	latest  bool      // there was none behind it
	written int64     // the time of the latest packet so far
	late    uint64

	interfaces []known
	numbers    map[string]int // of interfaces, by what they are told apart by
	refused    uint64
}

// known is an interface of the output.
type known struct {
	shm.Interface
	listed bool
}

// tap is one run of a collector: its messages are numbered, and are given in the order of their numbers.
type tap struct {
	Tap
	run      string
	next     uint64 // the number that is due
	seen     spans  // numbers that came
	early    []*arrival
	gapSince time.Time // since when early is not empty
	ready    []*arrival
	last     time.Time // when its last message was stored
	ended    bool

	reader   *capture.Reader // of ready[0]; nil: not opened
	numbers  []int           // of the interfaces of the reader, in the output
	packet   capture.Packet
	record   shm.Record // of packet
	has      bool       // packet is there
	finished *arrival   // all its packets were given
	time     int64      // of the packet, not less than that of the one before
	place    int        // in the heap; -1: not there
}

func newMerge(window time.Duration, logf func(string, ...any)) *merge {
	return &merge{window: window, logf: logf, runs: map[string]*tap{}, numbers: map[string]int{}, written: -1 << 63}
}

// add takes a message. It returns false if the same was there before.
func (m *merge) add(a *arrival) bool {
	if a.stored.After(m.clock) {
		m.clock = a.stored
	}
	m.came, m.latest = a.came, a.latest
	t := m.runs[a.run]
	if t == nil {
		// What is between safe and this one may have been stored after it, and then comes soon.
		t = &tap{Tap: a.Tap, run: a.run, next: min(a.number, a.safe+1), place: -1}
		m.runs[a.run] = t
	}
	if !t.seen.add(a.number) {
		return false
	}
	if a.stored.After(t.last) {
		t.last = a.stored
	}
	t.ended = t.ended || a.end
	if a.number > t.next {
		if len(t.early) == 0 {
			t.gapSince = m.clock
		}
		at, _ := slices.BinarySearchFunc(t.early, a.number, func(e *arrival, n uint64) int {
			if e.number < n {
				return -1
			}
			return 1
		})
		t.early = slices.Insert(t.early, at, a)
		if !a.lossy && a.safe >= t.next {
			// All up to safe was in the stream before this one, so what has not come was removed from it.
			t.without(m, min(a.safe+1, t.early[0].number))
		}
	} else {
		t.ready = append(t.ready, a) // in its turn, or so late that the others are gone
		t.next = max(t.next, a.number+1)
	}
	t.follow(m)
	m.push(t)
	return true
}

// follow takes early messages whose turn it is.
func (t *tap) follow(m *merge) {
	for len(t.early) > 0 && t.early[0].number <= t.next {
		t.ready = append(t.ready, t.early[0])
		t.next = t.early[0].number + 1
		t.early = t.early[1:]
		t.gapSince = m.clock
	}
}

// skip gives up what is missing before the early messages.
func (t *tap) skip(m *merge) {
	t.without(m, t.early[0].number)
	t.follow(m)
	m.push(t)
}

// without goes on with the message of a number, and says that those before it do not come.
func (t *tap) without(m *merge, number uint64) {
	missing := "are missing"
	if m.chosen {
		missing += " or of an instance that was not asked for"
	}
	m.logf("%s: messages %d to %d of a collector there %s; going on without them", t.Tap, t.next, number-1, missing)
	t.next = number
}

// push puts a run into the heap if it has something.
func (m *merge) push(t *tap) {
	if t.place < 0 && len(t.ready) > 0 {
		t.key()
		heap.Push(&m.open, t)
	}
}

// key sets the time by which a run is sorted: that of its next packet, or of the earliest one of its next
// message.
func (t *tap) key() {
	if t.has {
		t.time = max(t.time, t.packet.Time)
	} else if first := t.ready[0].first; first != 0 {
		t.time = max(t.time, first)
	}
}

// now returns the time of the stream. If it is known that more messages are there, they have the length of
// the window to come.
func (m *merge) now(now time.Time) time.Time {
	since := now.Sub(m.came)
	if !m.latest {
		since -= m.window
	}
	return m.clock.Add(max(0, since))
}

// look looks what is to be waited for. It is called for each batch of packets.
func (m *merge) look(now time.Time) {
	clock := m.now(now)
	m.giveUp(clock)
	m.awaits = m.awaited(clock)
}

// next returns the run whose packet is next, or nil if it is to wait.
func (m *merge) next(now time.Time) *tap {
	if len(m.open) == 0 {
		return nil
	}
	t := m.open[0]
	if m.full || !m.awaits || m.now(now).Sub(t.ready[0].stored) >= m.window {
		return t
	}
	return nil
}

// giveUp goes on without messages that do not come, and forgets runs that are over.
func (m *merge) giveUp(clock time.Time) {
	for run, t := range m.runs {
		switch {
		case len(t.early) > 0 && (clock.Sub(t.gapSince) >= gapPatience || m.full && len(m.open) == 0):
			t.skip(m)
		case t.ended && t.place < 0 && len(t.early) == 0 && clock.Sub(t.last) > 2*gapPatience:
			delete(m.runs, run)
		}
	}
}

// awaited says whether a tap that has nothing now may send an earlier packet.
func (m *merge) awaited(clock time.Time) bool {
	for _, t := range m.runs {
		if t.place < 0 && (!t.ended || len(t.early) > 0) && clock.Sub(t.last) < quiet {
			return true
		}
	}
	return false
}

// wait returns how long it takes until next may have another answer, if nothing comes.
func (m *merge) wait(now time.Time) time.Duration {
	if len(m.open) == 0 {
		return time.Hour
	}
	return max(0, m.window-m.now(now).Sub(m.open[0].ready[0].stored))
}

// opened says whether the message that is next is being read.
func (t *tap) opened() bool { return t.has }

// open begins to read the next message.
func (t *tap) open(d *zstd.Decoder, m *merge) error {
	a := t.ready[0]
	data, err := a.unpack(d, a.msg.Data())
	if err == nil {
		t.reader, err = capture.NewReader(bytes.NewReader(data), a.msg.Subject())
	}
	t.numbers = t.numbers[:0]
	if err != nil {
		t.finish(m)
		return err
	}
	return t.advance(m)
}

// advance goes to the next packet of the message. If there is none, the message is finished.
func (t *tap) advance(m *merge) error {
	if t.has {
		if t.time < m.written {
			m.late++
		}
		m.written = max(m.written, t.time)
	}
	err := t.reader.Next(&t.packet)
	for _, on := range t.reader.Interfaces()[len(t.numbers):] {
		t.numbers = append(t.numbers, m.number(on))
	}
	if err == nil {
		t.has = true
		t.fill()
		return nil
	}
	for i, on := range t.reader.Interfaces() {
		if on.Statistics != nil {
			n := on.Statistics.Counts[capture.InterfDrop]
			m.interfaces[t.numbers[i]].Refused += n
			m.refused += n
		}
	}
	t.finish(m)
	if err == io.EOF {
		return nil
	}
	return err
}

func (t *tap) finish(m *merge) {
	if t.reader != nil {
		t.reader.Close()
	}
	t.finished, t.reader, t.has = t.ready[0], nil, false
	t.ready[0] = nil
	t.ready = t.ready[1:]
}

// emptied returns the message whose last packet was given, once.
func (t *tap) emptied() *arrival {
	a := t.finished
	t.finished = nil
	return a
}

// moved puts a run where it belongs after its packet was taken.
func (m *merge) moved(t *tap, now time.Time) {
	if len(t.ready) == 0 {
		heap.Remove(&m.open, t.place)
		m.awaits = m.awaited(m.now(now))
		return
	}
	t.key()
	heap.Fix(&m.open, t.place)
}

// fill makes the record of the packet.
func (t *tap) fill() {
	p := &t.packet
	t.record = shm.Record{
		Timestamp: p.Time, Data: p.Data, OrigLen: p.Wire, Interface: uint16(t.numbers[p.Interface]),
	}
	switch p.Direction() {
	case capture.Inbound:
		t.record.Direction = shm.RX
	case capture.Outbound:
		t.record.Direction = shm.TX
	}
	for code, value := range p.Options.All() {
		switch {
		case code == epbPacketID && len(value) == 8:
			t.record.PacketID = binary.LittleEndian.Uint64(value)
		case code == epbQueue && len(value) == 4:
			t.record.Queue = uint16(binary.LittleEndian.Uint32(value))
		case code == optComment:
			if fault, ok := shm.ParseFault(string(value)); ok {
				t.record.Fault |= fault
			}
		}
	}
}

// number returns the number of an interface in the output.
func (m *merge) number(on *capture.Interface) int {
	mac := on.Options.Text(ifMAC)
	stamped := strings.HasSuffix(on.Options.Text(ifDescription), collect.StampedText)
	key := on.Name + "\x00" + mac
	if stamped {
		key += "\x00stamped"
	}
	n, ok := m.numbers[key]
	if !ok {
		n = len(m.interfaces)
		m.numbers[key] = n
		i := known{Interface: shm.Interface{Index: n, Name: on.Name}}
		copy(i.MAC[:], mac)
		if stamped {
			i.Taps = shm.TapStamped
		}
		m.interfaces = append(m.interfaces, i)
	}
	return n
}

// list returns the interfaces. What the first messages tell as lost counts, so at first 0 is listed.
func (m *merge) list() []shm.Interface {
	all := make([]shm.Interface, len(m.interfaces))
	for i := range m.interfaces {
		on := &m.interfaces[i]
		all[i] = on.Interface
		if !on.listed {
			on.listed, all[i].Refused = true, 0
		}
	}
	return all
}

// rest returns the messages whose packets were not all given.
func (m *merge) rest() (all []*arrival) {
	for _, t := range m.runs {
		all = append(append(all, t.ready...), t.early...)
	}
	return all
}

// waiting is a heap of runs by the time of their next packet.
type waiting []*tap

func (w waiting) Len() int { return len(w) }
func (w waiting) Less(i, j int) bool {
	if w[i].time != w[j].time {
		return w[i].time < w[j].time
	}
	return w[i].run < w[j].run
}
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}
func (w *waiting) Push(x any) {
	t := x.(*tap)
	t.place = len(*w)
	*w = append(*w, t)
}
func (w *waiting) Pop() any {
	t := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	t.place = -1
	return t
}

// spans is a set of numbers, as the runs of numbers that follow each other.
type spans [][2]uint64 // from, to: both belong to it; sorted, not touching

// add adds a number. It returns false if it was there.
func (s *spans) add(n uint64) bool {
	i, _ := slices.BinarySearchFunc(*s, n, func(p [2]uint64, n uint64) int {
		if p[1] < n {
			return -1
		}
		return 1
	})
	// The first that ends at n or later.
	if i < len(*s) && (*s)[i][0] <= n {
		return false
	}
	before := i > 0 && (*s)[i-1][1]+1 == n
	after := i < len(*s) && (*s)[i][0] == n+1
	switch {
	case before && after:
		(*s)[i-1][1] = (*s)[i][1]
		*s = slices.Delete(*s, i, i+1)
	case before:
		(*s)[i-1][1] = n
	case after:
		(*s)[i][0] = n
	default:
		*s = slices.Insert(*s, i, [2]uint64{n, n})
	}
	return true
}
