// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A file has one writer, whatever name the second one uses, and the second is told who the first
// is. The packets of the first stay.
func TestOneWriter(t *testing.T) {
	fifo := func(dir string) string {
		path := filepath.Join(dir, "fifo")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
		return path
	}
	plain := func(dir string) string { return filepath.Join(dir, "x.pcap") }
	link := func(how func(old, new string) error) func(t *testing.T, path string) string {
		return func(t *testing.T, path string) string {
			other := path + ".other"
			if err := how(path, other); err != nil {
				t.Fatal(err)
			}
			return other
		}
	}
	same := func(_ *testing.T, path string) string { return path }
	for _, c := range []struct {
		name   string
		first  func(dir string) string
		o      Options
		second func(t *testing.T, path string) string // gets the path that the first writes to
	}{
		{"the same name", plain, Options{}, same},
		{"symbolic link", plain, Options{}, link(os.Symlink)},
		{"hard link", plain, Options{}, link(os.Link)},
		{"compressed", plain, Options{Zstd: true}, same},
		{"file of a set", plain, Options{Rotate: Rotation{Packets: 5}}, same},
		{"FIFO", fifo, Options{}, same},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := create(t, c.first(t.TempDir()), c.o)
			now := time.Now()
			if err := s.Append(now, 1, record(0, 60)); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Stat(s.path)
			path := c.second(t, s.path)
			_, err := Create(path, Options{})
			var busy *BusyError
			if !errors.As(err, &busy) || busy.Name != path || busy.PID != os.Getpid() || busy.Comm == "" {
				t.Errorf("a second writer of %s: %v", path, err)
			}
			if err := Check(path, Options{}); c.name != "FIFO" && !errors.As(err, &busy) {
				t.Errorf("checked: %v", err)
			}
			if after, err := os.Stat(s.path); err != nil || after.Size() != before.Size() {
				t.Errorf("the first has %v, %v; had %v", after, err, before)
			}
			if err := s.Close(now); err != nil {
				t.Fatal(err)
			}
			if c.o.Rotate.Any() {
				return // it has another name now
			}
			next := create(t, path, Options{})
			if err := next.Close(now); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same holds for standard output, if it leads to a file.
func TestOneWriterOfStream(t *testing.T) {
	f := newFile(t)
	s, err := Stream(f, "first", Options{})
	if err != nil {
		t.Fatal(err)
	}
	shell, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(shell)
	again, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := Stream(again, "second", Options{}); !errors.As(err, &busy) || busy.Name != "second" {
		t.Error(err)
	}
	if err := s.Close(time.Now()); err != nil { // the shell still has it open
		t.Fatal(err)
	}
	if s, err = Stream(again, "again", Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(time.Now()); err != nil {
		t.Error(err)
	}
	for range 2 { // devices do not mix
		defer create(t, os.DevNull, Options{}).Close(time.Now())
	}
}

// When nothing can be recorded, everything stays as it was.
func TestRefusedInTime(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept.pcap")
	refuse := errors.New("refused")
	for _, o := range []Options{
		{Limit: HeaderSize - 1},
		{Format: PCAPNG, Limit: 30},
		{Accept: func(*os.File, string) error { return refuse }},
	} {
		if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(kept, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
		if text, err := os.ReadFile(kept); string(text) != "kept" {
			t.Errorf("%+v: the file is %q, %v", o, text, err)
		}
	}
}

// The name of a directory does not become the name of a file when something is appended to it.
func TestDirectoryIsNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{}, {Zstd: true}, {Rotate: Rotation{Packets: 1}}} {
		for _, path := range []string{dir + "/", dir + "/.", dir + "/..", dir + "/no/", "."} {
			_, err := Create(path, o)
			if err == nil || err.Error() != path+" is a directory; name a file in it" {
				t.Errorf("%s: %v", path, err)
			}
			if err := Check(path, o); err == nil {
				t.Errorf("%s is found right", path)
			}
		}
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// A file of a set that has just been made and is still empty is not taken for one that a killed
// run has left.
func TestSurveyBesideOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x_00001_20260101000000.pcap"+part)
	first, err := createLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	s := create(t, filepath.Join(dir, "x.pcap"), Options{Rotate: Rotation{Packets: 5}})
	if err := s.Close(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	first.Close()
	if _, err := createLocked(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
}
