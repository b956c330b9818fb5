// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	s := &Archive{o: o, fetched: map[uint64]*fetch{}}
	var err error
	if s.d, err = newDecoder(); err != nil {
		return nil, err
	}
	if s.link, err = connect(ctx, o.Address, o.Access, o.Logf); err != nil {
		return nil, err
	}
	if err := s.link.opening(ctx, func(asked context.Context) error { return s.look(ctx, asked) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// look reads the headers. asked is for questions, which have less time.
func (s *Archive) look(ctx, asked context.Context) error {
	s.messages = nil
	a, l := s.o.Address, s.link
	var err error
	if s.stream, err = l.js.Stream(asked, a.Stream); errors.Is(err, jetstream.ErrStreamNotFound) {
		return l.wrong(errors.New("there is no such stream"))
	} else if err != nil {
		return l.asked(err)
	}
	c, err := l.js.CreateConsumer(asked, a.Stream, jetstream.ConsumerConfig{
		Description: "EtherTAP recall", FilterSubject: a.subject(), HeadersOnly: true, MemoryStorage: true,
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return l.asked(err)
	}
	defer l.js.DeleteConsumer(context.WithoutCancel(ctx), a.Stream, c.CachedInfo().Name)
	left := c.CachedInfo().NumPending
	if left == 0 {
		return nil
	}
	all, err := c.Messages(jetstream.PullMaxMessages(headersPull), jetstream.PullExpiry(patience), jetstream.PullHeartbeat(patience/4))
	if err != nil {
		return l.asked(err)
	}
	defer all.Stop()
	stop := context.AfterFunc(ctx, all.Stop)
	defer stop()
	for ; left > 0; left-- {
		msg, err := all.Next(jetstream.NextMaxWait(patience))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout) && s.nothingLeft(c):
			return nil
		case err != nil:
			return l.asked(err)
		}
		about, err := msg.Metadata()
		if err != nil {
			return l.wrong(err)
		}
		h, err := parseHeading(msg.Headers())
		switch {
		case err != nil:
			s.o.Logf("%s: a message of %s is %v; it is left out", a, msg.Subject(), err)
		case !a.matches(h.Tap), h.packets == 0, h.last < s.o.From, h.first >= s.o.To:
		default:
			s.messages = append(s.messages, Message{
				Name: fmt.Sprintf("%s message %d (%s)", a, about.Sequence.Stream, h.Tap), Tap: h.Tap,
				First: h.first, Last: h.last, Bytes: int64(h.bytes), Packets: h.packets, at: len(s.messages), place: about.Sequence.Stream,
			})
		}
		if about.NumPending == 0 {
			break
		}
	}
	return nil
}

// nothingLeft says whether a consumer has no more messages: the stream may have removed some meanwhile.
func (s *Archive) nothingLeft(c jetstream.Consumer) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	info, err := c.Info(ctx)
	return err == nil && info.NumPending == 0
}

// Name returns the address.
func (s *Archive) Name() string { return s.o.Address.String() }

// Messages returns the messages in the order of the stream.
func (s *Archive) Messages() []Message { return s.messages }

// Section returns the section of a message. Some that follow it are fetched meanwhile.
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
