// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/need"
)

func TestOpenErrors(t *testing.T) {
	name := testName(t)
	path := "/dev/shm/" + name
	if _, err := Open(name, Options{NoCreate: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "a\x00b"} {
		if _, err := Open(bad, Options{}); err == nil {
			t.Fatalf("name %q accepted", bad)
		}
	}
	if _, err := Open(name, Options{Slots: 1}); err == nil {
		t.Fatal("one slot accepted")
	}
	foreign := []byte("something else entirely")
	if err := os.WriteFile(path, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, Options{Repair: true}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
	if err := Delete(name); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); !bytes.Equal(b, foreign) {
		t.Fatal("the foreign file was touched")
	}
	os.Remove(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, Options{Repair: true}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
	os.Remove(path)
	if err := os.Symlink("/dev/shm/nowhere", path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, Options{Repair: true}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
}

func TestRepair(t *testing.T) {
	for what, spoil := range map[string]func(*header, *Queue){
		"version":  func(h *header, _ *Queue) { h.version = 99 },
		"slots":    func(h *header, _ *Queue) { h.slots = 17 },
		"size":     func(_ *header, q *Queue) { os.Truncate(q.path, slotsOffset) },
		"word":     func(_ *header, q *Queue) { q.m.slot(3).word.Store(^uint64(0)) },
		"head":     func(h *header, _ *Queue) { h.head.Store(1 << 40) },
		"state":    func(h *header, _ *Queue) { h.state.Store(stateCorrupt) },
		"tableset": func(h *header, _ *Queue) { h.participantsOffset = 8 },
	} {
		t.Run(what, func(t *testing.T) {
			name := testName(t)
			q := openTest(t, name, Options{Slots: 16})
			spoil(q.m.header(), q)
			if _, err := Open(name, Options{}); !replaceable(err) {
				t.Fatalf("opened: %v", err)
			}
			if _, err := Open(name, Options{Repair: true}); !errors.Is(err, ErrInUse) || !replaceable(err) {
				t.Fatalf("replaced while in use: %v", err)
			}
			q.Close()
			if _, err := Open(name, Options{}); !replaceable(err) {
				t.Fatalf("opened without repair: %v", err)
			}
			q = openTest(t, name, Options{Slots: 32, Repair: true})
			if st := status(t, q); st.Slots != 32 || st.Deleted {
				t.Fatalf("%+v", st)
			}
			if left, _ := filepath.Glob("/dev/shm/." + name + "*"); left != nil {
				t.Fatalf("left behind: %v", left)
			}
		})
	}
}

func TestDeletedUnderThem(t *testing.T) {
	name := testName(t)
	q := openTest(t, name, Options{Slots: 16})
	p := producer(t, q)
	if err := Delete(name); err != nil {
		t.Fatal(err)
	}
	c := consumer(t, q) // opens the file again, though it has no name
	p.Put(make([]Record, 1))
	if _, ok, err := c.Get(nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if st := status(t, q); !st.Deleted {
		t.Fatalf("%+v", st)
	}
	if err := Delete(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestTruncatedUnderThem(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 64})
	p, c := producer(t, q), consumer(t, q)
	p.Put(make([]Record, 10))
	if _, ok, err := c.Get(nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, size := range []int64{slotsOffset, 0} {
		if err := os.Truncate(q.path, size); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := c.Get(nil); ok || !errors.Is(err, ErrCorrupt) {
			t.Fatal(ok, err)
		}
		if n := p.Put(make([]Record, 1)); n != 0 || !errors.Is(p.Err(), ErrCorrupt) {
			t.Fatal(n, p.Err())
		}
		if _, err := q.Status(); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if _, err := q.Reset(); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if _, err := c.Wait(time.Millisecond); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	}
	c.Wake()
}

// Many open the same name at once: all get the same file.
func TestCreateRace(t *testing.T) {
	for range 20 {
		name := testName(t)
		const n = 8
		got := make(chan *Queue, n)
		for i := range n {
			go func() {
				q, err := Open(name, Options{Slots: 16 << (i % 3), Repair: i%2 == 0})
				if err != nil {
					t.Error(err)
				}
				got <- q
			}()
		}
		var first *Queue
		for range n {
			q := <-got
			if q == nil {
				continue
			}
			defer q.Close()
			if first == nil {
				first = q
			}
			if st := status(t, q); st.Deleted || st.Slots != int(first.m.slots) {
				t.Fatalf("%+v, first %d slots", st, first.m.slots)
			}
		}
	}
}

// Fifty openings and closings leave no mapping and no descriptor behind.
func TestNothingLeft(t *testing.T) {
	name := testName(t)
	var ino uint64
	count := func() int {
		fds, _ := os.ReadDir("/proc/self/fd")
		n := 0
		for _, e := range fds {
			var st unix.Stat_t
			if unix.Stat("/proc/self/fd/"+e.Name(), &st) == nil && st.Ino == ino && st.Mode&unix.S_IFMT == unix.S_IFREG {
				n++
			}
		}
		maps, _ := os.ReadFile("/proc/self/maps")
		return n + strings.Count(string(maps), fmt.Sprintf(" %d ", ino)) // the maker's mapping has no name
	}
	for range 50 {
		q := openTest(t, name, Options{Slots: 16})
		p, c := producer(t, q), consumer(t, q)
		var st unix.Stat_t
		if err := unix.Fstat(q.fd, &st); err != nil {
			t.Fatal(err)
		}
		ino = st.Ino
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		p.Put(make([]Record, 1)) // the queue's own Close does not hurt these
		if _, ok, err := c.Get(nil); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if n := count(); n != 4 {
			t.Fatalf("%d descriptors and mappings while in use, want 4", n)
		}
		if err := errors.Join(p.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Get(nil); err != ErrClosed {
			t.Fatal(err)
		}
	}
	if n := count(); n != 0 {
		t.Fatalf("%d descriptors and mappings left", n)
	}
}

func TestNoRoom(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		need.Skip(t, "mount: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	_, err := Open("q", Options{dir: dir})
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
	q := openTest(t, "q", Options{dir: dir, Slots: 64})
	defer q.Close()
	if n := producer(t, q).Put(make([]Record, 64)); n != 64 {
		t.Fatal(n)
	}
}
