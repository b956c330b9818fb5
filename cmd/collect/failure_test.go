// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
)

// A reader that goes away while nothing comes, and while packets come.
func TestReaderGone(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	for _, packets := range []int{0, 3} {
		cmd := command(t, "--silent", "-q", queue, "-")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, streamOf)); err != nil {
			t.Fatal(err)
		}
		out.Close()
		put(t, p, 0, packets)
		if err := cmd.Wait(); err != nil || errs.Len() > 0 {
			t.Errorf("%v, said %q", err, errs.String())
		}
	}
}

// A file that may grow no more, without needing a small disk.
func TestFileLimit(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	path := filepath.Join(t.TempDir(), "x.pcap")
	cmd := command(t, "-s", "-q", queue, path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: streamOf + 10*76 + 50, Max: streamOf + 10*76 + 50}, nil); err != nil {
		t.Fatal(err)
	}
	put(t, p, 0, 10)
	eventually(t, "10 packets", sizeIs(path, streamOf+10*76))
	put(t, p, 10, 11)
	cmd.Wait()
	want := fmt.Sprintf("collect: %s: file too large; 10 packets are safe, 1 more are lost\n", path)
	if cmd.ProcessState.ExitCode() != 1 || errs.String() != want {
		t.Errorf("status %d, said %q", cmd.ProcessState.ExitCode(), errs.String())
	}
	checkFile(t, path, 0, 10)
}

func TestFailures(t *testing.T) {
	queue := setup(t)
	producer(t, queue)
	dir := t.TempDir()
	foreign := queue + ".foreign"
	if err := os.WriteFile("/dev/shm/"+foreign, bytes.Repeat([]byte("not ours"), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/" + foreign) })
	kept := filepath.Join(dir, "kept.pcap")
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-q", queue, filepath.Join(dir, "no", "x.pcap")},
		{"-q", queue, dir},
		{"-q", foreign, kept},
		{"-q", "../" + queue, kept},
		{"-q", foreign, "--daemon", kept},
		{"-q", queue, "--daemon", dir},
	} {
		status, _, errs := outcome(t, command(t, args...))
		if status != 1 || !strings.HasPrefix(errs, "collect: ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
	if text, _ := os.ReadFile(kept); string(text) != "kept" {
		t.Errorf("a file was emptied in vain: %q", text)
	}
	if infos, err := rundir.List(t.Context(), "collect"); err != nil || len(infos) != 0 {
		t.Errorf("listed: %+v, %v", infos, err)
	}
}
