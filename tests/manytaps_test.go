// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/lib/capture"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// natsServer is a server of a cluster, as a process, and the way to it, which can be cut.
type natsServer struct {
	t      *testing.T
	config string
	port   int // of clients
	proc   *netlab.Process
	way    *wire
	routes []*wire // to and from the others of the cluster
}

// wire passes TCP connections on, unless it is cut: then nothing arrives, and nobody is told. While it is off it
// ends all connections.
type wire struct {
	listener net.Listener
	cut, off atomic.Bool
	passing  atomic.Int32 // connections
}

// newWire returns a wire to a port.
func newWire(t *testing.T, port int) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					return
				}
				defer far.Close()
				w.passing.Add(1)
				defer w.passing.Add(-1)
				var ends sync.WaitGroup
				for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
					ends.Go(func() {
						w.pass(way[0], way[1])
						near.Close()
						far.Close()
					})
				}
				ends.Wait()
			}()
		}
	}()
	return w
}

// pass copies, and waits while the wire is cut.
func (w *wire) pass(from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		from.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := from.Read(buf)
		if w.off.Load() {
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		for w.cut.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// natsCluster starts three servers. They reach each other over wires alone: what they advertise to each other is
// a port at which nobody listens.
func natsCluster(t *testing.T) (all []*natsServer) {
	t.Helper()
	var ports [3][2]int
	var wires [3][]*wire
	var routes [3][]string
	for i := range ports {
		ports[i] = [2]int{freePort(t), freePort(t)}
		for from := range ports {
			if from != i {
				w := newWire(t, ports[i][1])
				wires[i], wires[from] = append(wires[i], w), append(wires[from], w)
				routes[from] = append(routes[from], "nats://"+w.listener.Addr().String())
			}
		}
	}
	for i, p := range ports {
		dir := t.TempDir()
		s := &natsServer{t: t, config: filepath.Join(dir, "nats.conf"), port: p[0], way: newWire(t, p[0]), routes: wires[i]}
		writeFile(t, s.config, fmt.Sprintf(`
server_name: n%d
listen: "127.0.0.1:%d"
log_file: %q
jetstream { store_dir: %q }
cluster { name: taps, listen: "127.0.0.1:%d", advertise: "127.0.0.1:1", no_advertise: true, routes: [%s] }
`, i+1, p[0], filepath.Join(dir, "log"), dir, p[1], strings.Join(routes[i], ", ")))
		s.start()
		all = append(all, s)
	}
	return all
}

// addressOf returns the address of a stream of a cluster, over its wires.
func addressOf(servers []*natsServer) string {
	var ways []string
	for _, s := range servers {
		ways = append(ways, s.way.listener.Addr().String())
	}
	return "nats://" + strings.Join(ways, ",") + "/TAPS"
}

func (s *natsServer) start() {
	s.proc = netlab.StartProcess(s.t, exec.Command(netlab.Build(s.t, "./tests/natsd"), s.config))
}

// kill kills the server as kill -9 does.
func (s *natsServer) kill() {
	s.t.Helper()
	if err := s.proc.Signal(os.Kill); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.proc.Wait(time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

// askServers has a client of servers that may be gone ask something, for two seconds at most.
func askServers(servers []*natsServer, ask func(context.Context, jetstream.JetStream) error) error {
	var urls []string
	for _, s := range servers {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", s.port))
	}
	nc, err := nats.Connect(strings.Join(urls, ","))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return ask(ctx, js)
}

// streamOf returns the state of a stream, nil if it cannot be had now.
func streamOf(servers []*natsServer, name string) (info *jetstream.StreamInfo) {
	_ = askServers(servers, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, name)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info
}

// whole says whether all three servers have all of a stream.
func whole(servers []*natsServer, name string) bool {
	info := streamOf(servers, name)
	if info == nil || info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
		return false
	}
	return !slices.ContainsFunc(info.Cluster.Replicas, func(r *jetstream.PeerInfo) bool { return !r.Current || r.Offline })
}

// collectors returns a directory of a test, and what starts collectors in it.
func collectors(t *testing.T) (dir string, start func(args ...string) *netlab.Process) {
	t.Helper()
	collect := netlab.Build(t, "./cmd/collect")
	dir = t.TempDir()
	return dir, func(args ...string) *netlab.Process {
		cmd := exec.Command(collect, args...)
		cmd.Env = append(os.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(dir, "run"), "HOME="+dir)
		return netlab.StartProcess(t, cmd)
	}
}

// trafficQueue is a queue that gets numbered frames, as from a tap. Who finds no room loses the frame.
type trafficQueue struct {
	name    string
	q       *shm.Queue
	sent    uint64
	refused map[uint64]bool
}

func newTrafficQueue(t *testing.T, iface string) *trafficQueue {
	t.Helper()
	name := fmt.Sprintf("%stest.%d.%x", shm.Prefix, os.Getpid(), rand.Uint32())
	q, err := shm.Open(name, shm.Options{Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		if err := shm.Delete(name); err != nil {
			t.Error(err)
		}
	})
	if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: iface, Taps: shm.TapStated | shm.TapRX}}); err != nil {
		t.Fatal(err)
	}
	return &trafficQueue{name: name, q: q, refused: map[uint64]bool{}}
}

// traffic sends frames until stop is closed, so many a second.
func (q *trafficQueue) traffic(t *testing.T, perSecond int, stop <-chan struct{}) {
	p, err := q.q.NewProducer("test")
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close()
	begin := time.Now()
	for {
		select {
		case <-stop:
			return
		default:
		}
		for due := uint64(time.Since(begin).Seconds() * float64(perSecond)); q.sent < due; q.sent++ {
			frame := netlab.UDP(200, q.sent)
			r := shm.Record{Timestamp: time.Now().UnixNano(), PacketID: q.sent, Direction: shm.RX, OrigLen: uint32(len(frame)), Data: frame}
			if q.sent%1000 == 3 {
				r.Fault = shm.FaultBitflip
			}
			if p.Put([]shm.Record{r}) == 0 {
				q.refused[q.sent] = true
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// numbersOf reads a capture file: the numbers of its frames, and what it says was lost, by interface.
func numbersOf(t *testing.T, path string) (numbers map[string][]uint64, lost map[string]uint64) {
	t.Helper()
	r, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	numbers, lost = map[string][]uint64{}, map[string]uint64{}
	for {
		var p capture.Packet
		err := r.Next(&p)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := r.Interfaces()[p.Interface].Name
		n, ok := netlab.Seq(p.Data)
		if !ok {
			t.Fatalf("%s: a frame without a number", path)
		}
		numbers[name] = append(numbers[name], n)
	}
	for _, on := range r.Interfaces() {
		if on.Statistics != nil {
			lost[on.Name] += on.Statistics.Counts[capture.InterfDrop]
		}
	}
	return numbers, lost
}

// chaos says how long and how hard.
type chaos struct {
	servers   int           // how often a server is killed
	down      time.Duration // and for how long
	cut       time.Duration // so long the network is cut
	perSecond int           // frames of a tap
}

// Two taps under traffic, a stream on three servers, two readers: servers are killed, a collector and a
// reader are killed, the network is cut. Every packet that was acknowledged is read once, in the order of
// its tap, and the accounts close.
func TestManyTaps(t *testing.T) {
	t.Parallel()
	manyTaps(t, chaos{servers: 1, down: 500 * time.Millisecond, cut: time.Second, perSecond: 3000})
}

// The long form: a minute of servers that are killed every few seconds, and ten seconds without a network.
func TestManyTapsSoak(t *testing.T) {
	if !soak() {
		t.Skip("ETHERTAP_SOAK=1, or make soak")
	}
	manyTaps(t, chaos{servers: 12, down: 2 * time.Second, cut: 10 * time.Second, perSecond: 5000})
}

func manyTaps(t *testing.T, c chaos) {
	servers := natsCluster(t)
	address := addressOf(servers)
	dir, start := collectors(t)
	queues := []*trafficQueue{newTrafficQueue(t, "eth1"), newTrafficQueue(t, "eth2")}
	tap := func(i int) *netlab.Process {
		return start("--noreset", "--name", fmt.Sprintf("tap%d", i), "-q", queues[i].name, "--replicas", "3", "--zstd", address)
	}
	var taps []*netlab.Process
	for i := range queues {
		// The cluster may still be choosing a leader, and who makes the stream is told so.
		netlab.Await(t, "a collector has the stream", func() bool {
			p := tap(i)
			for {
				if p.WaitOutput(" packets  ", 20*time.Millisecond) == nil || strings.Contains(p.Output(), "nothing fills") {
					taps = append(taps, p)
					return true
				}
				if _, err := p.Wait(time.Millisecond); err == nil {
					t.Log(p.Stderr())
					return false
				}
			}
		})
	}
	netlab.Await(t, "three servers have the stream", func() bool { return whole(servers, "TAPS") })
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for _, q := range queues {
		traffic.Go(func() { q.traffic(t, c.perSecond, stop) })
	}
	files := []string{filepath.Join(dir, "one.pcapng"), filepath.Join(dir, "two.pcapng")}
	reader := func(i int, file string) *netlab.Process {
		return start("--noreset", "--name", fmt.Sprintf("reader%d", i), "-q", address, file)
	}
	readers := []*netlab.Process{reader(0, files[0]), reader(1, files[1])}

	for i := range c.servers {
		s := servers[rand.IntN(3)]
		s.kill()
		time.Sleep(c.down) // the time for which it is away
		s.start()
		netlab.Await(t, "three servers have the stream again", func() bool { return whole(servers, "TAPS") })
		if i == c.servers/2 {
			taps[1].Signal(os.Kill)
			if _, err := taps[1].Wait(time.Minute); err != nil {
				t.Fatal(err)
			}
			taps[1] = tap(1)
		}
	}
	for _, s := range servers {
		s.way.cut.Store(true)
	}
	time.Sleep(c.cut)
	for _, s := range servers {
		s.way.cut.Store(false)
	}
	close(stop)
	traffic.Wait()

	// All is taken and acknowledged when the collectors have ended.
	var inserted, taken [2]uint64
	for i, q := range queues {
		netlab.Await(t, "the queue is empty", func() bool { st, err := q.q.Status(); return err == nil && st.Waiting == 0 })
		st, err := q.q.Status()
		if err != nil {
			t.Fatal(err)
		}
		inserted[i], taken[i] = st.Inserted, st.Retrieved
		if st.Full != uint64(len(q.refused)) || st.Inserted+st.Full != q.sent {
			t.Errorf("queue %d: %+v of %d", i, st, q.sent)
		}
		taps[i].Signal(os.Interrupt)
		status, err := taps[i].Wait(time.Minute)
		if err != nil || status != 0 {
			t.Fatalf("tap %d: status %d, %v:\n%s", i, status, err, taps[i].Output())
		}
	}
	info := streamOf(servers, "TAPS")
	if info == nil {
		t.Fatal("no stream")
	}
	for i := range readers {
		netlab.Await(t, "all is read", func() bool {
			return acknowledged(servers, fmt.Sprintf("ethertap-reader%d", i)) >= info.State.LastSeq
		})
		readers[i].Signal(os.Interrupt)
		if status, err := readers[i].Wait(time.Minute); err != nil || status != 0 {
			t.Fatalf("reader %d: status %d, %v:\n%s", i, status, err, readers[i].Output())
		}
	}
	if t.Failed() {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var gone [2]uint64
	for f, file := range files {
		numbers, lost := numbersOf(t, file)
		if len(numbers) != 2 {
			t.Errorf("%s has the interfaces %v", file, slices.Collect(maps.Keys(numbers)))
		}
		for i, q := range queues {
			name := fmt.Sprintf("%s/ethertap/eth%d", host, i+1)
			got := numbers[name]
			for n := 1; n < len(got); n++ {
				if got[n] <= got[n-1] {
					t.Fatalf("%s, %s: frame %d comes after %d", file, name, got[n], got[n-1])
				}
			}
			for _, n := range got {
				if q.refused[n] {
					t.Fatalf("%s, %s: frame %d was refused and is there", file, name, n)
				}
			}
			loss := inserted[i] - uint64(len(got))
			t.Logf("reader %d, tap %d: %d sent, %d refused, %d put in, %d taken, %d read, %d gone with the killed collector; its statistics tell of %d refused",
				f, i, q.sent, len(q.refused), inserted[i], taken[i], len(got), loss, lost[name])
			switch {
			case uint64(len(got)) > inserted[i]:
				t.Errorf("more than was put in")
			case i == 0 && loss != 0:
				t.Errorf("%d frames of a collector that was not killed are lost", loss)
			case i == 0 && lost[name] != uint64(len(q.refused)):
				t.Errorf("the file tells of %d refused frames, and there were %d", lost[name], len(q.refused))
			case i == 1 && loss > killedLoss:
				t.Errorf("%d frames are lost with the collector, more than the manual says", loss)
			case f == 1 && loss != gone[i]:
				t.Errorf("the readers differ by %d", int64(loss-gone[i]))
			}
			gone[i] = loss
		}
	}
	out, errs, status := netlab.Run(t, exec.Command(netlab.RequireTool(t, "tshark"), "-r", files[0], "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-Y", "frame.comment"))
	for i := range queues {
		if want := fmt.Sprintf("%s/ethertap/eth%d\tinjected fault: bit flip\n", host, i+1); !strings.Contains(out, want) {
			t.Errorf("tshark (status %d) does not show %q: %.300s%s", status, want, out, errs)
		}
	}
}

// A server that loses the others of its cluster keeps its clients. A collector and a reader at such a server go
// to another one, and nothing is lost or doubled.
func TestServerWithoutOthersSoak(t *testing.T) {
	if !soak() {
		t.Skip("ETHERTAP_SOAK=1, or make soak")
	}
	servers := natsCluster(t)
	dir, start := collectors(t)
	address := addressOf(servers)
	q := newTrafficQueue(t, "eth1")
	var tap *netlab.Process
	netlab.Await(t, "a collector has the stream", func() bool {
		tap = start("--noreset", "--name", "tap", "-q", q.name, "--replicas", "3", address)
		return tap.WaitOutput("nothing fills", time.Minute) == nil
	})
	netlab.Await(t, "three servers have the stream", func() bool { return whole(servers, "TAPS") })
	at := slices.IndexFunc(servers, func(s *natsServer) bool { return s.way.passing.Load() == 1 })
	alone, others := servers[at], slices.Delete(slices.Clone(servers), at, at+1)
	clients := func() (n int) {
		for _, s := range servers {
			n += int(s.way.passing.Load())
		}
		return n
	}
	file := filepath.Join(dir, "all.pcapng")
	var reader *netlab.Process
	for reader == nil || alone.way.passing.Load() != 2 { // until it is at the same server
		if reader != nil {
			reader.Signal(os.Interrupt)
			if status, err := reader.Wait(time.Minute); err != nil || status != 0 {
				t.Fatalf("status %d, %v: %s", status, err, reader.Output())
			}
			netlab.Await(t, "the reader is gone", func() bool { return clients() == 1 })
		}
		reader = start("--noreset", "--name", "reader", "-q", address, file)
		netlab.Await(t, "the reader is at a server", func() bool { return clients() == 2 })
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); q.traffic(t, 1000, stop) }()
	netlab.Await(t, "the reader reads", func() bool { return acknowledged(servers, "ethertap-reader") > 10 })
	for _, w := range alone.routes {
		w.off.Store(true)
	}
	if err := tap.WaitOutput("trying another server than "+alone.way.listener.Addr().String(), time.Minute); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "the stream takes packets", func() bool { return strings.Contains(tap.Output(), "the stream takes packets again") })
	close(stop)
	<-ended
	tap.Signal(os.Interrupt)
	if status, err := tap.Wait(time.Minute); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, tap.Output())
	}
	info := streamOf(others, "TAPS")
	if info == nil {
		t.Fatal("no stream")
	}
	netlab.Await(t, "all is read", func() bool { return acknowledged(others, "ethertap-reader") >= info.State.LastSeq })
	reader.Signal(os.Interrupt)
	if status, err := reader.Wait(time.Minute); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, reader.Output())
	}
	if !strings.Contains(reader.Output(), "trying another server than "+alone.way.listener.Addr().String()) {
		t.Errorf("the reader has not left the server:\n%s", reader.Output())
	}
	numbers, _ := numbersOf(t, file)
	for _, got := range numbers {
		for n := 1; n < len(got); n++ {
			if got[n] <= got[n-1] {
				t.Fatalf("frame %d comes after %d", got[n], got[n-1])
			}
		}
		if uint64(len(got)+len(q.refused)) != q.sent {
			t.Errorf("%d read and %d refused of %d", len(got), len(q.refused), q.sent)
		}
	}
	if len(numbers) != 1 {
		t.Errorf("%d interfaces", len(numbers))
	}
}

// killedLoss is how many frames of these tests a killed collector may take with it: those of --hold and of a
// message, and a batch.
const killedLoss = (64<<20+512<<10)/(200+60) + 64

// acknowledged returns up to which number in the stream a reader has acknowledged all; 0 if that cannot be known.
// What a server says is pending will not do: one that has just become the leader may say 0.
func acknowledged(servers []*natsServer, consumer string) (place uint64) {
	_ = askServers(servers, func(ctx context.Context, js jetstream.JetStream) error {
		c, err := js.Consumer(ctx, "TAPS", consumer)
		if err == nil {
			place = c.CachedInfo().AckFloor.Stream
		}
		return err
	})
	return place
}

// A real tap, Debian's server, whatever its version, and all that reads: files, tshark, recall, control.
func TestManyTapsWithDebiansServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := netlab.RequireTool(t, "nats-server")
	config := filepath.Join(r.dir, "nats.conf")
	writeFile(t, config, fmt.Sprintf("listen: \"127.0.0.1:4222\"\nlog_file: %q\njetstream { store_dir: %q }\n", filepath.Join(r.dir, "nats.log"), r.dir))
	r.Dut.Start(server, "-c", config)
	netlab.Await(t, "the server listens", func() bool {
		b, err := os.ReadFile(filepath.Join(r.dir, "nats.log"))
		return err == nil && strings.Contains(string(b), "Server is ready")
	})
	const address = "nats://127.0.0.1:4222/TAPS"
	recall := netlab.Build(t, "./cmd/recall")
	r.daemon("-e", "0 tap.rx.enable 1 tap.rx.enable 0 fault.enable 10 0 fault.bitflip.every")
	writer := netlab.StartProcess(t, r.command(r.collect, "--noreset", "-q", r.queue, "--name", "writer", "--zstd", "--stream-max-bytes", "1G", address))
	netlab.Await(t, "the stream is there", func() bool { return strings.Contains(writer.Output(), "the stream was made") })
	file := filepath.Join(r.dir, "all.pcapng")
	reader := netlab.StartProcess(t, r.command(r.collect, "--noreset", "--name", "reader", "-q", address+"?host=*&queue="+strings.TrimPrefix(r.queue, shm.Prefix), file))
	const n = 200
	r.stream(n, 5000)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name := host + "/ethertap/" + netlab.D0
	netlab.Await(t, "the reader has them", func() bool {
		found, _, _ := r.run(recall, "--count", "--interface", name, "udp", address) // before the interface is there, its status is 1
		return strings.TrimSpace(found) == fmt.Sprint(n) && strings.Contains(r.must(r.control, "--name", "reader", "collect", "status"), fmt.Sprintf(": %d packets acknowledged", n))
	})
	status := r.must(r.control, "--name", "writer", "collect", "status")
	for _, want := range []string{"  into " + address + ": ", " packets acknowledged, 0 in flight, 0 packets behind, 0 bytes held, 0 messages retried; 0 packets lost before\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("%q is not in %q", want, status)
		}
	}
	list := r.must(recall, "--list", address)
	if !strings.Contains(list, address+" "+host+"/ethertap/"+strings.TrimPrefix(r.queue, shm.Prefix)) {
		t.Errorf("%s", list)
	}
	for _, p := range []*netlab.Process{writer, reader} {
		p.Signal(os.Interrupt)
		if status, err := p.Wait(time.Minute); err != nil || status != 0 {
			t.Fatalf("status %d, %v: %s", status, err, p.Output())
		}
	}
	out := r.must(netlab.RequireTool(t, "tshark"), "-r", file, "-Y", "udp", "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.comment")
	if got := strings.Count(out, name+"\t"); got != n {
		t.Errorf("%d of %d packets:\n%.300s", got, n, out)
	}
	fifo := filepath.Join(r.dir, "extcap.pcapng")
	r.must(r.collect, "--capture", "--extcap-interface", address, "--fifo", fifo, "--extcap-capture-filter", "udp", "--noreset", "--plimit", fmt.Sprint(n))
	if captured, _ := numbersOf(t, fifo); len(captured[name]) != n {
		t.Errorf("as an interface of Wireshark it gives %d of %d", len(captured[name]), n)
	}
	if out := r.must(recall, "--from", "-1h", "udp", address, "--write", filepath.Join(r.dir, "found.pcapng")); out != "" {
		t.Errorf("%q", out)
	}
	found, _ := numbersOf(t, filepath.Join(r.dir, "found.pcapng"))
	if len(found[name]) != n {
		t.Errorf("recall finds %d of %d", len(found[name]), n)
	}
	if got := strings.TrimSpace(r.must(recall, "--count", "--to", "-1h", "", address)); got != "0" {
		t.Errorf("an hour ago there were %s packets", got)
	}
}
