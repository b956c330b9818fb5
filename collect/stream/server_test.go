// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/collect"
	"ethertap/shm"
)

// serve runs a NATS server until the test ends. change sets what is not usual.
func serve(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return s
}

// again runs a server that was shut down once more, with what it had.
func again(t testing.TB, old *server.Server, o server.Options) *server.Server {
	t.Helper()
	return serve(t, func(n *server.Options) { *n = o })
}

// optionsOf returns the options by which a server can be run again at the same place.
func optionsOf(s *server.Server, dir string) server.Options {
	a := s.Addr().(*net.TCPAddr)
	return server.Options{Host: "127.0.0.1", Port: a.Port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true}
}

// jetStream returns a client of a server until the test ends.
func jetStream(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// address returns the address of a stream on servers.
func address(t testing.TB, stream string, all ...*server.Server) Address {
	t.Helper()
	text := "nats://"
	for i, s := range all {
		if i > 0 {
			text += ","
		}
		u, err := url.Parse(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		text += u.Host
	}
	a, err := Parse(text + "/" + stream)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a minute, and not yet: %s", what)
		}
	}
}

// queue makes a queue and a producer that fills it.
func queue(t testing.TB, o shm.Options) (*shm.Queue, *shm.Producer) {
	t.Helper()
	o.Role, o.Name = shm.RoleOther, "test"
	q, err := shm.Open(fmt.Sprintf("test.stream.%d.%x", os.Getpid(), rand.Uint64()), o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := q.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		st, err := q.Status()
		if err != nil {
			t.Error(err)
		}
		p.Close()
		q.Close()
		if err := shm.Delete(st.Name); err != nil {
			t.Error(err)
		}
	})
	return q, p
}

// publishing is a collector that puts what is in a queue into a stream.
type publishing struct {
	out  *Output
	c    *collect.Collector
	stop context.CancelFunc
	err  chan error
}

// publish begins a collector from a queue to a stream.
func publish(t testing.TB, q *shm.Queue, o PublishOptions) *publishing {
	t.Helper()
	p, err := tryPublish(t, q, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryPublish(t testing.TB, q *shm.Queue, o PublishOptions) (*publishing, error) {
	t.Helper()
	st, err := q.Status()
	if err != nil {
		t.Fatal(err)
	}
	if o.Logf == nil {
		o.Logf = t.Logf
	}
	source, err := collect.OpenSource(st.Name, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	if o.Host == "" {
		o.Host = "rack1"
	}
	o.Queue, o.Created, o.Packets.Interfaces = "tap", source.Created, source.Interfaces()
	if o.Instance == nil {
		o.Instance = func() string { return "ethertap" }
	}
	out, err := Publish(t.Context(), o)
	if err != nil {
		return nil, err
	}
	p := &publishing{out: out, c: collect.New(collect.Run{Source: source, Output: out, Received: true}), err: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() { p.err <- p.c.Collect(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case <-p.err:
		case <-time.After(time.Minute):
			t.Error("the collector does not end")
		}
	})
	return p, nil
}

// end ends a collector and returns its error.
func (p *publishing) end() error {
	p.stop()
	err := <-p.err
	p.err <- nil
	return err
}

// kept is a packet that a reader got.
type kept struct {
	time  int64
	iface string
	data  string
	fault uint32
	id    uint64
}

// memory is an output that keeps packets.
type memory struct {
	mu         sync.Mutex
	interfaces []shm.Interface
	packets    []kept
	fail       error // of Flush
}

func (m *memory) Append(_ time.Time, stamp int64, r *shm.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := "?"
	if int(r.Interface) < len(m.interfaces) {
		name = m.interfaces[r.Interface].Name
	}
	m.packets = append(m.packets, kept{stamp, name, string(r.Data), r.Fault, r.PacketID})
	return nil
}

func (m *memory) Describe(list []shm.Interface) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.interfaces = list
}

func (m *memory) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail
}

func (m *memory) Knows(r *shm.Record) bool { return int(r.Interface) < len(m.interfaces) }
func (m *memory) got() []kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]kept(nil), m.packets...)
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.packets)
}
func (m *memory) Skipped(*shm.Record)      {}
func (m *memory) Room() bool               { return true }
func (m *memory) Full() bool               { return false }
func (m *memory) Hold() bool               { return false }
func (m *memory) Due(time.Time) error      { return nil }
func (m *memory) Reopen(time.Time) error   { return nil }
func (m *memory) ReaderGone() bool         { return false }
func (m *memory) Describes() bool          { return true }
func (m *memory) Counts() (uint64, uint64) { return uint64(m.count()), 0 }
func (m *memory) Title() string            { return "memory" }
func (m *memory) HurryUp()                 {}
func (m *memory) Close(time.Time) error    { return m.Flush() }

// reading is a collector that reads a stream into memory.
type reading struct {
	in   *Reader
	out  *memory
	stop context.CancelFunc
	err  chan error
}

func read(t testing.TB, o ReadOptions) *reading {
	t.Helper()
	if o.Logf == nil {
		o.Logf = t.Logf
	}
	in, err := Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{in: in, out: &memory{}, err: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	c := collect.New(collect.Run{Source: in, Output: r.out, Received: true})
	go func() { r.err <- c.Collect(ctx) }()
	t.Cleanup(func() { r.end(t) })
	return r
}

// end ends a reader.
func (r *reading) end(t testing.TB) {
	r.stop()
	if err := <-r.err; err != nil {
		t.Error(err)
	}
	r.err <- nil
	r.in.Close()
}
