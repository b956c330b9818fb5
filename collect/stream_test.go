// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/shm"
	"ethertap/tests/need"
)

func record(seq, size int) *shm.Record {
	return &shm.Record{Data: frame(1, seq, size), OrigLen: uint32(size)}
}

// add appends a packet where there is no limit.
func add(t *testing.T, o *stream, timestamp int64, r *shm.Record) {
	t.Helper()
	if ok, err := o.Append(timestamp, r); !ok || err != nil {
		t.Fatal("append:", ok, err)
	}
}

func TestOutputFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o := newStream(f, path, newEncoder(PCAP, "", ""), nil, 0, 0)
	want := uint64(HeaderSize)
	for i := range 10_000 {
		add(t, o, int64(i)*1000, record(i, 100))
		want += 116
		if o.Full() {
			if err := o.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := o.Close(0); err != nil {
		t.Fatal(err)
	}
	if o.Bytes() != want || o.Packets() != 10_000 {
		t.Errorf("%d bytes, %d packets", o.Bytes(), o.Packets())
	}
	text, err := os.ReadFile(path)
	if err != nil || uint64(len(text)) != want {
		t.Fatalf("%d bytes in the file, %v", len(text), err)
	}
	for i, p := range readStream(t, bytes.NewReader(text)) {
		if !bytes.Equal(p.data, frame(1, i, 100)) || p.Timestamp.UnixNano() != int64(i)*1000 {
			t.Fatalf("packet %d is another", i)
		}
	}
}

func TestOutputReaderGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := newStream(w, "pipe", newEncoder(PCAP, "", ""), nil, 0, 0)
	if err := o.Flush(); err != nil {
		t.Fatal(err)
	}
	if o.ReaderGone() {
		t.Error("gone while it is there")
	}
	r.Close()
	if !o.ReaderGone() {
		t.Error("there while it is gone")
	}
	add(t, o, 1, record(1, 60))
	if err := o.Flush(); err != errReaderGone {
		t.Error("flush:", err)
	}
	if err := o.Close(0); err != errReaderGone {
		t.Error("close:", err)
	}
}

// A reader that has stopped reading does not keep us from ending. Pipe and socket are blocking,
// as a shell makes them.
func TestOutputReaderAsleep(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(fds *[2]int) error{
		"pipe": func(fds *[2]int) error { return unix.Pipe2(fds[:], unix.O_CLOEXEC) },
		"socket": func(fds *[2]int) (err error) {
			*fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fds [2]int
			if err := open(&fds); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[0])
			o := newStream(os.NewFile(uintptr(fds[1]), name), name, newEncoder(PCAP, "", ""), nil, 0, 0)
			for i := range 10_000 {
				add(t, o, 1, record(i, 60))
			}
			flushed := make(chan error)
			go func() { flushed <- o.Flush() }()
			o.HurryUp()
			if err := <-flushed; err == nil || !strings.HasPrefix(err.Error(), name+": the reader does not read; ") {
				t.Error("flush:", err)
			}
			if flags, _ := unix.FcntlInt(uintptr(fds[1]), unix.F_GETFL, 0); flags&unix.O_NONBLOCK != 0 {
				t.Error("its other users were made not to block")
			}
			o.Close(0)
		})
	}
}

// smallDisk mounts a file system of 64 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal("mount:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error("unmount:", err)
		}
	})
	return dir
}

func TestOutputDiskFull(t *testing.T) {
	for _, c := range []struct {
		name  string
		each  int // packets per flush
		open  int // flags
		there int // bytes already in the file
	}{
		{"one write", 1000, 0, 0},
		{"small writes", 1, 0, 0},
		{"appending", 10, os.O_APPEND, 1000},
		{"no room for the header", 10, 0, 64<<10 - 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(smallDisk(t), "x.pcap")
			before := bytes.Repeat([]byte("x"), c.there)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_RDWR|c.open, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, 2); err != nil {
				t.Fatal(err)
			}
			o := newStream(f, "x.pcap", newEncoder(PCAP, "", ""), nil, 0, 0)
			appended := 0
			for err == nil {
				for range c.each {
					add(t, o, 1, record(appended, 100+appended%7))
					appended++
				}
				err = o.Flush()
			}
			if !errors.Is(err, unix.ENOSPC) || o.Flush() != err || o.Close(0) != err {
				t.Error("flush:", err)
			}
			text, rerr := os.ReadFile(path)
			if rerr != nil || !bytes.HasPrefix(text, before) {
				t.Fatal("what was there before is gone:", rerr)
			}
			text = text[c.there:]
			if uint64(len(text)) != o.Bytes() {
				t.Errorf("a stream of %d bytes, counted %d", len(text), o.Bytes())
			}
			var got []packet
			if len(text) > 0 {
				got = readStream(t, bytes.NewReader(text))
			}
			for i, p := range got {
				if !bytes.Equal(p.data, frame(1, i, 100+i%7)) {
					t.Fatalf("packet %d is another", i)
				}
			}
			// At least this many packets fit on the disk; those of the last flush may not.
			least := (64<<10-c.there-HeaderSize)/(16+106) - c.each
			if len(got) < least || len(got) >= appended {
				t.Errorf("%d of %d packets are safe", len(got), appended)
			}
			want := "x.pcap: no space left on device; " + grouped(uint64(len(got))) + " packets are safe, "
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("said %q, want %q", err, want)
			}
		})
	}
}
