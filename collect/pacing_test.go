// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// messages returns an output of which each write can be read separately.
func messages(t *testing.T) (w *os.File, read func() []byte) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	tv := unix.Timeval{Sec: 60} // fails instead of hanging
	if err := unix.SetsockoptTimeval(fds[1], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "messages"), func() []byte {
		buf := make([]byte, 1<<20)
		for {
			n, err := unix.Read(fds[1], buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				t.Error(err)
			}
			return buf[:max(n, 0)]
		}
	}
}

// Packets that come slowly are written at once: each is there before the next one is stored. The
// header does not wait for a packet.
func TestSlowPacketsAtOnce(t *testing.T) {
	name := newQueue(t, shm.Options{})
	w, read := messages(t)
	c := collector(t, name, w, Limits{Packets: 20})
	ended := make(chan error, 1)
	go func() { ended <- c.Collect(bounded(t)) }()
	if got := read(); len(got) != HeaderSize {
		t.Fatalf("first comes a write of %d bytes", len(got))
	}
	p := producer(t, name)
	for i := range 20 {
		putFrames(p, 1, i, i+1, 60)
		if got := read(); len(got) != 76 || !bytes.Equal(got[recordHeader:], frame(1, i, 60)) {
			t.Fatalf("packet %d: a write of %d bytes", i, len(got))
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Packets that come fast are written in large pieces.
func TestFastPacketsInLargeWrites(t *testing.T) {
	name := newQueue(t, shm.Options{})
	putFrames(producer(t, name), 1, 0, 2000, 60)
	w, read := messages(t)
	c := collector(t, name, w, Limits{Packets: 2000})
	ended := make(chan error, 1)
	go func() { ended <- c.Collect(bounded(t)) }()
	for _, want := range []int{HeaderSize, 2000 * 76, 0} {
		if got := len(read()); got != want {
			t.Errorf("a write of %d bytes, want %d", got, want)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEndWithoutPackets(t *testing.T) {
	name := newQueue(t, shm.Options{})
	f := newFile(t)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := collector(t, name, f, Limits{}).Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if n, got := readFile(t, f.Name()); n != HeaderSize || len(got) != 0 {
		t.Errorf("%d bytes, %d packets", n, len(got))
	}
}

// A reader that goes away ends the run without an error, whether packets come or not.
func TestReaderGone(t *testing.T) {
	for _, packets := range []int{0, 10} {
		name := newQueue(t, shm.Options{})
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := collector(t, name, w, Limits{})
		ended := make(chan error, 1)
		go func() { ended <- c.Collect(bounded(t)) }()
		if _, err := io.ReadFull(r, make([]byte, HeaderSize)); err != nil {
			t.Fatal(err)
		}
		r.Close()
		putFrames(producer(t, name), 1, 0, packets, 60)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n, size, _ := counts(c); n != 0 || size != HeaderSize {
			t.Errorf("counted %d packets, %d bytes that nobody read", n, size)
		}
	}
}

// A whole run writes to a full disk.
func TestDiskFullRun(t *testing.T) {
	name := newQueue(t, shm.Options{})
	f, err := os.Create(filepath.Join(smallDisk(t), "x.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	putFrames(producer(t, name), 1, 0, 1000, 100)
	c := collector(t, name, f, Limits{Packets: 1000})
	err = c.Collect(bounded(t))
	n, got := readFile(t, f.Name())
	want := fmt.Sprintf("%s: no space left on device; %d packets are safe, %d more are lost", f.Name(), len(got), 1000-len(got))
	if err == nil || err.Error() != want {
		t.Errorf("said %v, want %s", err, want)
	}
	if p, b, _ := counts(c); len(got) == 0 || p != uint64(len(got)) || b != uint64(n) {
		t.Errorf("counted %d packets, %d bytes; there are %d, %d", p, b, len(got), n)
	}
}

// BenchmarkRun is a whole run: a producer that stores as fast as there is room, the queue, the
// collector, and a file in memory.
func BenchmarkRun(b *testing.B) {
	for _, format := range []Format{PCAP, PCAPNG} {
		benchmarkRun(b, format)
	}
}

func benchmarkRun(b *testing.B, format Format) {
	for _, size := range []int{64, 1500} {
		b.Run(fmt.Sprintf("%s/%d", format, size), func(b *testing.B) {
			name := fmt.Sprintf("test.collect.%d.%x", os.Getpid(), rand.Uint64())
			q, err := shm.Open(name, shm.Options{Role: shm.RoleOther, Name: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			defer shm.Delete(name)
			defer q.Close()
			p, err := q.NewProducer("bench")
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			source, err := OpenSource(name, b.Logf)
			if err != nil {
				b.Fatal(err)
			}
			defer source.Close()
			f, err := os.CreateTemp("/dev/shm", "test.collect.*.pcap")
			if err != nil {
				b.Fatal(err)
			}
			defer os.Remove(f.Name())
			records := make([]shm.Record, 32)
			for i := range records {
				records[i] = shm.Record{Data: frame(1, i, size), OrigLen: uint32(size)}
			}
			files, err := Stream(f, f.Name(), Options{Format: format})
			if err != nil {
				b.Fatal(err)
			}
			c := New(Run{Source: source, Output: files, Packets: uint64(b.N)})
			b.ResetTimer()
			var producing sync.WaitGroup
			producing.Go(func() {
				for left := b.N; left > 0; {
					n := p.Put(records[:min(left, len(records))])
					left -= n
					if n == 0 {
						runtime.Gosched()
					}
				}
			})
			if err := c.Collect(context.Background()); err != nil {
				b.Error(err)
			}
			producing.Wait()
		})
	}
}
