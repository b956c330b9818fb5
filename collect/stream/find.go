// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ahead is how many messages are fetched while one is read. Of 512 KiB each, on a line with a round
	// trip of 20 ms, that is 200 MB/s.
	ahead = 8

	// headersPull is how many headers are asked for at a time.
	headersPull = 2000
)

// FindOptions say what is looked for in a stream.
type FindOptions struct {
	Address  Address
	Access   Access
	From, To int64 // times, ns since the epoch: messages with a packet from From on and before To
	Logf     func(format string, args ...any)
}

// Archive is a stream that is searched: the messages that were in it when it was opened. It reads and
// changes nothing.
type Archive struct {
	o        FindOptions
	link     *link
	stream   jetstream.Stream
	d        *zstd.Decoder
	messages []Message
	seen     map[string]*spans // the numbers of the messages that were in the stream, by their runs

	mu      sync.Mutex
	fetched map[uint64]*fetch
}

// Message is a message of an Archive.
type Message struct {
	Name    string // address, tap and number in the stream, for errors
	Tap     Tap
	First   int64 // the time of its earliest packet, ns since the epoch
	Last    int64 // and of its latest
	Bytes   int64 // length of its section
	Packets uint64
	at      int    // in messages
	place   uint64 // in the stream
}

// fetch is a message that is being fetched.
type fetch struct {
	done chan struct{}
	data []byte
	err  error
}

// Open reads the headers of all messages of a stream, and keeps those that can have packets of the times
// asked for. The times are those of the packets, so clocks that differ do not matter.
func Open(ctx context.Context, o FindOptions) (*Archive, error) {
	s := &Archive{o: o, seen: map[string]*spans{}, fetched: map[uint64]*fetch{}}
	var err error
	if s.d, err = newDecoder(); err != nil {
		return nil, err
	}
	if s.link, err = connect(ctx, o.Address, o.Access, o.Logf); err != nil {
		return nil, err
	}
	if err = s.link.opening(ctx, s.open); err == nil {
		err = s.look(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open finds the stream.
func (s *Archive) open(ctx context.Context) (err error) {
	if s.stream, err = s.link.js.Stream(ctx, s.o.Address.Stream); errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.link.wrong(errors.New("there is no such stream"))
	} else if err != nil {
		return s.link.asked(err)
	}
	return nil
}

// errCut says that headers were sent to us and have not come, or come no more.
var errCut = errors.New("the connection was cut while headers were read")

// look reads the headers. If they do not all come, it goes on after the last one that has, for as long as openPatience
// without another.
func (s *Archive) look(ctx context.Context) error {
	next, last := uint64(1), s.stream.CachedInfo().State.LastSeq
	since := time.Now()
	for attempt := 1; next <= last; attempt++ {
		came, err := s.headers(ctx, next, last)
		if came > next {
			next, attempt, since = came, 1, time.Now()
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return s.link.wrong(context.Cause(ctx))
		}
		err = s.link.asked(err)
		if !errors.Is(err, errCut) && !errors.Is(err, errUnanswered) || time.Since(since) > openPatience {
			return err
		}
		if attempt == 1 {
			s.o.Logf("%v; asking again", err)
		}
		sleep(ctx, backoff(attempt))
	}
	// They are fetched in the order in which they are used.
	slices.SortStableFunc(s.messages, func(a, b Message) int { return cmp.Compare(a.First, b.First) })
	for i := range s.messages {
		s.messages[i].at = i
	}
	return nil
}

// headers reads the headers of the messages in the stream from next to last. It returns which is the next one then,
// also with an error.
func (s *Archive) headers(ctx context.Context, next, last uint64) (uint64, error) {
	a, l := s.o.Address, s.link
	asked, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	c, err := l.js.CreateConsumer(asked, a.Stream, jetstream.ConsumerConfig{
		Description: "EtherTAP recall", FilterSubject: a.subject(), HeadersOnly: true, MemoryStorage: true,
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return next, err
	}
	defer l.js.DeleteConsumer(context.WithoutCancel(ctx), a.Stream, c.CachedInfo().Name)
	if c.CachedInfo().NumPending == 0 {
		return last + 1, nil
	}
	all, err := c.Messages(jetstream.PullMaxMessages(headersPull), jetstream.PullExpiry(patience), jetstream.PullHeartbeat(patience/4))
	if err != nil {
		return next, err
	}
	defer all.Stop()
	stop := context.AfterFunc(ctx, all.Stop)
	defer stop()
	// Nothing is acknowledged, so what is on its way when the connection is cut does not come again.
	l.tell(all.Stop)
	defer l.tell(nil)
	for due := uint64(1); ; due++ {
		msg, err := all.Next(jetstream.NextMaxWait(patience))
		switch {
		case ctx.Err() != nil:
			return next, ctx.Err()
		case errors.Is(err, nats.ErrTimeout) && s.nothingLeft(c, due):
			return last + 1, nil
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return next, errCut
		case err != nil:
			return next, err
		}
		about, err := msg.Metadata()
		switch {
		case err != nil:
			return next, err
		case about.Sequence.Consumer != due:
			return next, errCut
		case about.Sequence.Stream > last:
			return last + 1, nil
		}
		s.consider(msg, about.Sequence.Stream)
		if next = about.Sequence.Stream + 1; about.NumPending == 0 || next > last {
			return last + 1, nil
		}
	}
}

// consider keeps a message if it can have packets that are looked for.
func (s *Archive) consider(msg jetstream.Msg, place uint64) {
	a := s.o.Address
	h, err := parseHeading(msg.Headers())
	switch {
	case err != nil:
		s.o.Logf("%s: a message of %s is %v; it is left out", a, msg.Subject(), err)
	case !s.first(&h): // it is stored twice: it was sent again when the server had forgotten its id
	case !a.matches(h.Tap), h.packets == 0, h.last < s.o.From, h.first >= s.o.To:
	default:
		s.messages = append(s.messages, Message{
			Name: fmt.Sprintf("%s message %d (%s)", a, place, h.Tap), Tap: h.Tap,
			First: h.first, Last: h.last, Bytes: int64(h.bytes), Packets: h.packets, place: place,
		})
	}
}

// first says whether a message is the first of its number in its run.
func (s *Archive) first(h *heading) bool {
	numbers := s.seen[h.run]
	if numbers == nil {
		numbers = new(spans)
		s.seen[h.run] = numbers
	}
	return numbers.add(h.number)
}

// nothingLeft says whether a consumer has no more messages from the due one on, which it neither has nor has sent:
// the stream may have removed some meanwhile.
func (s *Archive) nothingLeft(c jetstream.Consumer, due uint64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	info, err := c.Info(ctx)
	return err == nil && info.NumPending == 0 && info.Delivered.Consumer < due
}

// Name returns the address.
func (s *Archive) Name() string { return s.o.Address.String() }

// Messages returns the messages in the order of their first packets, and those of the same time in that of the
// stream.
func (s *Archive) Messages() []Message { return s.messages }

// Section returns the section of a message. Some that follow it in the order of Messages are fetched meanwhile, and
// kept until they are asked for.
func (s *Archive) Section(m Message) (io.Reader, error) {
	f := s.fetch(m.at)
	for i := 1; i < ahead && m.at+i < len(s.messages); i++ {
		s.fetch(m.at + i)
	}
	<-f.done
	s.mu.Lock()
	delete(s.fetched, m.place)
	s.mu.Unlock()
	if f.err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, f.err)
	}
	return bytes.NewReader(f.data), nil
}

// fetch begins to fetch a message, unless that was begun.
func (s *Archive) fetch(at int) *fetch {
	m := &s.messages[at]
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fetched[m.place]
	if f != nil {
		return f
	}
	f = &fetch{done: make(chan struct{})}
	s.fetched[m.place] = f
	go func() {
		defer close(f.done)
		f.data, f.err = s.get(m.place)
	}()
	return f
}

// get fetches the section of a message.
func (s *Archive) get(place uint64) ([]byte, error) {
	var msg *jetstream.RawStreamMsg
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		var err error
		msg, err = s.stream.GetMsg(ctx, place)
		cancel()
		if err == nil {
			break
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, errors.New("the stream has removed it meanwhile")
		}
		if attempt == 3 {
			return nil, reason(err)
		}
		time.Sleep(backoff(attempt))
	}
	h, err := parseHeading(nats.Header(msg.Header))
	if err != nil {
		return nil, err
	}
	return h.unpack(s.d, msg.Data)
}

// Close ends the connection.
func (s *Archive) Close() { s.link.close() }
