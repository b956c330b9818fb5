// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/collect"
	"ethertap/shm"
)

const (
	// redeliverAfter is how long the server waits for an acknowledgement before it gives a message again.
	// So long a reader waits that takes the place of one that was killed.
	redeliverAfter = 10 * time.Second

	// gapPatience is how long a message that is missing in the order of a run is waited for.
	gapPatience = 60 * time.Second

	// DefaultWindow is how long packets wait for earlier ones of other taps.
	DefaultWindow = time.Second

	// pullMessages and pullBytes are how much is asked for at a time.
	pullMessages, pullBytes = 256, 16 << 20
)

// ReadOptions say what is read.
type ReadOptions struct {
	Address Address
	Access  Access
	// Name is that of the reader: one of the same name goes on behind what it has acknowledged. "" is a
	// reader that the server forgets.
	Name string
	// All reads what is in the stream already, or, with a name, goes on there; otherwise reading begins with what comes.
	All    bool
	Window time.Duration // 0: DefaultWindow
	Hold   uint64        // bytes; 0: DefaultHold

	Logf func(format string, args ...any)

	leaderPatience, redeliverAfter time.Duration // 0: as the constants say; other values are for tests
}

// Reader takes packets out of a stream. It implements collect.Input. A message is acknowledged when the
// output has written its packets.
//
// A goroutine gets messages and appends them to arrived, while fewer than Hold bytes are held. All else is
// of the goroutine that calls the methods of collect.Input.
type Reader struct {
	o        ReadOptions
	link     *link
	consumer jetstream.Consumer
	d        *zstd.Decoder
	merge    *merge
	done     []*arrival // to be acknowledged at the next Written
	stop     context.CancelFunc
	ended    chan struct{} // the goroutine has ended

	unwritten map[stored]bool // the messages in the merge, and those of them in done

	// of the goroutine that gets messages
	expected   uint64    // number of the next delivery; 0: not known
	lossyUntil time.Time // until then a delivery that got lost comes again
	sure       uint64    // all messages up to that number in the stream have come
	made       time.Time // when the stream was made

	roused chan struct{} // capacity 1

	mu      sync.Mutex
	room    *sync.Cond
	arrived []*arrival
	held    int // bytes of arrived and in the merge
	status  Status
	refused uint64
	closed  bool
	// What a reader of the same name had got and not acknowledged comes again. Until then, or the time
	// gate, nothing is given, so that it is in its place.
	again uint64
	gate  time.Time
}

// arrival is a message that has come.
type arrival struct {
	heading
	msg    jetstream.Msg
	place  uint64    // in the stream
	stored time.Time // when the stream got it
	came   time.Time
	latest bool // there were no more behind it
	lossy  bool // a delivery before it got lost, and comes again
	given  bool // its packets were given to the output
	err    error
}

// stored is a message at its place in the stream. The place alone is that of another message in a stream that
// was made again, and the message alone is at two places if it was stored twice.
type stored struct {
	run           string
	number, place uint64
}

func (a *arrival) at() stored { return stored{a.run, a.number, a.place} }

// Read opens a stream for reading.
func Read(ctx context.Context, o ReadOptions) (*Reader, error) {
	o.Window = cmp.Or(o.Window, DefaultWindow)
	o.Hold = cmp.Or(o.Hold, DefaultHold)
	o.leaderPatience = cmp.Or(o.leaderPatience, leaderPatience)
	o.redeliverAfter = cmp.Or(o.redeliverAfter, redeliverAfter)
	r := &Reader{o: o, ended: make(chan struct{}), roused: make(chan struct{}, 1), merge: newMerge(o.Window, o.Logf), unwritten: map[stored]bool{}}
	r.merge.chosen = o.Address.Instance != ""
	r.room = sync.NewCond(&r.mu)
	var err error
	if r.d, err = newDecoder(); err != nil {
		return nil, err
	}
	if r.link, err = connect(ctx, o.Address, o.Access, o.Logf); err != nil {
		return nil, err
	}
	if err := r.link.opening(ctx, r.open); err != nil {
		r.link.close()
		return nil, err
	}
	if n := r.consumer.CachedInfo().NumAckPending; n > 0 {
		r.again, r.gate = uint64(n), time.Now().Add(o.redeliverAfter+o.redeliverAfter/2)
		o.Logf("%s: %d messages were given to a reader of this name and not acknowledged; they come again within %v", o.Address, n, o.redeliverAfter)
	}
	run, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.get(run)
	return r, nil
}

// open finds the stream and makes the consumer.
func (r *Reader) open(ctx context.Context) error {
	l, a := r.link, r.o.Address
	s, err := l.js.Stream(ctx, a.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return l.wrong(errors.New("there is no such stream; a collector that writes to it makes it"))
	}
	if err != nil {
		return l.asked(err)
	}
	if c := s.CachedInfo().Config; c.Mirror == nil && len(c.Sources) == 0 && !overlaps(c.Subjects, a.subject()) {
		return l.wrong(fmt.Errorf("the stream is for %s, and packets are %s", strings.Join(c.Subjects, ", "), a.subject()))
	}
	if r.o.Name != "" && !r.o.All {
		err := l.js.DeleteConsumer(ctx, a.Stream, consumerName(r.o.Name))
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return l.asked(err)
		}
	}
	if r.made = s.CachedInfo().Created; !r.o.All {
		r.sure = s.CachedInfo().State.LastSeq
	}
	if r.consumer, err = r.subscribe(ctx, 0); err != nil {
		return l.asked(err)
	}
	return nil
}

// overlaps says whether a message can be of one of the subjects and of the one asked for. Both may have wildcards.
func overlaps(all []string, asked string) bool {
	for _, subject := range all {
		a, b := strings.Split(subject, "."), strings.Split(asked, ".")
		for {
			if len(a) == 0 || len(b) == 0 {
				if len(a) == len(b) {
					return true
				}
				break
			}
			if a[0] == ">" || b[0] == ">" {
				return true
			}
			if a[0] != b[0] && a[0] != "*" && b[0] != "*" {
				break
			}
			a, b = a[1:], b[1:]
		}
	}
	return false
}

// consumerName returns the name of the consumer of a reader.
func consumerName(name string) string {
	return "ethertap-" + strings.NewReplacer("/", "_", "\\", "_").Replace(token(name))
}

// subscribe makes the consumer, or finds it. One that the server has forgotten goes on from a message; 0 is where
// the options say.
func (r *Reader) subscribe(ctx context.Context, from uint64) (jetstream.Consumer, error) {
	c := jetstream.ConsumerConfig{
		Description: "EtherTAP", FilterSubject: r.o.Address.subject(),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.o.redeliverAfter, MaxDeliver: -1, MaxAckPending: 20_000,
		DeliverPolicy: jetstream.DeliverNewPolicy, ReplayPolicy: jetstream.ReplayInstantPolicy,
	}
	if r.o.Name != "" {
		c.Durable = consumerName(r.o.Name)
		if found, err := r.link.js.Consumer(ctx, r.o.Address.Stream, c.Durable); err == nil && found.CachedInfo().Config.FilterSubject == c.FilterSubject {
			return found, nil // it goes on, however it was begun
		} else if err == nil {
			return nil, fmt.Errorf("a reader %s of other taps (%s) is there; choose another name", r.o.Name, found.CachedInfo().Config.FilterSubject)
		}
	} else {
		c.InactiveThreshold = 5 * time.Minute
	}
	switch {
	case from > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	case r.o.All:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	return r.link.js.CreateConsumer(ctx, r.o.Address.Stream, c)
}

// get gets messages until ctx is done.
func (r *Reader) get(ctx context.Context) {
	defer close(r.ended)
	var since time.Time // of the first failure in a row
	for failures := 0; ctx.Err() == nil; failures++ {
		begun, expected := time.Now(), r.expected
		err := r.pull(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.expected != expected || time.Since(begun) > patience { // a server that says nothing is noticed earlier
			failures = 0
		}
		if failures == 0 {
			since = time.Now()
			r.o.Logf("%s: %v; trying again", r.o.Address, reason(err))
		}
		r.link.elsewhere(since, r.o.leaderPatience, reason(err))
		if !sleep(ctx, backoff(failures+1)) {
			return
		}
		again, cancel := context.WithTimeout(ctx, patience)
		if c, err := r.resubscribe(again); err == nil {
			r.consumer = c
		}
		cancel()
	}
}

// resubscribe finds the consumer again, or makes another that goes on in its place.
func (r *Reader) resubscribe(ctx context.Context) (jetstream.Consumer, error) {
	name := r.consumer.CachedInfo().Name
	c, err := r.link.js.Consumer(ctx, r.o.Address.Stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		s, err := r.link.js.Stream(ctx, r.o.Address.Stream)
		if err != nil {
			return nil, err
		}
		if now := s.CachedInfo(); !now.Created.Equal(r.made) || now.State.LastSeq < r.sure {
			r.o.Logf("%s: the stream was made again, or has lost messages that were read; going on with the first in it", r.o.Address)
			r.made, r.sure = now.Created, 0
		}
		r.expected = 0
		return r.subscribe(ctx, r.sure+1)
	}
	return c, err
}

// pull gets messages until something goes wrong.
func (r *Reader) pull(ctx context.Context) error {
	messages, err := r.consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes), jetstream.PullExpiry(patience), jetstream.PullHeartbeat(patience/4))
	if err != nil {
		return err
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) && r.link.gone().IsZero() {
			return errors.New("the server has nothing to say")
		}
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			continue // it is gone, which was said
		}
		if err != nil {
			return err
		}
		now := time.Now()
		about, err := msg.Metadata()
		if err != nil {
			continue // not from a stream
		}
		if r.expected != 0 && about.Sequence.Consumer > r.expected {
			r.lossyUntil = now.Add(2 * r.o.redeliverAfter)
		}
		r.expected = about.Sequence.Consumer + 1
		a := &arrival{msg: msg, place: about.Sequence.Stream, stored: about.Timestamp, came: now, latest: about.NumPending == 0, lossy: now.Before(r.lossyUntil)}
		if !a.lossy {
			r.sure = max(r.sure, a.place)
		}
		a.heading, a.err = parseHeading(msg.Headers())
		r.mu.Lock()
		for uint64(r.held) >= r.o.Hold && !r.closed {
			r.room.Wait()
		}
		if r.closed {
			r.mu.Unlock()
			msg.Nak()
			return ctx.Err()
		}
		r.held += len(msg.Data())
		r.arrived = append(r.arrived, a)
		r.status.Behind = about.NumPending
		if about.NumDelivered > 1 {
			r.status.Retried++
			if r.again > 0 {
				r.again--
			}
		}
		r.status.InFlight += a.packets
		r.mu.Unlock()
		r.Wake()
	}
}

// take takes what has arrived into the merge.
func (r *Reader) take() {
	r.mu.Lock()
	if r.again > 0 && time.Now().Before(r.gate) {
		r.mu.Unlock()
		return
	}
	all := r.arrived
	r.arrived = nil
	if !r.gate.IsZero() {
		r.again, r.gate = 0, time.Time{}
		slices.SortStableFunc(all, func(a, b *arrival) int { return cmp.Compare(a.place, b.place) })
	}
	r.mu.Unlock()
	for _, a := range all {
		switch {
		case a.err != nil:
			r.o.Logf("%s: a message of %s is %v; it is left out", r.o.Address, a.msg.Subject(), a.err)
			r.finished(a)
		case !r.o.Address.matches(a.Tap):
			r.finished(a)
		case r.merge.add(a):
			r.unwritten[a.at()] = true
		case r.unwritten[a.at()]:
			r.dropped(a) // the first of it is acknowledged when it is written
		default:
			r.finished(a) // it was written before, or is at another place too
		}
	}
	r.mu.Lock()
	r.merge.full = uint64(r.held) >= r.o.Hold
	r.mu.Unlock()
}

// dropped forgets a message that has come again while it waits. It is not to be acknowledged yet.
func (r *Reader) dropped(a *arrival) {
	r.mu.Lock()
	r.held -= len(a.msg.Data())
	r.status.InFlight -= a.packets
	r.room.Broadcast()
	r.mu.Unlock()
}

// finished notes that a message is to be acknowledged at the next Written.
func (r *Reader) finished(a *arrival) {
	r.done = append(r.done, a)
	r.mu.Lock()
	r.held -= len(a.msg.Data())
	r.status.Late, r.refused = r.merge.late, r.merge.refused
	r.room.Broadcast()
	r.mu.Unlock()
}

// Drain implements collect.Input.
func (r *Reader) Drain(most int, fn func(*shm.Record) error) (n int, err error) {
	r.take()
	now := time.Now()
	r.merge.look(now)
	known := len(r.merge.interfaces)
	for n < most {
		t := r.merge.next(now)
		if t == nil {
			break
		}
		if !t.opened() {
			if err := t.open(r.d, r.merge); err != nil {
				r.o.Logf("%s: a message of %s is damaged: %v; what is left of it is left out", r.o.Address, t.Tap, err)
			}
		} else {
			n++
			if err = fn(&t.record); err != nil {
				return n, err
			}
			if err := t.advance(r.merge); err != nil {
				r.o.Logf("%s: a message of %s is damaged: %v; what is left of it is left out", r.o.Address, t.Tap, err)
			}
		}
		if a := t.emptied(); a != nil {
			a.given = true
			r.finished(a)
		}
		r.merge.moved(t, now)
		if len(r.merge.interfaces) > known { // the collector reads the table once a batch
			r.Wake()
			break
		}
	}
	return n, nil
}

// Wait implements collect.Input.
func (r *Reader) Wait(timeout time.Duration) (again bool, err error) {
	if d := r.merge.wait(time.Now()); d < timeout {
		timeout, again = d, true
	}
	select {
	case <-r.roused:
		return true, nil
	case <-time.After(timeout):
		return again, nil
	}
}

// Wake implements collect.Input.
func (r *Reader) Wake() {
	select {
	case r.roused <- struct{}{}:
	default:
	}
}

// Interfaces implements collect.Input: one for each interface of each tap.
func (r *Reader) Interfaces() []shm.Interface { return r.merge.list() }

// Written implements collect.Input: it acknowledges the messages whose packets are written.
func (r *Reader) Written() {
	if len(r.done) == 0 {
		return
	}
	r.mu.Lock()
	for _, a := range r.done {
		r.status.InFlight -= a.packets
		if a.given {
			r.status.Acknowledged += a.packets
		}
	}
	r.mu.Unlock()
	for _, a := range r.done {
		a.msg.Ack() // if it gets lost, the message comes again, and is known
		delete(r.unwritten, a.at())
	}
	clear(r.done)
	r.done = r.done[:0]
}

// Refused implements collect.Input: it is what the messages tell of.
func (r *Reader) Refused() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Status returns how far the reader is. It may be called from any goroutine.
func (r *Reader) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Held, s.Connected = uint64(r.held), r.link.gone().IsZero()
	return s
}

// Name returns the address.
func (r *Reader) Name() string { return r.o.Address.String() }

// Close ends the reading. What was got and not written is given to the next reader of this name at once.
func (r *Reader) Close() error {
	r.stop() // before closed is set: a failure of what gets messages is none then
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	arrived := r.arrived
	r.room.Broadcast()
	r.mu.Unlock()
	<-r.ended
	for _, a := range slices.Concat(r.done, arrived, r.merge.rest()) {
		a.msg.Nak()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	r.link.nc.FlushWithContext(ctx) // without a server they come again after redeliverAfter
	if r.o.Name == "" && r.link.gone().IsZero() {
		r.link.js.DeleteConsumer(ctx, r.o.Address.Stream, r.consumer.CachedInfo().Name)
	}
	r.link.close()
	return nil
}

// _ says that the types are what collect takes.
var (
	_ collect.Input  = (*Reader)(nil)
	_ collect.Output = (*Output)(nil)
)
