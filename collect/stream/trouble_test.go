// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"ethertap/collect"
	"ethertap/lib/capture"
	"ethertap/shm"
)

// notes are the lines of a log.
type notes struct {
	t     testing.TB
	mu    sync.Mutex
	lines []string
}

func (n *notes) logf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
	n.t.Log(n.lines[len(n.lines)-1])
}

func (n *notes) has(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(strings.Join(n.lines, "\n"), text)
}

// ordered checks that packets of one tap came once each and in their order, and returns how many.
func ordered(t testing.TB, all []kept) int {
	t.Helper()
	for i, k := range all {
		if k.data != fmt.Sprintf("tap %d", i) {
			t.Fatalf("packet %d is %q", i, k.data)
		}
	}
	return len(all)
}

// A server that is gone is waited for. What is held is sent then, and no packet is lost or doubled; beyond
// what may be held the queue fills and refuses packets, which are counted and told.
func TestServerGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, func(o *server.Options) { o.StoreDir = dir })
	at, o := address(t, "TAPS", s), optionsOf(s, dir)
	q, p := queue(t, shm.Options{Slots: 1024})
	if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: "eth1", Taps: shm.TapStated | shm.TapRX}}); err != nil {
		t.Fatal(err)
	}
	log := &notes{t: t}
	pub := publish(t, q, PublishOptions{Address: at, Hold: 1 << 20, Logf: log.logf})
	put(t, p, "tap", 0, 1000)
	eventually(t, "the first packets are acknowledged", func() bool { return pub.out.Status().Acknowledged == 1000 })
	s.Shutdown()
	s.WaitForShutdown()
	eventually(t, "it says so", func() bool { return log.has("the server is gone") })
	// Without a server a megabyte is held, and then a queue of 1024 packets fills up.
	sent := 1000
	big := make([]byte, 1200)
	for refused := 0; refused < 1000; {
		copy(big, fmt.Sprintf("tap %d\x00", sent))
		if p.Put([]shm.Record{{Timestamp: time.Now().UnixNano(), Direction: shm.RX, OrigLen: uint32(len(big)), Data: big}}) == 1 {
			sent++
			continue
		}
		if st, err := q.Status(); err != nil || st.Waiting >= 1000 {
			refused++
		}
		time.Sleep(10 * time.Microsecond)
	}
	held := pub.out.Status().Held
	if held < 1<<20 || held > 1<<20+64*2112+sectionSize {
		t.Errorf("%d bytes are held", held)
	}
	again(t, s, o)
	eventually(t, "the rest is acknowledged", func() bool { return pub.out.Status().Acknowledged == uint64(sent) })
	if !log.has("connected to") {
		t.Error("it does not say that the server is there again")
	}
	if err := pub.end(); err != nil {
		t.Error(err)
	}
	st, err := q.Status()
	if err != nil {
		t.Fatal(err)
	}
	r := read(t, ReadOptions{Address: at, All: true})
	eventually(t, "all is read", func() bool { return r.out.count() == sent && r.in.Refused() == st.Full })
	all := r.out.got()
	for i := range all {
		all[i].data, _, _ = strings.Cut(all[i].data, "\x00")
	}
	if n := ordered(t, all); uint64(n) != st.Inserted {
		t.Errorf("%d packets were put in and %d read", st.Inserted, n)
	}
	if st.Full < 1000 {
		t.Errorf("%d packets were refused", st.Full)
	}
}

// A server that does not come back is given up when the run is to end, and what is lost is told.
func TestServerGoneForGood(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	q, p := queue(t, shm.Options{})
	pub := publish(t, q, PublishOptions{Address: address(t, "TAPS", s), endPatience: 2 * time.Second})
	put(t, p, "tap", 0, 10)
	eventually(t, "they are acknowledged", func() bool { return pub.out.Status().Acknowledged == 10 })
	s.Shutdown()
	s.WaitForShutdown()
	put(t, p, "tap", 10, 5)
	eventually(t, "they are taken", func() bool { return pub.c.Tally().Packets == 15 && pub.out.Status().Behind == 5 })
	err := pub.end()
	if err == nil || !strings.HasSuffix(err.Error(), "; 10 packets are safe, 5 more are lost") {
		t.Errorf("%v", err)
	}
}

// The end waits for a stream that has no leader, and asks it again at once, however long the pause was that it
// is in.
func TestEndWaitsForLeader(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	q, p := queue(t, shm.Options{})
	log := &notes{t: t}
	pub := publish(t, q, PublishOptions{Address: address(t, "TAPS", s), Logf: log.logf, endPatience: 20 * time.Second})
	put(t, p, "tap", 0, 10)
	eventually(t, "they are acknowledged", func() bool { return pub.out.Status().Acknowledged == 10 })
	stream, err := js.Stream(t.Context(), "TAPS")
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "TAPS"); err != nil { // to who writes, it is as if it had no leader
		t.Fatal(err)
	}
	put(t, p, "tap", 10, 5)
	eventually(t, "it is said", func() bool {
		return log.has("no stream takes the packets; it may be gone, or have no leader; 5 packets are held")
	})
	pub.out.mu.Lock()
	pub.out.retryAt = time.Now().Add(time.Hour)
	pub.out.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- pub.end() }()
	eventually(t, "the end says what it waits for", func() bool { return log.has("5 packets are not acknowledged; waiting for the stream") })
	if _, err := js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := pub.out.Status(); st.Acknowledged != 15 {
		t.Errorf("%+v", st)
	}
}

// While no stream takes packets, one message at a time asks for it, not all that are held.
func TestOneMessageAsks(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	q, p := queue(t, shm.Options{})
	log := &notes{t: t}
	pub := publish(t, q, PublishOptions{Address: address(t, "TAPS", s), Logf: log.logf, endPatience: time.Millisecond})
	if err := js.DeleteStream(t.Context(), "TAPS"); err != nil {
		t.Fatal(err)
	}
	put(t, p, "tap", 0, 1)
	eventually(t, "it is said", func() bool { return log.has("no stream takes the packets") })
	big := make([]byte, 1400)
	for n := 0; n < 4000; { // ten messages
		if p.Put([]shm.Record{{Timestamp: time.Now().UnixNano(), Direction: shm.RX, OrigLen: 1400, Data: big}}) == 1 {
			n++
		}
	}
	eventually(t, "it is asked again and again", func() bool { return pub.out.Status().Retried >= 5 })
	pub.out.mu.Lock()
	defer pub.out.mu.Unlock()
	if len(pub.out.held) < 5 {
		t.Errorf("%d messages are held", len(pub.out.held))
	}
	for _, m := range pub.out.held[1:] {
		if m.tries > 0 {
			t.Errorf("message %d was sent too", m.number)
		}
	}
}

// A server at which a stream does not answer for long, as one that has lost the others of its cluster, is left
// for another one, by who writes and by who reads.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	alone, well := serve(t, nil), serve(t, nil)
	q, p := queue(t, shm.Options{})
	log := &notes{t: t}
	at := address(t, "TAPS", alone, well)
	const patience = 500 * time.Millisecond
	pub := publish(t, q, PublishOptions{Address: at, Logf: log.logf, leaderPatience: patience})
	if pub.out.link.nc.ConnectedUrl() == well.ClientURL() { // the client begins with any of them
		alone, well = well, alone
	}
	js := jetStream(t, alone)
	stream, err := js.Stream(t.Context(), "TAPS")
	if err != nil {
		t.Fatal(err)
	}
	other := stream.CachedInfo().Config
	other.FirstSeq = 1000 // as if it went on there
	if _, err := jetStream(t, well).CreateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	var r *reading
	for r == nil { // one that reads at the first server too
		r = read(t, ReadOptions{Address: at, All: true, Logf: log.logf, leaderPatience: patience})
		if r.in.link.nc.ConnectedUrl() != alone.ClientURL() {
			r.end(t)
			r = nil
		}
	}
	put(t, p, "tap", 0, 10)
	eventually(t, "they are read", func() bool { return r.out.count() == 10 })
	if err := js.DeleteStream(t.Context(), "TAPS"); err != nil {
		t.Fatal(err)
	}
	put(t, p, "tap", 10, 5)
	eventually(t, "they are acknowledged", func() bool { return pub.out.Status().Acknowledged == 15 })
	if !log.has("it may be gone, or have no leader; trying another server than ") {
		t.Error("it does not say so")
	}
	eventually(t, "they are read", func() bool { return r.out.count() == 15 })
	ordered(t, r.out.got())
}

// Whatever keeps packets out of a stream is one clear line, before anything is taken from the queue.
func TestRefused(t *testing.T) {
	t.Parallel()
	plain := serve(t, func(o *server.Options) { o.JetStream = false })
	usual := serve(t, nil)
	users := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "a", Password: "b"}}
	})
	small := serve(t, func(o *server.Options) { o.MaxPayload = 10_000 })
	js := jetStream(t, usual)
	for _, c := range []jetstream.StreamConfig{
		{Name: "ORDERS", Subjects: []string{"orders.>"}},
		{Name: "DEAF", Subjects: []string{"ethertap.rack1.>"}, NoAck: true},
		{Name: "SHORT", Subjects: []string{"ethertap.rack2.>"}, MaxMsgSize: 1000},
		{Name: "FULL", Subjects: []string{"ethertap.rack3.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "ethertap.rack3.x.y", nil); err != nil {
		t.Fatal(err)
	}
	nowhere, err := Parse("nats://127.0.0.1:1/TAPS")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		o    PublishOptions
		want string
	}{
		{"wrong address", PublishOptions{Address: nowhere}, "nats://127.0.0.1:1/TAPS: no server answers there"},
		{"no JetStream", PublishOptions{Address: address(t, "TAPS", plain)}, "the server has no JetStream for us; it is switched on in its configuration: jetstream {}"},
		{"no credentials", PublishOptions{Address: address(t, "TAPS", users)}, "the server does not let us in; --creds, --nkey, or --tlscert with --tlskey say who we are"},
		{"short payload", PublishOptions{Address: address(t, "TAPS", small)}, "its max_payload is 10000 bytes, and packets need 73728"},
		{"another's stream", PublishOptions{Address: address(t, "ORDERS", usual)}, "the stream is for orders.>, and the packets of this tap are ethertap.rack1.ethertap.tap; name another, or one that is not there yet and is made"},
		{"no acknowledgement", PublishOptions{Address: address(t, "DEAF", usual)}, "the stream acknowledges nothing (no_ack), so packets would be lost; choose another"},
		{"short messages", PublishOptions{Address: address(t, "SHORT", usual), Host: "rack2"}, "the stream takes messages of 1000 bytes, and packets need 73728"},
		{"full", PublishOptions{Address: address(t, "FULL", usual), Host: "rack3"}, "the server refuses packets: maximum messages exceeded"},
		{"another has the subjects", PublishOptions{Address: address(t, "TAPS", usual)}, "there is no such stream, and the server does not make it: subjects overlap with an existing stream"},
		{"replicas", PublishOptions{Address: address(t, "MORE", usual), Limits: Limits{Replicas: 3}}, "there is no such stream, and the server does not make it: replicas > 1 not supported in non-clustered mode"},
		{"no such file", PublishOptions{Address: address(t, "TAPS", usual), Access: Access{Creds: "/nowhere/x.creds"}}, "open /nowhere/x.creds: no such file or directory"},
		{"no such NKEY", PublishOptions{Address: address(t, "TAPS", usual), Access: Access{NKey: "/nowhere/x.nk"}}, "/TAPS: open /nowhere/x.nk: no such file or directory"},
	} {
		t.Run(c.what, func(t *testing.T) {
			q, p := queue(t, shm.Options{})
			put(t, p, "tap", 0, 10)
			pub, err := tryPublish(t, q, c.o)
			if err == nil {
				pub.end()
				t.Fatal("no error")
			}
			if got := err.Error(); !strings.HasSuffix(got, c.want) || !strings.HasPrefix(got, c.o.Address.String()+": ") || strings.Contains(got, "\n") {
				t.Errorf("%q, not %q", got, c.want)
			}
			if st, err := q.Status(); err != nil || st.Waiting != 10 || st.Retrieved != 0 {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
	for name, want := range map[string]string{
		"TAPS":   "there is no such stream; a collector that writes to it makes it",
		"ORDERS": "the stream is for orders.>, and packets are ethertap.*.*.*",
	} {
		if _, err := Read(t.Context(), ReadOptions{Address: address(t, name, usual), Logf: t.Logf}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}

// The rights that docs/many-taps.md gives: a tap can make the stream and write, and a reader can read and
// search, and cannot write, which it is told.
func TestRights(t *testing.T) {
	t.Parallel()
	readOnly := &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.STREAM.INFO.TAPS", "$JS.API.CONSUMER.INFO.TAPS.>", "$JS.API.CONSUMER.CREATE.TAPS.>", "$JS.API.CONSUMER.DELETE.TAPS.>",
			"$JS.API.CONSUMER.MSG.NEXT.TAPS.>", "$JS.API.DIRECT.GET.TAPS.>", "$JS.API.DIRECT.GET.TAPS", "$JS.API.STREAM.MSG.GET.TAPS", "$JS.ACK.TAPS.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
	writes := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"ethertap.>", "$JS.API.STREAM.INFO.TAPS", "$JS.API.STREAM.CREATE.TAPS"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
	reader, writer := newKey(t), newKey(t)
	s := serve(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: writer.public, Permissions: writes}, {Nkey: reader.public, Permissions: readOnly}}
	})
	at := address(t, "TAPS", s)
	q, p := queue(t, shm.Options{})
	pub := publish(t, q, PublishOptions{Address: at, Access: Access{NKey: writer.file}})
	put(t, p, "tap", 0, 100)
	r := read(t, ReadOptions{Address: at, Access: Access{NKey: reader.file}, Name: "all", All: true})
	eventually(t, "all is read", func() bool { return r.out.count() == 100 })
	ordered(t, r.out.got())
	eventually(t, "all is acknowledged", func() bool { return pub.out.Status().Acknowledged == 100 })
	found, err := Open(t.Context(), FindOptions{Address: at, Access: Access{NKey: reader.file}, From: 0, To: time.Now().UnixNano(), Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	packets := uint64(0)
	for _, m := range found.Messages() {
		in, err := found.Section(m)
		if err != nil {
			t.Fatal(err)
		}
		section, err := capture.NewReader(in, m.Name)
		if err != nil {
			t.Fatal(err)
		}
		var p capture.Packet
		for err = section.Next(&p); err == nil; err = section.Next(&p) {
			if want := fmt.Sprintf("tap %d", packets); string(p.Data) != want || p.Time < m.First || p.Time > m.Last {
				t.Errorf("%q, not %q", p.Data, want)
			}
			packets++
		}
	}
	if packets != 100 {
		t.Errorf("%d packets are found", packets)
	}
	q2, p2 := queue(t, shm.Options{})
	put(t, p2, "tap", 0, 10)
	_, err = tryPublish(t, q2, PublishOptions{Address: at, Access: Access{NKey: reader.file}, Host: "rack9"})
	if err == nil || !strings.Contains(err.Error(), `the server does not allow it: Permissions Violation for Publish to "ethertap.rack9.ethertap.tap"`) {
		t.Errorf("%v", err)
	}
}

// The server's disk is full: that is said, nothing is lost, and it goes on when there is room.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("a small file system is mounted by root alone")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	s := serve(t, func(o *server.Options) { o.StoreDir, o.JetStreamMaxStore = filepath.Join(dir, "store"), 1<<30 })
	at, o := address(t, "TAPS", s), optionsOf(s, filepath.Join(dir, "store"))
	o.JetStreamMaxStore = 1 << 30
	q, p := queue(t, shm.Options{})
	log := &notes{t: t}
	pub := publish(t, q, PublishOptions{Address: at, Logf: log.logf, ackWait: 2 * time.Second})
	const n = 10_000
	for sent := 0; sent < n; {
		data := make([]byte, 1400)
		copy(data, fmt.Sprintf("tap %d\x00", sent))
		if p.Put([]shm.Record{{Timestamp: time.Now().UnixNano(), Direction: shm.RX, OrigLen: 1400, Data: data}}) == 1 {
			sent++
		} else {
			time.Sleep(time.Millisecond)
		}
	}
	eventually(t, "it is said", func() bool { return log.has("trying again") })
	if st := pub.out.Status(); st.Acknowledged == n {
		t.Error("all is acknowledged")
	}
	// A server that has met a full disk serves no streams until it is started again.
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT, "size=200m"); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	again(t, s, o)
	eventually(t, "all is acknowledged", func() bool { return pub.out.Status().Acknowledged == n })
	r := read(t, ReadOptions{Address: at, All: true})
	eventually(t, "all is read", func() bool { return r.out.count() == n })
	all := r.out.got()
	for i := range all {
		all[i].data, _, _ = strings.Cut(all[i].data, "\x00")
	}
	ordered(t, all)
}

// A reader with a name goes on behind what its output has written. What it had got and not written comes
// again; nothing comes twice.
func TestReaderGoesOn(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	at := address(t, "TAPS", s)
	q, p := queue(t, shm.Options{})
	publish(t, q, PublishOptions{Address: at})
	put(t, p, "tap", 0, 500)
	first := read(t, ReadOptions{Address: at, Name: "keeper", All: true})
	eventually(t, "the first are read", func() bool { return first.out.count() == 500 })
	first.end(t)
	put(t, p, "tap", 500, 500)
	in, err := Read(t.Context(), ReadOptions{Address: at, Name: "keeper", All: true, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	eventually(t, "the next are got", func() bool {
		in.Drain(64, func(*shm.Record) error { seen++; return nil })
		return seen == 500
	})
	in.Close() // without Written
	third := read(t, ReadOptions{Address: at, Name: "keeper", All: true})
	eventually(t, "they come again", func() bool { return third.out.count() >= 500 })
	all := append(first.out.got(), third.out.got()...)
	if n := ordered(t, all); n != 1000 {
		t.Errorf("%d", n)
	}
	third.end(t)
	put(t, p, "tap", 1000, 1)
	// Without All it begins anew with what comes.
	fourth := read(t, ReadOptions{Address: at, Name: "keeper"})
	eventually(t, "the tap has sent it", func() bool { st, err := q.Status(); return err == nil && st.Waiting == 0 })
	put(t, p, "tap", 1001, 1)
	eventually(t, "one comes", func() bool { return fourth.out.count() > 0 })
	if k := fourth.out.got(); k[len(k)-1].data != "tap 1001" {
		t.Errorf("%+v", k)
	}
}

// Another collector in the place of one that was killed goes on, and what it takes is told apart from what
// the first one sent.
func TestCollectorKilled(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	at := address(t, "TAPS", s)
	q, p := queue(t, shm.Options{})
	st, err := q.Status()
	if err != nil {
		t.Fatal(err)
	}
	source, err := collect.OpenSource(st.Name, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Publish(t.Context(), PublishOptions{Address: at, Host: "rack1", Queue: "tap", Created: source.Created, Instance: func() string { return "ethertap" }, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	c := collect.New(collect.Run{Source: source, Output: out, Received: true})
	go func() { ended <- c.Collect(ctx) }()
	put(t, p, "tap", 0, 300)
	eventually(t, "acknowledged", func() bool { return out.Status().Acknowledged == 300 })
	out.link.nc.Close() // as if it were killed: nothing more is sent
	stop()
	<-ended
	source.Close()
	put(t, p, "tap", 300, 200)
	publish(t, q, PublishOptions{Address: at})
	r := read(t, ReadOptions{Address: at, All: true})
	eventually(t, "all is read", func() bool { return r.out.count() == 500 })
	ordered(t, r.out.got())
}

// sendOne puts one message of a run into a stream, with an id, "" is none, and packets of these times.
func sendOne(t testing.TB, js jetstream.JetStream, tap Tap, run string, number, safe uint64, id string, times ...int64) {
	t.Helper()
	sections, err := collect.NewSections(collect.Options{Interfaces: []shm.Interface{{Name: "eth1"}}}, sectionSize)
	if err != nil {
		t.Fatal(err)
	}
	sections.Begin(0)
	for _, at := range times {
		sections.Append(at, &shm.Record{Data: fmt.Appendf(nil, "%s %d", run, number)})
	}
	data, about := sections.End(0)
	h := heading{Tap: tap, run: run, number: number, first: about.First, last: about.Last, packets: about.Packets, bytes: uint64(len(data))}
	n := h.header()
	n.Set(headerSafe, fmt.Sprint(safe))
	if id != "" {
		n.Set(jetstream.MsgIDHeader, id)
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: tap.subject(), Header: n, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// makeStream makes a stream TAPS, in which a message with the id of an earlier one is dropped for a while.
func makeStream(t testing.TB, js jetstream.JetStream, duplicates time.Duration) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TAPS", Subjects: []string{"ethertap.>"}, Duplicates: duplicates, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
}

var oneTap = Tap{"rack1", "ethertap", "tap"}

// A message that waits for longer than the server does, before its packets are written, comes again. It is not
// acknowledged for that: the next reader of the name gets it.
func TestWaitingIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	o := ReadOptions{Address: address(t, "TAPS", s), Name: "keeper", All: true, Logf: t.Logf, redeliverAfter: 200 * time.Millisecond}
	now := time.Now().UnixNano()
	sendOne(t, js, oneTap, "a", 1, 0, "", now)
	for n := uint64(3); n <= 7; n++ { // the second is late
		sendOne(t, js, oneTap, "a", n, 1, "", now+int64(n))
	}
	first, err := Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	drain := func(in *Reader) {
		in.Drain(64, func(r *shm.Record) error { got = append(got, string(r.Data)); return nil })
		in.Written()
	}
	eventually(t, "those that wait have come again", func() bool {
		drain(first)
		return first.Status().Retried >= 5
	})
	drain(first)
	if st := first.Status(); st.Acknowledged != 1 || st.InFlight != 5 {
		t.Errorf("%+v", st)
	}
	first.Close()
	sendOne(t, js, oneTap, "a", 2, 1, "", now+2)
	second, err := Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	eventually(t, "the next reader gets them", func() bool { drain(second); return len(got) >= 7 })
	if want := []string{"a 1", "a 2", "a 3", "a 4", "a 5", "a 6", "a 7"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	eventually(t, "all are acknowledged", func() bool {
		drain(second)
		c, err := js.Consumer(t.Context(), "TAPS", consumerName("keeper"))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().AckFloor.Stream == 7
	})
}

// A reader may be ended while a message comes for which there is no room.
func TestReaderEndsAsMessageComes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	js := jetStream(t, s)
	makeStream(t, js, time.Minute)
	log := &notes{t: t}
	in, err := Read(t.Context(), ReadOptions{Address: address(t, "TAPS", s), Name: "keeper", All: true, Hold: 1, Logf: log.logf})
	if err != nil {
		t.Fatal(err)
	}
	sendOne(t, js, oneTap, "a", 1, 0, "", time.Now().UnixNano())
	sendOne(t, js, oneTap, "a", 2, 1, "", time.Now().UnixNano())
	pending := func(n int) bool {
		c, err := js.Consumer(t.Context(), "TAPS", consumerName("keeper"))
		return err == nil && c.CachedInfo().NumAckPending == n
	}
	eventually(t, "the second has come", func() bool { return pending(2) && in.Status().InFlight == 1 })
	stop := in.stop
	in.stop = func() { // the goroutine that gets messages goes on until it is told
		in.mu.Lock()
		closed := in.closed
		in.mu.Unlock()
		if closed {
			eventually(t, "it has seen the end", func() bool { return log.has("trying again") })
		}
		stop()
	}
	in.Close()
	if log.has("trying again") {
		t.Error("the end is taken for a failure")
	}
}

// A message may be acknowledged while it is sent once more, as after a reconnect. What is sent is whole all the
// same.
func TestAcknowledgedWhileSent(t *testing.T) {
	t.Parallel()
	p := &Output{reply: "inbox.", held: []*message{{heading: heading{number: 1}, data: []byte("packets")}}}
	p.room = sync.NewCond(&p.mu)
	m, packed, _ := p.next()
	p.unsend()
	_, again, _ := p.next()
	p.took(0, m) // of the first attempt
	for _, sent := range []*nats.Msg{packed, again} {
		if string(sent.Data) != "packets" || sent.Reply != "inbox.1" {
			t.Errorf("%q, %q", sent.Data, sent.Reply)
		}
	}
	if p.flying != 0 || len(p.held) != 0 || p.status.Retried != 1 {
		t.Errorf("%d bytes are in flight; %d messages are held; %+v", p.flying, len(p.held), p.status)
	}
}

// A stream may be deleted and made again while it is read. Its numbers begin anew then, and what is in it is read
// from the first on, also by a reader that began with what came.
func TestStreamMadeAgain(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{true, false} {
		t.Run(fmt.Sprintf("all=%v", all), func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			js := jetStream(t, s)
			c := jetstream.StreamConfig{Name: "TAPS", Subjects: []string{"ethertap.>"}, FirstSeq: 1000}
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			at := address(t, "TAPS", s)
			log := &notes{t: t}
			r := read(t, ReadOptions{Address: at, All: all, Logf: log.logf})
			q, p := queue(t, shm.Options{})
			pub := publish(t, q, PublishOptions{Address: at})
			put(t, p, "tap", 0, 100)
			eventually(t, "the first are read", func() bool { return r.out.count() == 100 })
			if err := js.DeleteStream(t.Context(), "TAPS"); err != nil {
				t.Fatal(err)
			}
			put(t, p, "tap", 100, 100)
			eventually(t, "they are held", func() bool { return pub.out.Status().Held > 0 && pub.c.Tally().Packets == 200 })
			makeStream(t, js, time.Minute)
			eventually(t, "they are read", func() bool { return r.out.count() >= 200 })
			ordered(t, r.out.got())
			if !log.has("the stream was made again") {
				t.Error("it does not say so")
			}
		})
	}
}

// A server that comes back with a lower limit for messages ends the run, with one line, when a message is longer.
func TestLowerPayload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, func(o *server.Options) { o.StoreDir = dir })
	at, o := address(t, "TAPS", s), optionsOf(s, dir)
	q, p := queue(t, shm.Options{})
	log := &notes{t: t}
	pub := publish(t, q, PublishOptions{Address: at, Logf: log.logf})
	put(t, p, "tap", 0, 10)
	eventually(t, "they are acknowledged", func() bool { return pub.out.Status().Acknowledged == 10 })
	s.Shutdown()
	s.WaitForShutdown()
	o.MaxPayload = 100 << 10
	again(t, s, o)
	eventually(t, "it is back", func() bool { return log.has("connected to") })
	put(t, p, "tap", 10, 10)
	eventually(t, "a short message is acknowledged", func() bool { return pub.out.Status().Acknowledged == 20 })
	big := make([]byte, 1400)
	eventually(t, "it ends", func() bool {
		for range 500 {
			p.Put([]shm.Record{{Timestamp: time.Now().UnixNano(), Direction: shm.RX, OrigLen: 1400, Data: big}})
		}
		return len(pub.err) > 0
	})
	err := pub.end()
	if err == nil || !strings.Contains(err.Error(), "/TAPS: the server takes messages of 102400 bytes now (max_payload), and one that is held has ") ||
		!strings.Contains(err.Error(), "; 20 packets are safe, ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
