// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// opened counts what inotify has to tell of openings of a file so far.
type opened struct {
	fd int
	n  int
}

func watch(t *testing.T, path string) *opened {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return &opened{fd: fd}
}

func (o *opened) count(t *testing.T) int {
	t.Helper()
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(o.fd, buf)
		if err == unix.EAGAIN {
			return o.n
		}
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < n; at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:])) {
			o.n++
		}
	}
}

// A reader of a FIFO that was there first gets its stream, since the FIFO is opened once:
// to open it and close it again would be the end of the stream to him.
func TestReaderFirst(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	for i, args := range [][]string{nil, nil, nil, nil, {"--format", "pcapng"}, {"--capture", "--extcap-interface", queue, "--fifo"}} {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		// As dumpcap does it: opened without waiting for a writer.
		reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
		openings := watch(t, path)
		put(t, p, 0, 3)
		cmd := command(t, append(args, path, "-nsp3")...)
		if len(args) < 3 {
			cmd.Args = append(cmd.Args, "-q", queue)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "somebody writes", func() bool {
			fds := []unix.PollFd{{Fd: int32(reader.Fd()), Events: unix.POLLIN}}
			n, err := unix.Poll(fds, 10)
			return err == nil && n > 0
		})
		stream, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || errs.Len() > 0 {
			t.Errorf("%v: %v, %q", args, err, errs.String())
		}
		if len(args) == 0 {
			check(t, bytes.NewReader(stream), 0, 3)
		} else if n := bytes.Count(stream, frame(2)); n != 1 || len(stream) < 300 {
			t.Errorf("%v: the stream has %d bytes, packet 2 %d times", args, len(stream), n)
		}
		if n := openings.count(t); n != 1 {
			t.Errorf("%v: the FIFO was opened %d times", args, n)
		}
	}
}

// The second collector on a file is told who has it, and since when.
func TestSecondCollector(t *testing.T) {
	queue := setup(t)
	path := filepath.Join(t.TempDir(), "x.pcap")
	first := command(t, "-nsq", queue, "--name", "first", path)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
	put(t, producer(t, queue), 0, 5)
	eventually(t, "5 packets", sizeIs(path, streamOf+5*76))
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", first.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("collect: %s is being written by %s PID %d since 20", path, strings.TrimSpace(string(comm)), first.Process.Pid)
	for _, how := range []string{"-s", "-d"} {
		status, _, errs := outcome(t, command(t, how, "-b", "24", "-nq", queue, path)) // without a lock it would end at once
		if status != 1 || !strings.HasPrefix(errs, want) || !strings.HasSuffix(errs, "; choose another name\n") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q, want %q", how, status, errs, want)
		}
	}
	first.Process.Signal(unix.SIGTERM)
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	checkFile(t, path, 0, 5)
	well(t, "-nsq", queue, "-b", "30", path)
	checkFile(t, path, 0, 0)
}

// The log is not a place for packets.
func TestLogIsNoOutput(t *testing.T) {
	queue := setup(t)
	log := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(log, []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := outcome(t, command(t, "-b", "24", "-q", queue, "--daemon", "--log", log, log)); status != 1 || !strings.Contains(errs, log+" is where messages go") {
		t.Errorf("status %d, %q", status, errs)
	}
	text, err := os.ReadFile(log)
	if err != nil || !strings.HasPrefix(string(text), "kept\n") {
		t.Errorf("the log is %q, %v", text, err)
	}
}
