// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ethertap/lib/capture"
)

// opened opens a stream for a search until the test ends.
func opened(t testing.TB, at Address, logf func(string, ...any)) *Archive {
	t.Helper()
	s, err := Open(t.Context(), FindOptions{Address: at, From: math.MinInt64, To: math.MaxInt64, Logf: logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// packetsOf returns the packets of a message.
func packetsOf(t testing.TB, s *Archive, m Message) (all []string) {
	t.Helper()
	in, err := s.Section(m)
	if err != nil {
		t.Fatal(err)
	}
	section, err := capture.NewReader(in, m.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer section.Close()
	var p capture.Packet
	for err = section.Next(&p); err == nil; err = section.Next(&p) {
		all = append(all, string(p.Data))
	}
	if err != io.EOF {
		t.Error(err)
	}
	return all
}

// cutting passes connections on to a server. When it has passed on as many bytes from the server as limit says,
// the next lost ones are lost, and the connection is cut, once.
func cutting(t testing.TB, to string, limit, lost int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var passed atomic.Int64
	var cut atomic.Bool
	serve := func(c, d net.Conn) {
		defer c.Close()
		defer d.Close()
		go io.Copy(d, c)
		b := make([]byte, 4096)
		for {
			n, err := d.Read(b)
			if err != nil {
				return
			}
			switch all := passed.Add(int64(n)); {
			case cut.Load() || all <= limit:
				c.Write(b[:n])
			case all > limit+lost:
				cut.Store(true)
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go serve(c, d)
		}
	}()
	return l.Addr().String()
}

// What is on its way when the connection is cut while headers are read is read once more.
func TestFindAfterCut(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	const n = 1000
	now := time.Now().UnixNano()
	for i := uint64(1); i <= n; i++ {
		sendOne(t, js, oneTap, "a", i, i-1, "", now+int64(i))
	}
	at, err := Parse("nats://" + cutting(t, s.Addr().String(), 100_000, 50_000) + "/TAPS")
	if err != nil {
		t.Fatal(err)
	}
	log := &notes{t: t}
	found := opened(t, at, log.logf)
	if len(found.Messages()) != n {
		t.Errorf("%d of %d messages are found", len(found.Messages()), n)
	}
	for i, m := range found.Messages() {
		if m.place != uint64(i+1) {
			t.Fatalf("message %d is %s", i, m.Name)
		}
	}
	if !log.has("the connection was cut while headers were read; asking again") {
		t.Error("it does not say so")
	}
}

// A consumer that has sent its last message has nothing left only if that has come.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	sendOne(t, js, oneTap, "a", 1, 0, "", 1)
	c, err := js.CreateConsumer(t.Context(), "TAPS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	var a *Archive
	if a.nothingLeft(c, 1) {
		t.Error("nothing is left, and nothing was sent")
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	if a.nothingLeft(c, 1) {
		t.Error("nothing is left, and the first has not come")
	}
	if !a.nothingLeft(c, 2) {
		t.Error("something is left")
	}
}

// A message that is in the stream twice is found once.
func TestFindStoredTwice(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	for _, m := range []struct {
		run    string
		number uint64
	}{{"a", 1}, {"a", 2}, {"b", 2}, {"a", 3}, {"a", 2}, {"b", 2}, {"a", 4}} { // without ids the server keeps all
		sendOne(t, js, oneTap, m.run, m.number, 0, "", int64(m.number))
	}
	found := opened(t, address(t, "TAPS", s), t.Logf)
	var got []string
	for _, m := range found.Messages() {
		got = append(got, packetsOf(t, found, m)...)
	}
	slices.Sort(got)
	if want := []string{"a 1", "a 2", "a 3", "a 4", "b 2"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Few messages are fetched ahead, also if the clock of a tap is an hour ahead of that of another one, as messages are
// used in the order of time.
func TestFindFetchesAhead(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	const n = 50
	for i := uint64(1); i <= n; i++ {
		sendOne(t, js, Tap{"rack2", "x", "y"}, "b", i, i-1, "", int64(time.Hour)+int64(i/2))
		sendOne(t, js, Tap{"rack1", "x", "y"}, "a", i, i-1, "", int64(i))
	}
	found := opened(t, address(t, "TAPS", s), t.Logf)
	all := slices.Clone(found.Messages())
	slices.SortStableFunc(all, func(a, b Message) int { return cmp.Compare(a.First, b.First) }) // as recall does
	if len(all) != 2*n {
		t.Fatalf("%d messages", len(all))
	}
	for i, m := range all {
		want := fmt.Sprintf("a %d", i+1)
		if i >= n {
			want = fmt.Sprintf("b %d", i-n+1)
		}
		if got := packetsOf(t, found, m); !slices.Equal(got, []string{want}) {
			t.Fatalf("message %d has %q, not %q", i, got, want)
		}
		found.mu.Lock()
		held := len(found.fetched)
		found.mu.Unlock()
		if held >= ahead {
			t.Fatalf("%d messages are held after %d", held, i+1)
		}
	}
}
