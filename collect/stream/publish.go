// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/collect"
	"ethertap/shm"
)

const (
	// inFlight is how many bytes may be sent and not acknowledged: 400 MB/s at a round trip of 20 ms.
	inFlight = 8 << 20

	// ackWait is how long the oldest message waits for its acknowledgement while none comes. On a line
	// of a megabit a second a message takes four seconds.
	ackWait = 15 * time.Second

	// passes is how many later messages are acknowledged before one that is not is sent again: a
	// server takes messages in their order.
	passes = 3

	// endPatience is how long the end waits while no acknowledgement comes: as long as a cluster may need to
	// choose a leader. The end says so after endQuiet.
	endPatience, endQuiet = leaderPatience, time.Second

	// troubleLast is the longest pause before a message is sent again that no stream has taken.
	troubleLast = time.Second

	// DefaultHold is how many bytes are held for a server that is gone.
	DefaultHold = 64 << 20
)

// Limits are those of a stream that is made.
type Limits struct {
	Bytes    uint64        // 0: none
	Age      time.Duration // 0: none
	Replicas int           // 0: 1
}

// PublishOptions say what is published, and how.
type PublishOptions struct {
	Address Address
	Access  Access
	Limits  Limits
	Hold    uint64          // bytes; 0: DefaultHold
	Zstd    bool            // compress the sections
	Packets collect.Options // Application, Filter, Interfaces and SnapLen are used

	Host, Queue string
	Instance    func() string    // the ethertap that fills the queue now; it is asked ten times a second
	Created     func() time.Time // when the queue that packets come from was made

	Logf func(format string, args ...any)

	// 0: as the constants say; other values are for tests
	ackWait, endPatience, leaderPatience time.Duration
}

// Output puts packets into a stream. It implements collect.Output. A packet is held until the stream has
// acknowledged the message that it is in; while Hold bytes are held, Flush waits, so the queue fills.
//
// The collector's goroutine makes sections and appends messages; a goroutine of its own sends them; the
// client's goroutine takes acknowledgements. mu orders the three.
type Output struct {
	o        PublishOptions
	link     *link
	sub      *nats.Subscription
	reply    string // what the number of a message is appended to
	sections *collect.Sections
	z        *zstd.Encoder // nil: not compressed
	tap      Tap
	run      string

	// of the collector's goroutine
	begun   time.Time // when the section under way was begun
	asked   time.Time // when Instance was asked
	number  uint64
	packets uint64
	bytes   uint64 // in messages
	closed  bool

	wake chan struct{} // for the goroutine that sends; capacity 1
	done chan struct{} // it has ended

	mu        sync.Mutex
	room      *sync.Cond // something was acknowledged, or failed, or the end is near
	held      []*message // not acknowledged, in the order of their numbers
	heldBytes int
	flying    int // bytes of held that were sent
	status    Status
	safe      uint64    // all messages up to that number are acknowledged
	progress  time.Time // of the last acknowledgement
	retryAt   time.Time // nothing is sent before that
	failures  int       // in a row
	trouble   error     // why nothing is acknowledged, as said last; nil: nothing is wrong
	troubled  time.Time // since when
	said      time.Time
	failed    error     // the run cannot go on
	hurry     time.Time // when the end began
	ending    bool
}

// message is one that is not acknowledged.
type message struct {
	heading
	subject string
	id      string
	data    []byte
	sent    time.Time // zero: not sent, or to be sent again
	tries   int       // how often it was sent
	passed  int       // acknowledgements of later messages since
	acked   bool
}

// Status is what has become of the packets of an Output, or how far a Reader is.
type Status struct {
	Acknowledged uint64 // packets: by the stream, or of a Reader to it
	InFlight     uint64 // packets that were sent, or got, and are not acknowledged
	Held         uint64 // bytes held in memory
	Retried      uint64 // messages that were sent, or got, once more
	Behind       uint64 // packets that are not sent yet; of a Reader messages that it has not got yet
	Late         uint64 // of a Reader: packets that came later than the window
	Connected    bool
}

// Publish opens a stream for writing, and makes it if it is not there. It returns once the stream has
// acknowledged a message that tells of the run; so whatever keeps packets out of the stream is an error
// here.
func Publish(ctx context.Context, o PublishOptions) (*Output, error) {
	if o.Hold == 0 {
		o.Hold = DefaultHold
	}
	o.ackWait = cmp.Or(o.ackWait, ackWait)
	o.endPatience = cmp.Or(o.endPatience, endPatience)
	o.leaderPatience = cmp.Or(o.leaderPatience, leaderPatience)
	p := &Output{o: o, wake: make(chan struct{}, 1), done: make(chan struct{}), run: fmt.Sprintf("%x-%x", time.Now().UnixNano(), os.Getpid())}
	p.room = sync.NewCond(&p.mu)
	var err error
	if p.link, err = connect(ctx, o.Address, o.Access, o.Logf); err != nil {
		return nil, err
	}
	if err := p.link.opening(ctx, p.open); err != nil {
		p.link.close()
		return nil, err
	}
	p.link.tell(p.linkChanged)
	go p.send()
	if err := p.announce(ctx); err != nil {
		p.abandon()
		return nil, err
	}
	return p, nil
}

// open finds the stream, or makes it, and prepares what is sent.
func (p *Output) open(ctx context.Context) error {
	p.tap = Tap{Host: p.o.Host, Instance: p.o.Instance(), Queue: p.o.Queue}
	config, err := p.stream(ctx)
	if err != nil {
		return err
	}
	limit := min(sectionSize, int(p.link.nc.MaxPayload())-headroom)
	if most := int(config.MaxMsgSize); most > 0 {
		if most < leastPayload {
			return p.link.wrong(fmt.Errorf("the stream takes messages of %d bytes, and packets need %d", most, leastPayload))
		}
		limit = min(limit, most-headroom)
	}
	if p.sections, err = collect.NewSections(p.o.Packets, limit); err != nil {
		return p.link.wrong(err)
	}
	p.sections.SetPlace(p.tap.Host + "/" + p.tap.Instance + "/")
	if p.o.Zstd {
		if p.z, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
			return err
		}
	}
	p.reply = nats.NewInbox() + "."
	p.sub, err = p.link.nc.Subscribe(p.reply+"*", p.acknowledged)
	if err == nil {
		err = p.sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		return p.link.wrong(err)
	}
	return nil
}

// stream returns the configuration of the stream, which is made if it is not there.
func (p *Output) stream(ctx context.Context) (c jetstream.StreamConfig, err error) {
	l, a := p.link, p.o.Address
	s, err := l.js.Stream(ctx, a.Stream)
	if err == nil {
		c = s.CachedInfo().Config
		if p.o.Limits != (Limits{}) {
			p.o.Logf("%s is there and used as it is; --stream-max-bytes, --stream-max-age and --replicas are for a new one", a)
		}
		return c, p.fits(c)
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return c, l.asked(err)
	}
	c = jetstream.StreamConfig{
		Name: a.Stream, Description: "packets of EtherTAP", Subjects: []string{subjects + ".>"},
		Storage: jetstream.FileStorage, Replicas: max(1, p.o.Limits.Replicas), Duplicates: 2 * time.Minute,
		MaxBytes: -1, MaxAge: p.o.Limits.Age, MaxMsgs: -1, MaxConsumers: -1, Discard: jetstream.DiscardOld, AllowDirect: true,
	}
	if p.o.Limits.Bytes > 0 {
		c.MaxBytes = int64(p.o.Limits.Bytes)
	}
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	s, err = l.js.CreateStream(ctx, c)
	switch {
	case err == nil:
		p.o.Logf("%s: the stream was made", a)
		return s.CachedInfo().Config, nil
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // somebody made it meanwhile
		if s, err = l.js.Stream(ctx, a.Stream); err == nil {
			return s.CachedInfo().Config, p.fits(s.CachedInfo().Config)
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return c, l.wrong(fmt.Errorf("there is no such stream, and the server does not make it: %s", api.Description))
	}
	return c, l.asked(err)
}

// fits returns an error if a stream that is there cannot take the packets.
func (p *Output) fits(c jetstream.StreamConfig) error {
	subject := p.tap.subject()
	switch {
	case c.Mirror != nil:
		return p.link.wrong(errors.New("the stream is the mirror of another and takes nothing; name that one"))
	case c.Sealed:
		return p.link.wrong(errors.New("the stream is sealed and takes nothing"))
	case c.NoAck:
		return p.link.wrong(errors.New("the stream acknowledges nothing (no_ack), so packets would be lost; choose another"))
	case !slices.ContainsFunc(c.Subjects, func(s string) bool { return covers(s, subject) }):
		return p.link.wrong(fmt.Errorf("the stream is for %s, and the packets of this tap are %s; name another, or one that is not there yet and is made",
			strings.Join(c.Subjects, ", "), subject))
	}
	return nil
}

// covers says whether a subject with wildcards is that of another one without.
func covers(pattern, subject string) bool {
	all := strings.Split(subject, ".")
	for i, part := range strings.Split(pattern, ".") {
		switch {
		case part == ">":
			return len(all) > i
		case i >= len(all) || part != "*" && part != all[i]:
			return false
		}
	}
	return strings.Count(pattern, ".") == len(all)-1
}

// announce sends a section without packets, and waits until it is acknowledged.
func (p *Output) announce(ctx context.Context) error {
	p.cut(time.Now(), false)
	look := func() { // with the lock, so that it does not come between a look and the wait
		p.mu.Lock()
		defer p.mu.Unlock()
		p.room.Broadcast()
	}
	stop := context.AfterFunc(ctx, look)
	defer stop()
	timeout := time.AfterFunc(openPatience, look)
	defer timeout.Stop()
	end := time.Now().Add(openPatience)
	p.mu.Lock()
	defer p.mu.Unlock()
	hopeless := func() bool { return p.failed != nil || p.trouble != nil && !errors.Is(p.trouble, errNoStream) }
	for p.safe == 0 && !hopeless() && ctx.Err() == nil && time.Now().Before(end) {
		p.room.Wait()
	}
	switch {
	case p.safe > 0:
		return nil
	case p.failed != nil:
		return p.failed
	case p.trouble != nil:
		return p.link.wrong(p.trouble)
	case ctx.Err() != nil:
		return p.link.wrong(context.Cause(ctx))
	}
	return p.link.wrong(fmt.Errorf("the stream has acknowledged nothing within %v", openPatience))
}

// errNoStream says that nobody has answered to a message.
var errNoStream = errors.New("no stream takes the packets; it may be gone, or have no leader")

// errCodeInProcess is the server's for a message that has come twice, and is being stored. The client has no
// name for it.
const errCodeInProcess jetstream.ErrorCode = 10158

// cut ends the section under way and gives it to the goroutine that sends.
func (p *Output) cut(now time.Time, end bool) {
	p.sections.Begin(now.UnixNano())
	data, about := p.sections.End(now.UnixNano())
	p.number++
	p.bytes += uint64(len(data))
	m := &message{heading: heading{
		Tap: p.tap, run: p.run, number: p.number, first: about.First, last: about.Last,
		packets: about.Packets, bytes: uint64(len(data)), end: end, zstd: p.z != nil,
	}, subject: p.tap.subject(), data: data}
	if p.z != nil {
		m.data = p.z.EncodeAll(data, make([]byte, 0, len(data)/2))
	}
	created := int64(0) // before there is a queue
	if at := p.o.Created(); !at.IsZero() {
		created = at.UnixNano()
	}
	m.id = fmt.Sprintf("%s/%s/%x/%s/%d", p.tap.Host, p.tap.Queue, created, p.run, m.number)
	p.mu.Lock()
	p.held = append(p.held, m)
	p.heldBytes += len(m.data)
	p.status.Behind += m.packets
	p.mu.Unlock()
	p.rouse()
}

func (p *Output) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// linkChanged is called when the connection was lost or made again, or something is not allowed. What
// is not acknowledged is sent once more.
func (p *Output) linkChanged() {
	denied := p.link.denial()
	p.mu.Lock()
	if denied != nil {
		p.fail(denied)
	} else {
		p.unsend()
		p.retryAt, p.failures = time.Time{}, 0
	}
	p.room.Broadcast()
	p.mu.Unlock()
	p.rouse()
}

// unsend has all messages sent again that are not acknowledged. The caller holds mu.
func (p *Output) unsend() {
	for _, m := range p.held {
		p.unsent(m)
	}
}

// unsent has a message sent again. The caller holds mu.
func (p *Output) unsent(m *message) {
	if m.acked || m.sent.IsZero() {
		return
	}
	m.sent, m.passed = time.Time{}, 0
	p.flying -= len(m.data)
	p.status.InFlight -= m.packets
	p.status.Behind += m.packets
}

// fail notes why nothing is acknowledged, says it now and then, and has all sent again later, at another
// server if this goes on. The caller holds mu.
func (p *Output) fail(err error) {
	p.unsend()
	p.failures++
	p.retryAt = time.Now().Add(pause(p.failures, troubleLast))
	fresh := p.trouble == nil || p.trouble.Error() != err.Error()
	if p.trouble == nil {
		p.troubled = time.Now()
	}
	p.trouble = err
	if p.safe > 0 {
		_, leader := p.patience()
		go p.link.elsewhere(p.troubled, leader, err) // it waits for locks of the client, and our caller holds mu
	}
	if p.safe > 0 && (fresh || time.Since(p.said) > sayEvery) { // before that it is the error of Publish
		p.said = time.Now()
		p.o.Logf("%s: %v; %s held, trying again", p.o.Address, err, plural(p.heldPackets(), "packet"))
	}
	p.room.Broadcast()
}

// patience returns how long an acknowledgement is waited for, and how long a stream, before another server is
// tried. When the end has begun, that comes after two waits for an acknowledgement, and leaves a third of its
// patience for the other server. The caller holds mu.
func (p *Output) patience() (ack, leader time.Duration) {
	if p.hurry.IsZero() {
		return p.o.ackWait, p.o.leaderPatience
	}
	return min(p.o.ackWait, p.o.endPatience/3), min(p.o.leaderPatience, p.o.endPatience/3)
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

// heldPackets returns how many packets are not acknowledged. The caller holds mu.
func (p *Output) heldPackets() uint64 { return p.status.InFlight + p.status.Behind }

// send sends messages until Close has ended the run.
func (p *Output) send() {
	defer close(p.done)
	timer := time.NewTimer(time.Hour)
	for {
		m, packed, wait := p.next()
		if m != nil {
			if err := p.link.nc.PublishMsg(packed); err != nil {
				p.mu.Lock()
				if m.tries--; m.tries > 0 {
					p.status.Retried--
				}
				p.unsent(m)
				p.retryAt = time.Now().Add(retryFirst) // the connection is being made again
				if errors.Is(err, nats.ErrMaxPayload) && p.failed == nil {
					size := packed.Size() - len(packed.Subject) - len(packed.Reply) // as the server counts
					p.failed = p.link.wrong(fmt.Errorf("the server takes messages of %d bytes now (max_payload), and one that is held has %d", p.link.nc.MaxPayload(), size))
					p.room.Broadcast()
				}
				p.mu.Unlock()
			}
			continue
		}
		if wait < 0 {
			return
		}
		timer.Reset(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// next returns the message to be sent now and what the client is to send, or how long to wait; less than 0 is the
// end. While it is sent, an acknowledgement of an earlier attempt may come, which takes the data off the message.
func (p *Output) next() (*message, *nats.Msg, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.ending:
		return nil, nil, -1
	case len(p.held) == 0:
		return nil, nil, time.Hour
	case now.Before(p.retryAt):
		return nil, nil, p.retryAt.Sub(now)
	}
	if oldest := p.held[0]; !oldest.sent.IsZero() {
		since := oldest.sent
		if p.progress.After(since) {
			since = p.progress
		}
		most, _ := p.patience()
		if waited := now.Sub(since); waited > most {
			p.fail(fmt.Errorf("the stream has acknowledged nothing for %.0f s, as it does without a majority of its servers or room on their disks", waited.Seconds()))
			return nil, nil, p.retryAt.Sub(now)
		}
	}
	for _, m := range p.held {
		if m.acked || !m.sent.IsZero() {
			continue
		}
		// While nothing is taken, one message at a time asks whether that has changed.
		if p.flying > 0 && (p.trouble != nil || p.flying+len(m.data) > inFlight) {
			break
		}
		if m.tries++; m.tries > 1 {
			p.status.Retried++
		}
		m.sent, m.passed = now, 0
		p.flying += len(m.data)
		p.status.InFlight += m.packets
		p.status.Behind -= m.packets
		h := m.header()
		h.Set(headerSafe, strconv.FormatUint(p.safe, 10))
		h.Set(jetstream.MsgIDHeader, m.id)
		return m, &nats.Msg{Subject: m.subject, Reply: p.reply + strconv.FormatUint(m.number, 10), Header: h, Data: m.data}, 0
	}
	return nil, nil, time.Second
}

// reply is what the server answers to a message.
type reply struct {
	Error  *jetstream.APIError `json:"error"`
	Stream string              `json:"stream"`
}

// acknowledged takes the answer of the server to a message.
func (p *Output) acknowledged(answer *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(answer.Subject, p.reply), 10, 64)
	if err != nil {
		return
	}
	var r reply
	switch {
	case answer.Header.Get("Status") == "503":
		err = errNoStream
	case json.Unmarshal(answer.Data, &r) != nil || r.Error == nil && r.Stream == "":
		err = fmt.Errorf("an answer that is no acknowledgement: %.80q", answer.Data)
	case r.Error != nil:
		err = errors.New("the server refuses packets: " + r.Error.Description)
	case r.Stream != p.o.Address.Stream:
		err = fmt.Errorf("the packets go to the stream %s", r.Stream)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.rouse()
	at, found := slices.BinarySearchFunc(p.held, number, func(m *message, n uint64) int {
		switch {
		case m.number < n:
			return -1
		case m.number > n:
			return 1
		}
		return 0
	})
	if !found || p.held[at].acked {
		return // of a message that was sent twice
	}
	m := p.held[at]
	if err != nil {
		if r.Error != nil && r.Error.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum {
			p.failed = p.link.wrong(err)
			p.room.Broadcast()
			return
		}
		switch {
		case m.sent.IsZero(): // it is to be sent again already
		case r.Error != nil && r.Error.ErrorCode == errCodeInProcess:
			p.unsent(m)
			p.retryAt = time.Now().Add(retryFirst)
		default:
			p.fail(err)
		}
		return
	}
	p.took(at, m)
}

// took notes that the stream has a message. The caller holds mu.
func (p *Output) took(at int, m *message) {
	if m.sent.IsZero() { // it was given up, and was there all the same
		p.status.Behind -= m.packets
	} else {
		p.flying -= len(m.data)
		p.status.InFlight -= m.packets
	}
	p.heldBytes -= len(m.data)
	p.status.Acknowledged += m.packets
	m.acked, m.data = true, nil
	p.progress, p.failures = time.Now(), 0
	if p.trouble != nil && p.safe > 0 {
		p.o.Logf("%s: the stream takes packets again", p.o.Address)
	}
	p.trouble = nil
	for _, older := range p.held[:at] {
		if older.acked || older.sent.IsZero() {
			continue
		}
		if older.passed++; older.passed == passes {
			p.unsent(older)
		}
	}
	n := 0
	for n < len(p.held) && p.held[n].acked {
		p.safe = p.held[n].number
		p.held[n] = nil
		n++
	}
	p.held = p.held[n:]
	p.room.Broadcast()
}

// Append implements collect.Output.
func (p *Output) Append(now time.Time, timestamp int64, r *shm.Record) error {
	for range 2 {
		if p.sections.Size() == 0 {
			p.begun = now
			p.sections.Begin(now.UnixNano())
		}
		if p.sections.Append(timestamp, r) {
			p.packets++
			return nil
		}
		p.cut(now, false)
	}
	return p.link.wrong(fmt.Errorf("a packet of %d bytes does not fit into a message", len(r.Data)))
}

// Skipped implements collect.Output.
func (p *Output) Skipped(r *shm.Record) { p.sections.Skipped(r) }

// Room implements collect.Output: a stream has no end.
func (p *Output) Room() bool { return true }

// Flush implements collect.Output. It waits while Hold bytes are held.
func (p *Output) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.full() && p.failed == nil && p.hurry.IsZero() {
		p.room.Wait()
	}
	return p.failed
}

// full says whether as much is held as may be. The caller holds mu.
func (p *Output) full() bool { return uint64(p.heldBytes) >= p.o.Hold }

// Full implements collect.Output.
func (p *Output) Full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full() || p.failed != nil
}

// Hold implements collect.Output: Due ends sections.
func (p *Output) Hold() bool { return true }

// Due implements collect.Output: it ends a section that is old enough, and begins one that tells of
// refused packets if there are no others.
func (p *Output) Due(now time.Time) error {
	if since := now.Sub(p.begun); p.sections.Size() > 0 && since >= sectionAge {
		p.cut(now, false)
	} else if p.sections.Size() == 0 && since >= time.Second && p.sections.Untold() {
		p.begun = now
		p.sections.Begin(now.UnixNano())
	}
	return nil
}

// Reopen implements collect.Output: a stream has no next file.
func (p *Output) Reopen(time.Time) error {
	p.o.Logf("%s goes on: a stream has no next file", p.o.Address)
	return nil
}

// ReaderGone implements collect.Output: a stream needs no reader.
func (p *Output) ReaderGone() bool { return false }

// Describes implements collect.Output.
func (p *Output) Describes() bool { return true }

// Describe implements collect.Output. It also notes who fills the queue.
func (p *Output) Describe(list []shm.Interface) {
	now := time.Now()
	if since := now.Sub(p.asked); since < 0 || since >= sectionAge {
		p.asked = now
		if instance := p.o.Instance(); instance != p.tap.Instance {
			if p.sections.Size() > 0 {
				p.cut(now, false)
			}
			p.tap.Instance = instance
			p.sections.SetPlace(p.tap.Host + "/" + instance + "/")
		}
	}
	p.sections.Describe(list)
}

// Knows implements collect.Output.
func (p *Output) Knows(r *shm.Record) bool { return p.sections.Knows(r) }

// Counts implements collect.Output.
func (p *Output) Counts() (packets, bytes uint64) {
	return p.packets, p.bytes + uint64(p.sections.Size())
}

// Title implements collect.Output.
func (p *Output) Title() string { return p.o.Address.String() }

// Status returns what has become of the packets so far. It may be called from any goroutine.
func (p *Output) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Held, s.Connected = uint64(p.heldBytes), p.link.gone().IsZero()
	return s
}

// HurryUp implements collect.Output: from now on endPatience without an acknowledgement is the end. What
// waits for another attempt makes it now.
func (p *Output) HurryUp() {
	p.mu.Lock()
	p.hurry = time.Now()
	p.retryAt, p.failures = time.Time{}, 0
	p.room.Broadcast()
	p.mu.Unlock()
	p.rouse()
	p.link.hasten()
}

// Close implements collect.Output. It waits until all is acknowledged, and says so if that takes long.
func (p *Output) Close(now time.Time) error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.cut(now, true)
	tick := time.NewTicker(p.o.endPatience / 50)
	defer tick.Stop()
	stop := make(chan struct{})
	go func() { // the time passes without an event
		for {
			select {
			case <-tick.C:
				p.room.Broadcast()
			case <-stop:
				return
			}
		}
	}()
	p.mu.Lock()
	for said := false; len(p.held) > 0 && p.failed == nil; p.room.Wait() {
		waited, packets := p.idle(), p.heldPackets()
		if waited > p.o.endPatience || packets == 0 && waited > closePatience {
			break
		}
		if waited > endQuiet && packets > 0 && !said {
			said = true
			p.o.Logf("%s: %s not acknowledged; waiting for the stream, up to %v while it takes nothing; another signal gives them up", p.o.Address, plural(packets, "packet"), p.o.endPatience)
		}
	}
	lost, safe, err := p.heldPackets(), p.status.Acknowledged, p.failed
	if err == nil && lost > 0 {
		switch err = p.trouble; {
		case !p.link.gone().IsZero():
			err = errors.New("the server is gone")
		case err == nil:
			err = errors.New("the stream has acknowledged nothing more")
		}
		err = p.link.wrong(err)
	}
	p.mu.Unlock()
	close(stop)
	p.abandon()
	if err != nil && lost > 0 {
		return fmt.Errorf("%w; %d packets are safe, %d more are lost", err, safe, lost)
	}
	return err
}

// idle returns how long the end has waited without an acknowledgement; 0 if it has not begun. The caller
// holds mu.
func (p *Output) idle() time.Duration {
	if p.hurry.IsZero() {
		return 0
	}
	since := p.hurry
	if p.progress.After(since) {
		since = p.progress
	}
	return time.Since(since)
}

// abandon ends the goroutine that sends, and the connection.
func (p *Output) abandon() {
	p.closed = true
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()
	p.rouse()
	p.link.close()
	<-p.done
}
