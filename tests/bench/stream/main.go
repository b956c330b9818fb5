// SPDX-License-Identifier: BSD-3-Clause

// Command stream measures what a collector puts into a stream of NATS JetStream beside what it writes to a
// file: from a full queue, with one server on this machine that stores in files, in the same directory as
// the file. A stream is done when it has acknowledged the last packet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ethertap/collect"
	"ethertap/collect/stream"
	"ethertap/shm"
	"ethertap/tests/bench/rounds"
)

func main() { os.Exit(run()) }

func run() int {
	count := flag.Int("rounds", 7, "counted rounds")
	length := flag.Duration("time", 2*time.Second, "how long a measurement puts packets in")
	dir := flag.String("dir", "", "directory of file and stream (default a temporary one)")
	save := flag.String("save", "", "save every measurement in this directory")
	flag.Parse()
	b := &bench{length: *length, dir: *dir}
	results, err := b.measure(*count)
	if err == nil {
		err = rounds.Report(os.Stdout, *save, "stream", results)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench stream: %v\n", err)
		return 1
	}
	return 0
}

// bench is what all measurements have in common.
type bench struct {
	length  time.Duration
	dir     string
	address string // of the server
}

// measure measures all rows.
func (b *bench) measure(count int) ([]rounds.Result, error) {
	dir, err := os.MkdirTemp(b.dir, "ethertap-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	stop, err := b.serve()
	if err != nil {
		return nil, err
	}
	defer stop()
	var rows []rounds.Row
	for _, c := range []struct {
		size int
		zstd bool
		aim  float64
		// least is how many packets a second are wanted, in thousands; 0: no aim
		least float64
	}{{1500, false, 0.5, 0}, {64, false, 0, 300}, {1500, true, 0, 0}} {
		name := fmt.Sprintf("%d bytes", c.size)
		if c.zstd {
			name += ", zstd"
		}
		row := rounds.Row{
			Name: name, Unit: "kpps", More: true,
			Ours:  rounds.Contender{Name: "stream", Run: func() (float64, error) { return b.rate(c.size, c.zstd, b.stream) }},
			Peers: []rounds.Peer{{Contender: rounds.Contender{Name: "file", Run: func() (float64, error) { return b.rate(c.size, c.zstd, b.file) }}, Aim: c.aim}},
		}
		if c.least > 0 {
			row.Peers = append(row.Peers, rounds.Peer{Contender: rounds.Contender{Name: "wanted", Run: func() (float64, error) { return c.least, nil }}, Aim: 1})
		}
		rows = append(rows, row)
	}
	return rounds.Measure(rows, rounds.Options{Rounds: count, Warm: 1, Progress: os.Stderr})
}

// serve starts a server, as a process of its own.
func (b *bench) serve() (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := l.Addr().String()
	l.Close()
	program, config := filepath.Join(b.dir, "natsd"), filepath.Join(b.dir, "nats.conf")
	build := exec.Command("go", "build", "-o", program, "./tests/natsd")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build of the server: %w: %s", err, out)
	}
	text := fmt.Sprintf("listen: %q\nlog_file: %q\njetstream { store_dir: %q }\n", at, filepath.Join(b.dir, "log"), b.dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	server := exec.Command(program, config)
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() { server.Process.Kill(); server.Wait() }
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			stop()
			return nil, err
		}
	}
	b.address = "nats://" + at + "/BENCH"
	return stop, nil
}

// stream opens the stream, with a gigabyte for it: the server removes what is older.
func (b *bench) stream(source *collect.Source, o collect.Options) (collect.Output, error) {
	at, err := stream.Parse(b.address)
	if err != nil {
		return nil, err
	}
	return stream.Publish(context.Background(), stream.PublishOptions{
		Address: at, Zstd: o.Zstd, Packets: o, Limits: stream.Limits{Bytes: 1 << 30},
		Host: "bench", Queue: "tap", Instance: func() string { return "ethertap" }, Created: source.Created, Logf: func(string, ...any) {},
	})
}

// file opens the file.
func (b *bench) file(_ *collect.Source, o collect.Options) (collect.Output, error) {
	return collect.Create(filepath.Join(b.dir, "x.pcapng"), o)
}

// rate fills a queue for a while, and returns how many thousand packets a second were taken from it and are
// in the output.
func (b *bench) rate(size int, zstd bool, open func(*collect.Source, collect.Options) (collect.Output, error)) (kpps float64, err error) {
	name := fmt.Sprintf("bench.stream.%d", os.Getpid())
	q, err := shm.Open(name, shm.Options{Slots: 1 << 14, Role: shm.RoleOther, Name: "bench"})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, q.Close(), shm.Delete(name)) }()
	if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: "eth1"}}); err != nil {
		return 0, err
	}
	source, err := collect.OpenSource(name, func(string, ...any) {})
	if err != nil {
		return 0, err
	}
	defer source.Close()
	out, err := open(source, collect.Options{Format: collect.PCAPNG, Application: "bench", Interfaces: source.Interfaces(), Zstd: zstd})
	if err != nil {
		return 0, err
	}
	p, err := q.NewProducer("bench")
	if err != nil {
		return 0, err
	}
	defer p.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := collect.New(collect.Run{Source: source, Output: out, Received: true})
	begin := time.Now()
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		fill(p, size, begin.Add(b.length))
		for { // all of it is taken before the run ends
			st, err := q.Status()
			if err != nil || st.Waiting == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	err = c.Collect(ctx)
	took := time.Since(begin)
	stop()
	<-filled
	return float64(c.Tally().Packets) / took.Seconds() / 1e3, err
}

// fill keeps the queue full until end. The bytes are those of a text, so that they compress as traffic does
// at best.
func fill(p *shm.Producer, size int, end time.Time) {
	const batch = 32
	records := make([]shm.Record, batch)
	data := make([]byte, size)
	for i := range data {
		data[i] = "GET /index.html HTTP/1.1 "[i*7%25] ^ byte(i>>3)
	}
	for time.Now().Before(end) {
		now := time.Now().UnixNano()
		for i := range records {
			records[i] = shm.Record{Timestamp: now, Direction: shm.RX, OrigLen: uint32(size), Data: data}
		}
		if p.Put(records) < batch {
			time.Sleep(50 * time.Microsecond)
		}
	}
}
