// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // some machines have no time zones

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ethertap/lib/filter"
	"ethertap/shm"
	"ethertap/tests/need"
)

// notes keeps the lines given to Logf.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) logf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

// bounded returns a context that ends a run that does not end by itself.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func create(t *testing.T, path string, o Options) *Files {
	t.Helper()
	s, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// whole reads a file, and unpacks it if it is compressed.
func whole(t *testing.T, path string) (size int, packets []packet) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size = len(b)
	if strings.HasSuffix(path, ".zst") {
		d, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if b, err = d.DecodeAll(b, nil); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return size, readAny(t, b)
}

// names returns the files of a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// inOrder checks that the files of a directory have the packets from..to-1 of frame(1, …).
func inOrder(t *testing.T, dir string, from, to int) {
	t.Helper()
	next := from
	for _, name := range names(t, dir) {
		_, packets := whole(t, filepath.Join(dir, name))
		for _, p := range packets {
			if who, seq := frameID(p.data); who != 1 || seq != next {
				t.Fatalf("%s: packet %d, want %d", name, seq, next)
			}
			next++
		}
	}
	if next != to {
		t.Errorf("%d packets in %v, want %d", next-from, names(t, dir), to-from)
	}
}

// noise is frame(1, seq, n) with data after its number that cannot be compressed.
func noise(seq, n int) []byte {
	b := frame(1, seq, n)
	rand.NewChaCha8([32]byte{byte(seq), byte(seq >> 8)}).Read(b[4:])
	return b
}

var setName = regexp.MustCompile(`^x_\d{5}_\d{14}(-\d+)?\.pcap(ng)?(\.zst)?$`)

// Whatever the format, compressed or not, files of a set keep their size and have everything in
// order, and the limits of all together are exact.
func TestRotation(t *testing.T) {
	for _, format := range []Format{PCAP, PCAPNano, PCAPNG} {
		for _, z := range []bool{false, true} {
			for _, c := range []struct {
				name    string
				rotate  Rotation
				packets uint64
				limit   uint64
				files   int // 0 means any
			}{
				{name: "packets", rotate: Rotation{Packets: 10}, packets: 95, files: 10},
				{name: "one packet", rotate: Rotation{Packets: 1}, packets: 5, files: 5},
				{name: "size", rotate: Rotation{Bytes: 4096}, packets: 300},
				{name: "tiny size", rotate: Rotation{Bytes: 1}, packets: 5, files: 5},
				{name: "limit", rotate: Rotation{Bytes: 4096}, limit: 10_000},
				{name: "limit alone", limit: 10_000, files: 1},
				{name: "limit below size", rotate: Rotation{Bytes: 20_000}, limit: 10_000, files: 1},
			} {
				t.Run(fmt.Sprintf("%s/zstd=%v/%s", format, z, c.name), func(t *testing.T) {
					name := newQueue(t, shm.Options{})
					p := producer(t, name)
					for i := range 400 {
						put(p, shm.Record{Data: noise(i, 60+i%100), Interface: uint16(i % 2), Direction: shm.RX})
					}
					dir := t.TempDir()
					files := create(t, filepath.Join(dir, "x.pcap"), Options{
						Format: format, Zstd: z, Rotate: c.rotate, Limit: c.limit,
						Interfaces: []shm.Interface{{Index: 0, Name: "a"}, {Index: 1, Name: "b"}},
					})
					col := collectorOf(t, name, Run{Output: files, Packets: c.packets})
					if err := col.Collect(bounded(t)); err != nil {
						t.Fatal(err)
					}
					tally := col.Tally()
					if c.packets > 0 && tally.Packets != c.packets {
						t.Errorf("%d packets, want %d", tally.Packets, c.packets)
					}
					total := 0
					for _, file := range names(t, dir) {
						size, packets := whole(t, filepath.Join(dir, file))
						total += size
						if c.rotate.Any() && !setName.MatchString(file) {
							t.Errorf("a file is called %s", file)
						}
						if b := c.rotate.Bytes; b > 1 && uint64(size) > b {
							t.Errorf("%s: %d bytes", file, size)
						}
						if n := c.rotate.Packets; n > 0 && uint64(len(packets)) > n || len(packets) == 0 {
							t.Errorf("%s: %d packets", file, len(packets))
						}
					}
					inOrder(t, dir, 0, int(tally.Packets))
					if n := len(names(t, dir)); c.files > 0 && n != c.files {
						t.Errorf("%d files: %v", n, names(t, dir))
					}
					if uint64(total) != tally.Bytes || c.limit > 0 && (uint64(total) > c.limit || uint64(total) < c.limit*8/10) {
						t.Errorf("%d bytes, counted %d, limit %d", total, tally.Bytes, c.limit)
					}
				})
			}
		}
	}
}

// Files have the times at which they were begun, and no packet of a later time.
func TestRotationByTime(t *testing.T) {
	dir := t.TempDir()
	s := create(t, filepath.Join(dir, "x-%H%M%S.pcap"), Options{Rotate: Rotation{Every: 10 * time.Second}})
	start := s.due
	now := start
	for i := range 6 {
		if err := s.Due(now); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(now, now.UnixNano(), record(i, 60)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Second)
	}
	if err := s.Close(now); err != nil {
		t.Fatal(err)
	}
	all := names(t, dir)
	if len(all) != 4 {
		t.Fatalf("files %v", all)
	}
	for i := range 3 {
		begin := start.Add(time.Duration(i) * 10 * time.Second)
		name := begin.Format("x-150405.pcap")
		_, packets := whole(t, filepath.Join(dir, name))
		if len(packets) != 2 || packets[0].Timestamp.Before(begin.Truncate(time.Microsecond)) || !packets[1].Timestamp.Before(begin.Add(10*time.Second)) {
			t.Errorf("%s: %d packets", name, len(packets))
		}
	}
}

// Rotation by the clock happens at multiples since midnight, whatever the length of the day.
func TestRotationNext(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rotate    Rotation
		now, want string
	}{
		{Rotation{Every: time.Hour}, "2026-11-24 06:10:39", "2026-11-24 07:00:00"},
		{Rotation{Every: time.Hour}, "2026-11-24 07:00:00", "2026-11-24 08:00:00"},
		{Rotation{Every: 24 * time.Hour}, "2026-11-24 06:10:39", "2026-11-25 00:00:00"},
		{Rotation{Every: 7 * time.Hour}, "2026-11-24 22:00:00", "2026-11-25 00:00:00"},
		{Rotation{Every: time.Hour, After: time.Minute}, "2026-11-24 06:10:39", "2026-11-24 06:11:39"},
		{Rotation{Every: time.Hour, After: time.Minute}, "2026-11-24 06:59:30", "2026-11-24 07:00:00"},
		{Rotation{Every: 24 * time.Hour}, "2026-03-29 12:00:00", "2026-03-30 00:00:00"}, // a day of 23 hours
		{Rotation{Every: 24 * time.Hour}, "2026-10-25 12:00:00", "2026-10-26 00:00:00"}, // a day of 25 hours
		{Rotation{Every: time.Minute}, "2026-11-24 06:10:39", "2026-11-24 06:11:00"},
	} {
		now, err := time.ParseInLocation(time.DateTime, c.now, vienna)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.rotate.next(now).Format(time.DateTime); got != c.want {
			t.Errorf("%+v after %s: %s, want %s", c.rotate, c.now, got, c.want)
		}
	}
	if due := (Rotation{Packets: 1}).next(time.Now()); !due.IsZero() {
		t.Errorf("due at %v without a time", due)
	}
}

// A ring keeps its last files. Numbers go on where an earlier run has ended, files of others
// stay, and a file that a killed run has left gets its name.
func TestRing(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	others := []string{"x.pcap", "x_1.pcap", "x_00001_20260101000000.pcap.gz", "y_00001_20260101000000.pcap", "x_00009_20260101000000.pcapng"}
	for _, name := range others {
		write(name, "not ours")
	}
	write("x_00006_20260101000000.pcap", "old")
	write("x_00007_20260101000000.pcap.part", "left by a killed run")
	var log notes
	run := func() {
		s := create(t, filepath.Join(dir, "x.pcap"), Options{Rotate: Rotation{Packets: 1}, Ring: 3, Logf: log.logf})
		other := create(t, filepath.Join(dir, "x.pcap"), Options{Rotate: Rotation{Packets: 1}, Logf: log.logf}) // its .part is in use
		for i := range 3 {
			if err := s.Append(time.Now(), 1, record(i, 60)); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []*Files{s, other} {
			if err := f.Close(time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	var set []string
	for _, name := range names(t, dir) {
		if !slices.Contains(others, name) {
			set = append(set, name[:len("x_00000")])
		}
	}
	if want := []string{"x_00008", "x_00009", "x_00009", "x_00010"}; !slices.Equal(set, want) {
		t.Errorf("kept %v, want %v of %v", set, want, names(t, dir))
	}
	for _, name := range others {
		if text, err := os.ReadFile(filepath.Join(dir, name)); string(text) != "not ours" {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
	if !strings.Contains(log.text(), "was left by a run that was killed; it is ") || strings.Count(log.text(), "\n") != 0 {
		t.Errorf("said %q", log.text())
	}
}

// A stranger's file among the files of a set, with the name of one that a killed run has left, is
// neither waited for nor taken.
func TestStrangersAmongTheSet(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	fifo, file := filepath.Join(dir, "x_00001_20260101000000.pcap.part"), filepath.Join(dir, "x_00002_20260101000000.pcap.part")
	if err := errors.Join(unix.Mkfifo(fifo, 0o666), os.WriteFile(file, []byte("theirs"), 0o666), os.Chown(file, 65533, 65533)); err != nil {
		t.Fatal(err)
	}
	var log notes
	s := create(t, filepath.Join(dir, "x.pcap"), Options{Rotate: Rotation{Packets: 1}, Ring: 3, Logf: log.logf})
	if err := errors.Join(s.Append(time.Now(), 1, record(1, 60)), s.Close(time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, file} {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if list := names(t, dir); len(list) != 3 || !strings.HasPrefix(list[2], "x_00003_") || log.text() != "" {
		t.Errorf("%v, said %q", list, log.text())
	}
}

// Below the floor the files of a ring make room. Without a ring the run ends with an error that
// says why.
func TestFloor(t *testing.T) {
	dir := smallDisk(t) // 64 KiB
	var log notes
	s := create(t, filepath.Join(dir, "x.pcap"), Options{Rotate: Rotation{Bytes: 10_000}, Ring: 100, Floor: 30_000, Logf: log.logf})
	now := time.Now()
	for i := range 2000 {
		now = now.Add(time.Second)
		if err := s.Due(now); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(now, 1, record(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(now); err != nil {
		t.Fatal(err)
	}
	n := len(names(t, dir))
	if n < 2 || n > 4 || !strings.Contains(log.text(), "less than the floor: "+dir+"/x_00001_") {
		t.Errorf("%d files, said %.200s", n, log.text())
	}
	for _, name := range names(t, dir) {
		os.Remove(filepath.Join(dir, name))
	}
	s = create(t, filepath.Join(dir, "x.pcap"), Options{Floor: 50_000})
	var err error
	wrote := 0
	for err == nil {
		now = now.Add(time.Second)
		if err = s.Append(now, 1, record(wrote, 100)); err == nil {
			wrote++
			err = s.Due(now)
		}
	}
	cerr := s.Close(now)
	_, packets := whole(t, filepath.Join(dir, "x.pcap"))
	want := fmt.Sprintf("less than the floor of 50.0 kB; %d packets are safe, 0 more are lost", len(packets))
	if wrote != len(packets) || !strings.HasSuffix(err.Error(), want) || cerr != nil {
		t.Errorf("%d packets of %d, %v, %v", len(packets), wrote, err, cerr)
	}
}

// A file that is removed while it is written, alone or with its directory, is restored with all
// its packets.
func TestRemoved(t *testing.T) {
	for _, set := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var log notes
		o := Options{Logf: log.logf}
		if set {
			o.Rotate.Packets = 1000
		}
		s := create(t, filepath.Join(dir, "x.pcap"), o)
		now := time.Now()
		add := func(from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				if err := s.Append(now, 1, record(i, 100)); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(time.Second)
			if err := s.Due(now); err != nil {
				t.Fatal(err)
			}
		}
		add(0, 10)
		if err := os.Remove(s.path); err != nil {
			t.Fatal(err)
		}
		add(10, 20)
		inOrder(t, dir, 0, 20)
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(now, 1, record(20, 100)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(now); err != nil {
			t.Fatal(err)
		}
		inOrder(t, dir, 0, 21)
		if n := strings.Count(log.text(), "was removed while it was written; it is restored"); n != 2 {
			t.Errorf("said %q", log.text())
		}
	}
}

// If a file cannot be restored, or the run cannot go on, the error says how many packets are
// safe.
func TestDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	for _, set := range []bool{false, true} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		o := Options{}
		if set {
			o.Rotate.Packets = 2
		}
		s := create(t, filepath.Join(dir, "x.pcap"), o)
		for i := range 2 {
			if err := s.Append(time.Now(), 1, record(i, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // in its place
			t.Fatal(err)
		}
		err := s.Due(time.Now().Add(time.Second))
		if err == nil || !strings.Contains(err.Error(), "was removed, and cannot be restored: ") || !strings.Contains(err.Error(), "; 0 packets are safe, 2 more") {
			t.Errorf("said %v", err)
		}
		s.Close(time.Now())
		os.Remove(dir)
	}
}

// A single file that was moved away is begun anew; one that is in place goes on.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.pcap")
	var log notes
	s := create(t, path, Options{Logf: log.logf})
	now := time.Now()
	step := func(i int, then func()) {
		t.Helper()
		if err := s.Append(now, 1, record(i, 100)); err != nil {
			t.Fatal(err)
		}
		then()
		if err := s.Reopen(now); err != nil {
			t.Fatal(err)
		}
	}
	step(0, func() {})
	step(1, func() { os.Rename(path, filepath.Join(dir, "a.pcap")) })
	step(2, func() { os.Rename(path, filepath.Join(dir, "b.pcap")); os.WriteFile(path, []byte("another's"), 0o600) })
	if err := s.Close(now); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "b.pcap") + " (the last of 2 files)"; s.Title() != want {
		t.Errorf("called %s, want %s", s.Title(), want)
	}
	if text, err := os.ReadFile(path); string(text) != "another's" {
		t.Errorf("another's file is %q, %v", text, err)
	}
	os.Remove(path)
	inOrder(t, dir, 0, 3)
	if _, got := whole(t, filepath.Join(dir, "a.pcap")); len(got) != 2 {
		t.Errorf("%d packets before the first move", len(got))
	}
	if text := log.text(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "x.pcap goes on: ") || !strings.Contains(text, "is another file now") {
		t.Errorf("said %q", text)
	}
	if n, _ := s.Counts(); n != 3 {
		t.Errorf("counted %d packets", n)
	}
}

// Names of a set never overwrite a file, and are recognized.
func TestPattern(t *testing.T) {
	at := time.Date(2026, 11, 24, 6, 10, 39, 123456789, time.UTC)
	for _, c := range []struct {
		path string
		set  bool
		dir  string // not made before
		want string
	}{
		{"/a/x.pcap", true, "/a", "/a/x_00007_20261124061039.pcap"},
		{"/a/x", true, "/a", "/a/x_00007_20261124061039"},
		{"/a/x.y.pcapng.zst", true, "/a", "/a/x.y_00007_20261124061039.pcapng.zst"},
		{"x-%Y-%m-%dT%H%M%S.pcap", true, ".", "x-2026-11-24T061039.pcap"},
		{"/%a/%F.%f-%N-%%.pcap", false, "/", "/Tue/2026-11-24.123456-00007-%.pcap"},
		{"/a/%Y/%m/%d/x.pcap", true, "/a", "/a/2026/11/24/x_00007_20261124061039.pcap"},
		{"/a/%Y/%m/%d/x.pcap", false, "/a", "/a/2026/11/24/x.pcap"},
		{"a/b-%F/raw/100%%/%H.pcap", false, "a", "a/b-2026-11-24/raw/100%/06.pcap"},
		{"%F/x-%N.pcap", true, ".", "2026-11-24/x-00007.pcap"},
		{"%N/x.%d.pcap", true, ".", "00007/x.24.pcap"},
		{"%s.pcap", false, ".", "1795500639.pcap"},
		{".pcap", true, ".", ".pcap_00007_20261124061039"},
	} {
		p, err := newPattern(c.path, c.set)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.name(at, 7, 0); got != c.want || p.dir != c.dir {
			t.Errorf("%s: %s in %s, want %s in %s", c.path, got, p.dir, c.want, c.dir)
		}
		base := p.parts[len(p.parts)-1]
		for again := range 3 {
			if got := filepath.Base(p.name(at, 7, again)); !base.match.MatchString(got) {
				t.Errorf("%s: %s is not of the set", c.path, got)
			}
		}
		if base.match.MatchString("other.pcap") {
			t.Errorf("%s: other.pcap is of the set", c.path)
		}
	}
	for _, bad := range []string{"x%", "x%q.pcap", "%N%N.pcap", "%N/%N.pcap", "%N/x.pcap", "100%/x.pcap"} {
		if _, err := newPattern(bad, true); err == nil {
			t.Errorf("%s is no pattern", bad)
		}
	}
}

// Directories with the time in their names are made when they are needed, for their owner only.
// The ring counts over all of them and leaves no empty ones.
func TestDirectoriesOfTime(t *testing.T) {
	dir := t.TempDir()
	day := time.Date(2026, 11, 24, 23, 0, 0, 0, time.Local)
	path := filepath.Join(dir, "%Y/%m/%d/tap/x-%N.pcap")
	run := func(from, to int) *Files {
		t.Helper()
		s := create(t, path, Options{Rotate: Rotation{Packets: 1}, Ring: 3})
		for i := from; i < to; i++ {
			if err := s.Append(day.Add(time.Duration(i)*time.Hour), 1, record(i, 60)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(day); err != nil {
			t.Fatal(err)
		}
		return s
	}
	tree := func() (files []string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			entries, err := os.ReadDir(path)
			if st, serr := d.Info(); serr != nil || d.IsDir() && (st.Mode().Perm() != 0o700 || len(entries) == 0 || err != nil) {
				t.Errorf("directory %s: %v, %v with %v, %v", path, st.Mode(), serr, entries, err)
			}
			if !d.IsDir() {
				files = append(files, path[len(dir):])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	s := run(0, 4)
	want := []string{"/2026/11/25/tap/x-00002.pcap", "/2026/11/25/tap/x-00003.pcap", "/2026/11/25/tap/x-00004.pcap"}
	if now := time.Now().Format("/2006/01/02"); now != "/2026/11/24" && now != "/2026/11/25" {
		// The first file is of the day of this test.
		if got := tree(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if title, want := s.Title(), dir+want[2]+" (the last of 4 files, of which the ring keeps 3)"; title != want {
		t.Errorf("called %s, want %s", title, want)
	}
	s = run(4, 6)
	if got := tree(); len(got) != 3 || !slices.ContainsFunc(got, func(f string) bool { return strings.HasSuffix(f, "/x-00006.pcap") }) || !strings.HasSuffix(s.Title(), "x-00006.pcap (the last of 2 files)") {
		t.Errorf("%v, the last called %s", got, s.Title())
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// The title of a run has the name that the file has in the end.
func TestTitle(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, want string
		o          Options
	}{
		{"a.pcap", "a.pcap", Options{}},
		{"c.pcap", "c.pcap.zst", Options{Zstd: true}},
		{"d-%Y.pcap", "d-20[0-9][0-9].pcap", Options{}},
		{"e.pcap", "e_00003_*.pcap", Options{Rotate: Rotation{Packets: 1}}},
		{"f.pcap", "f_00001_*.pcap", Options{Rotate: Rotation{Packets: 5}}},
	} {
		s := create(t, filepath.Join(dir, c.name), c.o)
		for i := range 3 {
			if err := s.Append(time.Now(), 1, record(i, 60)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(time.Now()); err != nil {
			t.Fatal(err)
		}
		name, note, _ := strings.Cut(s.Title(), " ")
		if ok, err := filepath.Match(filepath.Join(dir, c.want), name); !ok || err != nil {
			t.Errorf("%s is called %s", c.name, name)
		}
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
		if want := map[bool]string{true: "(the last of 3 files)"}[c.o.Rotate.Packets == 1]; note != want {
			t.Errorf("%s: %q", c.name, note)
		}
	}
}

// The filter chooses packets, and limits count those that it chooses.
func TestFilter(t *testing.T) {
	name := newQueue(t, shm.Options{})
	p := producer(t, name)
	for i := range 300 {
		f := frame(1, i, 60)
		f[12], f[13] = 0x08, byte(i%3) // a third is IP
		put(p, shm.Record{Data: f})
	}
	f, err := filter.Compile("ip")
	if err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	files, err := Stream(file, file.Name(), Options{Filter: f.String()})
	if err != nil {
		t.Fatal(err)
	}
	c := collectorOf(t, name, Run{Output: files, Filter: f, Packets: 50})
	if err := c.Collect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	_, got := readFile(t, file.Name())
	if len(got) != 50 || waiting(t, name) != 300-148 {
		t.Errorf("%d packets, %d left in the queue", len(got), waiting(t, name))
	}
	for i, p := range got {
		if _, seq := frameID(p.data); seq != 3*i {
			t.Fatalf("packet %d is %d", i, seq)
		}
	}
	if tally := c.Tally(); tally.Packets != 50 || tally.Filtered != 98 {
		t.Errorf("counted %+v", tally)
	}
}

// Near its limit a collector asks for fewer packets at a time than are in a batch. As many as it has asked for are a
// sign that more wait: with a filter that takes few, it slept after each packet otherwise, and the queue filled.
func TestLimitWithFilterDoesNotSleep(t *testing.T) {
	name := newQueue(t, shm.Options{})
	p := producer(t, name)
	const n = 10
	for i := range n {
		put(p, shm.Record{Data: frame(1, i, 60)})
	}
	f, err := filter.Compile("arp")
	if err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	files, err := Stream(file, file.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := collectorOf(t, name, Run{Output: files, Filter: f, Packets: 1})
	for i := range n + 1 {
		if taken, more, err := c.take(); err != nil || (taken == 1) != (i < n) || more != (i < n) {
			t.Fatalf("take %d: %d, %v, %v", i, taken, more, err)
		}
	}
	if err := files.Close(time.Now()); err != nil {
		t.Error(err)
	}
}

// The filter knows which way a packet went.
func TestFilterOfADirection(t *testing.T) {
	name := newQueue(t, shm.Options{})
	p := producer(t, name)
	for i := range 10 {
		put(p, shm.Record{Data: frame(1, i, 60), Direction: []shm.Direction{shm.RX, shm.TX}[i%2]})
	}
	f, err := filter.Compile("outbound")
	if err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	files, err := Stream(file, file.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := collectorOf(t, name, Run{Output: files, Filter: f, Packets: 5})
	if err := c.Collect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	_, got := readFile(t, file.Name())
	for i, p := range got {
		if _, seq := frameID(p.data); seq != 2*i+1 {
			t.Errorf("packet %d is %d", i, seq)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d packets", len(got))
	}
}

// The time of reception comes from the record.
func TestReceived(t *testing.T) {
	name := newQueue(t, shm.Options{})
	put(producer(t, name), shm.Record{Data: frame(1, 1, 60), Timestamp: 1_234_567_890_123_456_789})
	file := newFile(t)
	files, err := Stream(file, file.Name(), Options{Format: PCAPNano})
	if err != nil {
		t.Fatal(err)
	}
	if err := collectorOf(t, name, Run{Output: files, Packets: 1, Received: true}).Collect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, got := readFile(t, file.Name()); len(got) != 1 || got[0].Timestamp.UnixNano() != 1_234_567_890_123_456_789 {
		t.Errorf("%+v", got)
	}
}

// When the disk is full in the middle of a set, all its files are whole, including the last one.
func TestSetDiskFull(t *testing.T) {
	for _, z := range []bool{false, true} {
		dir := smallDisk(t)
		name := newQueue(t, shm.Options{})
		p := producer(t, name)
		for i := range 1000 {
			put(p, shm.Record{Data: noise(i, 100)})
		}
		files := create(t, filepath.Join(dir, "x.pcap"), Options{Zstd: z, Rotate: Rotation{Bytes: 10_000}})
		err := collectorOf(t, name, Run{Output: files, Packets: 1000}).Collect(bounded(t))
		packets := 0
		for _, n := range names(t, dir) {
			_, got := whole(t, filepath.Join(dir, n))
			packets += len(got)
		}
		inOrder(t, dir, 0, packets)
		if !errors.Is(err, unix.ENOSPC) || packets == 0 || !strings.Contains(err.Error(), fmt.Sprintf("; %d packets are safe", packets)) {
			t.Errorf("%d packets in %v, said %v", packets, names(t, dir), err)
		}
	}
}

// Where the clock goes forward at midnight there is no midnight; a file is due later all the same, at every minute of the year.
func TestRotationIsDueLater(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/Santiago", "America/Havana", "Africa/Cairo", "Europe/Vienna", "Asia/Kathmandu", "UTC"} {
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range []time.Duration{time.Hour, 7 * time.Hour, 24 * time.Hour} {
			for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() == 2026; at = at.Add(time.Minute) {
				now := at.In(where)
				if due := (Rotation{Every: every}).next(now); !due.After(now) || due.Sub(now) > every+time.Hour {
					t.Fatalf("%s, every %v: a file begun at %v is due at %v", zone, every, now, due)
				}
			}
		}
	}
}

// A clock that is put back does not keep the file of its former future.
func TestRotationAfterClockWasPutBack(t *testing.T) {
	at := time.Date(2026, 9, 5, 12, 10, 0, 0, time.UTC)
	s := create(t, filepath.Join(t.TempDir(), "x.pcap"), Options{Rotate: Rotation{Every: time.Hour}, Ring: 48})
	s.due = s.o.Rotate.next(at)
	back := at.AddDate(-1, 0, 0)
	for h := range 10 {
		if err := s.Due(back.Add(time.Duration(h) * time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if s.made != 10 {
		t.Errorf("%d files in ten hours", s.made)
	}
	if err := s.Close(back); err != nil {
		t.Error(err)
	}
}

// The space of a removed file may come later; until then no other one is removed for it.
func TestSpaceOfRemovedFiles(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p promises
	for i, c := range []struct {
		after       time.Duration
		free, wrote uint64
		remove      uint64 // after the look
		want        uint64
	}{
		{0, 100, 0, 50, 100},
		{time.Second, 100, 0, 0, 150},   // it has not come
		{time.Second, 90, 10, 0, 140},   // we have written
		{time.Second, 110, 20, 0, 130},  // 30 of it have come
		{time.Second, 130, 20, 0, 130},  // and the rest
		{time.Second, 120, 30, 40, 120}, // another one
		{59 * time.Second, 120, 30, 0, 160},
		{time.Second, 120, 30, 0, 120}, // it does not come
	} {
		now = now.Add(c.after)
		if got := p.look(now, c.free, c.wrote); got != c.want {
			t.Errorf("look %d: %d, not %d", i, got, c.want)
		}
		if c.remove > 0 {
			p.add(now, c.remove)
		}
	}
}

// A promise that is not kept ends after its time, also if files are removed more often than that.
func TestSpaceThatDoesNotCome(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p promises
	p.look(now, 100, 0)
	for i := range 10 {
		p.add(now, 10)
		now = now.Add(promiseAfter / 2)
		if got := p.look(now, 100, 0); got > 120 {
			t.Fatalf("after %d removed files, %d will be free", i+1, got)
		}
	}
}

// When a file was removed while it was written, and restored, nothing holds the space of the removed one.
func TestRestoredFileFreesTheRemovedOne(t *testing.T) {
	dir := t.TempDir()
	s := create(t, filepath.Join(dir, "x.pcap"), Options{})
	now := time.Now()
	for round := range 2 {
		for i := range 8000 { // beyond what is written back early
			if err := s.Append(now, 1, record(i, 1500)); err != nil {
				t.Fatal(err)
			}
			if s.Full() {
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round == 0 {
			if err := os.Remove(filepath.Join(dir, "x.pcap")); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(2 * time.Second)
		if err := s.Due(now); err != nil {
			t.Fatal(err)
		}
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && strings.HasSuffix(to, "(deleted)") {
			t.Errorf("%s is held", to)
		}
	}
	if err := s.Close(now); err != nil {
		t.Error(err)
	}
}

// A device keeps its name, also with compression.
func TestCompressedDevice(t *testing.T) {
	if err := Check("/dev/null", Options{Zstd: true}); err != nil {
		t.Error(err)
	}
	s := create(t, "/dev/null", Options{Zstd: true})
	if s.path != "/dev/null" {
		t.Errorf("it is %s", s.path)
	}
	if err := s.Close(time.Now()); err != nil {
		t.Error(err)
	}
}
