// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// Options say how to make and keep streams.
type Options struct {
	Format      Format
	Zstd        bool            // compress; ".zst" is appended to the name
	Application string          // named in PCAPNG
	Filter      string          // named in PCAPNG
	Interfaces  []shm.Interface // described in PCAPNG: those of the queue
	SnapLen     int             // bytes kept of each packet, at most MaxSnapLen; 0 means MaxSnapLen
	Limit       uint64          // the most bytes of all streams together; 0 means no limit
	// Reproducible says that the same packets give the same bytes on every machine: PCAPNG then does not name
	// the machine and its system, nor when the stream was begun.
	Reproducible bool

	Rotate Rotation
	Ring   int    // files of the set that are kept, including the one being written; 0 means all
	Floor  uint64 // bytes that must stay free on the disk; 0 means none

	// Accept checks standard output or a single file after it was opened and before anything of
	// it is changed. Stream or Create returns its error. nil accepts all.
	Accept func(f *os.File, name string) error
	// Digest, if not nil, gets the digest of each file of a set, part by part, before the file is Closed.
	// index.Digested makes the index of it. The bytes are valid during the call. It must not block.
	Digest func([]byte)
	// Closed, if not nil, is called once for each complete file, when the file has its name. It
	// is not called for a stream that is not a file. It must not block.
	Closed func(ClosedFile)
	// Logf logs events of files that the user did not ask for.
	Logf func(format string, args ...any)
}

// ClosedFile describes a file that is complete.
type ClosedFile struct {
	Path    string // where it is; a single file may have been moved since it was begun
	Number  int    // number in the run, from 1
	Packets uint64 // number of packets
	Bytes   uint64 // length
	Changed int64  // when it was changed last, ns since the epoch; 0 if that is not known
	Set     bool   // it belongs to a set, so it will not be written again
}

// Rotation says when a file is closed and the next one begun. 0 means never.
type Rotation struct {
	Bytes   uint64        // length of a file, exceeded only if a single packet is longer
	Packets uint64        // number of packets
	After   time.Duration // time since the file was begun
	Every   time.Duration // by the clock: at each multiple since midnight, local time; at most a day
}

// Any says whether there is rotation at all.
func (r Rotation) Any() bool { return r != Rotation{} }

// Files are the streams of one run, one after the other: a given one (standard output), a single
// file under its own name, or a set of files, each of which has ".part" after its name until it
// is closed.
type Files struct {
	o     Options
	enc   *encoder
	z     *zstd.Encoder
	out   *stream
	first *stream  // for a pipe or a device it is the only one, so HurryUp may be called at any time
	file  *os.File // of out, if it is a plain file of ours
	given *os.File // nil: we have opened the file
	path  string   // where it is
	done  string   // the final name: path without ".part"
	set   *pattern // nil: no set

	number   int       // number of the file in the set
	due      time.Time // when the next file is due; zero: never
	closed   bool      // out is closed
	kept     []string  // closed files of the set, the oldest first
	earlier  int       // how many of them are from earlier runs
	made     int       // number of files of this run
	last     string    // where the file closed last is, "" if there is none
	dropped  int       // how many of them the ring has removed
	packets  uint64    // in closed files
	bytes    uint64    // in closed files
	checked  time.Time // last look at the disk and the file
	back     writeback
	promised promises
	noted    *noted // nil: without Options.Digest
}

// Stream returns Files for a file that is open, such as standard output. The name is for errors.
func Stream(f *os.File, name string, o Options) (*Files, error) {
	s, err := newFiles(o)
	if err != nil {
		return nil, err
	}
	if err := s.enough(); err != nil {
		return nil, err
	}
	if err := s.claim(f, name); err != nil {
		return nil, err
	}
	s.path, s.given = name, f
	s.out = newStream(f, name, s.enc, s.z, o.Limit, time.Now().UnixNano())
	s.first = s.out
	return s, nil
}

// zstdName returns the name of a file as it is with Options.Zstd. A device keeps its name.
func zstdName(path string, o Options) string {
	if st, err := os.Stat(path); !o.Zstd || strings.HasSuffix(path, ".zst") || err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		return path
	}
	return path + ".zst"
}

// Create returns Files that begin with a new file. If the path has conversions (see pattern), it
// is the name of each file. If there are neither conversions nor rotation, an existing file is
// overwritten.
func Create(path string, o Options) (*Files, error) {
	if err := namesFile(path); err != nil {
		return nil, err
	}
	s, err := newFiles(o)
	if err != nil {
		return nil, err
	}
	path = zstdName(path, o)
	s.path, s.done = path, path
	if o.Rotate.Any() || hasConversion(path) {
		if s.set, err = newPattern(path, o.Rotate.Any()); err != nil {
			return nil, err
		}
		if err := s.survey(); err != nil {
			return nil, err
		}
	}
	if err := s.enough(); err != nil {
		return nil, err
	}
	if err := s.open(time.Now()); err != nil {
		return nil, err
	}
	s.first = s.out
	return s, nil
}

func newFiles(o Options) (*Files, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	s := &Files{o: o, enc: newEncoder(o.Format, o.Application, o.Filter)}
	if o.Digest != nil {
		s.noted = &noted{to: o.Digest}
	}
	s.enc.ng.reproducible = o.Reproducible
	s.enc.SetInterfaces(o.Interfaces)
	if o.SnapLen > 0 {
		s.enc.SetSnapLen(o.SnapLen)
	}
	if !o.Zstd {
		return s, nil
	}
	var err error
	s.z, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	return s, err
}

// enough returns an error if the limit is less than a stream without packets.
func (s *Files) enough() error {
	if empty := s.blank(time.Now()); !empty.fits(0) {
		return fmt.Errorf("a limit of %d bytes is less than an empty stream of %d", s.o.Limit, empty.length(0))
	}
	return nil
}

// blank returns a stream without packets that goes nowhere, with the limit that is left.
func (s *Files) blank(now time.Time) *stream {
	next := &stream{enc: s.enc, z: s.z}
	if s.o.Limit > 0 {
		next.limit = s.o.Limit - s.bytes
	}
	next.buf = s.enc.AppendHeader(nil, now.UnixNano())
	return next
}

// midnight returns when a day begins. Where the clock is put forward at midnight, time.Date may give
// 23:00 of the day before.
func midnight(y int, m time.Month, d int, where *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, where)
	if _, end := t.ZoneBounds(); t.Hour() >= 12 && !end.IsZero() {
		return end
	}
	return t
}

// next returns when a file that is begun now is due.
func (r Rotation) next(now time.Time) time.Time {
	var due time.Time
	if r.After > 0 {
		due = now.Add(r.After)
	}
	if r.Every > 0 {
		y, m, d := now.Date()
		midnight, at := midnight(y, m, d, now.Location()), midnight(y, m, d+1, now.Location())
		// At midnight the count begins anew. A day may have 23 or 25 hours.
		if next := midnight.Add(now.Sub(midnight)/r.Every*r.Every + r.Every); r.Every < 24*time.Hour && next.Before(at) {
			at = next
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// Append adds a packet to the stream, and begins another file when it is due. It returns ErrLimit
// if the packet does not fit below the limit of all streams.
func (s *Files) Append(now time.Time, timestamp int64, r *shm.Record) error {
	if s.o.Rotate.Packets > 0 && s.out.Appended() >= s.o.Rotate.Packets {
		if err := s.Rotate(now); err != nil {
			return err
		}
	}
	for usual := uint64(0); ; {
		ok, err := s.out.Append(timestamp, r)
		if usual > 0 {
			s.out.limit = usual
		}
		if ok || err != nil {
			return err
		}
		left := uint64(0)
		if s.o.Limit > 0 {
			left = s.o.Limit - s.bytes
		}
		switch {
		case s.o.Limit > 0 && (s.out.limit == left || usual > 0):
			return ErrLimit
		case s.out.Appended() > 0:
			if err := s.Rotate(now); err != nil {
				return err
			}
			continue
		}
		// The packet is longer than a file may be: it gets a file of its own.
		s.out.limit, usual = left, s.out.limit
	}
}

// Rotate closes the file and begins the next one, if this is a set.
func (s *Files) Rotate(now time.Time) error {
	if s.set == nil {
		return nil
	}
	return s.another(now)
}

// another closes the file and begins the next one.
func (s *Files) another(now time.Time) error {
	if err := s.close(now); err != nil {
		return err
	}
	if s.o.Limit > 0 && !s.roomForAnother(now) {
		return ErrLimit
	}
	for s.o.Ring > 0 && len(s.kept) >= s.o.Ring {
		s.drop()
	}
	if err := s.open(now); err != nil {
		return fmt.Errorf("the next file: %w; %s packets are safe", err, grouped(s.packets))
	}
	return nil
}

// roomForAnother says whether another file with a packet fits below the limit.
func (s *Files) roomForAnother(now time.Time) bool {
	next := s.blank(now)
	return next.limit > 0 && next.fits(s.enc.Least())
}

// close ends the file and gives it its name.
func (s *Files) close(now time.Time) error {
	err := s.rescue()
	closed := ClosedFile{Path: s.whereabouts(), Number: s.made, Set: s.set != nil}
	if s.given != nil {
		// The shell has the file open too, and would keep it locked. An error of end comes again
		// below; whether there is a lock at all does not matter.
		_ = s.out.end(now.UnixNano())
		_ = flock(s.given, unix.LOCK_UN)
	}
	if cerr := s.out.end(now.UnixNano()); err == nil {
		err = cerr
	}
	if s.file != nil { // the time is that of the last write
		if st, serr := s.file.Stat(); serr == nil {
			closed.Changed = st.ModTime().UnixNano()
		}
	}
	if cerr := s.out.Close(now.UnixNano()); err == nil {
		err = cerr
	}
	closed.Packets, closed.Bytes = s.out.Packets(), s.out.Bytes()
	s.packets += closed.Packets
	s.bytes += closed.Bytes
	s.out.written, s.out.packets, s.closed = 0, 0, true // they are counted above
	switch {
	case s.set == nil:
	case closed.Bytes == 0: // there was no room, not even for a header
		os.Remove(s.path)
		s.set.removeDirs(s.path)
		s.made--
		return err
	default:
		if rerr := rename(s.path, s.done); rerr == nil {
			if n := len(s.kept); n > s.earlier { // the index of this one is made by now
				s.back.add(stretch{path: s.kept[n-1], drop: true})
			}
			s.kept = append(s.kept, s.done)
			s.path, closed.Path = s.done, s.done
		} else if err == nil {
			err = fmt.Errorf("%s: not renamed, its packets are safe there: %w", s.path, rerr)
		}
	}
	s.last = closed.Path
	if s.o.Closed != nil && s.file != nil && closed.Bytes > 0 {
		s.o.Closed(closed)
	}
	return err
}

// whereabouts returns the name that the file has now: a single file may have been moved.
func (s *Files) whereabouts() string {
	if s.file == nil || s.set != nil {
		return s.path
	}
	now, err := os.Readlink(descriptor(s.file))
	if err != nil {
		return s.path
	}
	there, err := os.Lstat(now)
	ours, oerr := s.file.Stat()
	if err != nil || oerr != nil || !os.SameFile(there, ours) {
		return s.path // it has lost its name
	}
	if given, err := os.Stat(s.path); err == nil && os.SameFile(given, ours) {
		return s.path // as the user calls it: it may be a link
	}
	return now
}

// Title names the last file that was closed, where it is now, and says how many there were. It is
// for a summary at the end.
func (s *Files) Title() string {
	switch {
	case s.last == "":
		return "no file"
	case s.made < 2:
		return s.last
	case s.dropped > 0:
		return fmt.Sprintf("%s (the last of %s files, of which the ring keeps %s)", s.last, grouped(uint64(s.made)), grouped(uint64(s.made-s.dropped)))
	}
	return fmt.Sprintf("%s (the last of %s files)", s.last, grouped(uint64(s.made)))
}

// Reopen does what a rotator of logs asks for. A set goes on with the next file. If a single file
// was moved away, a new one of its name is begun; if it is still there, it goes on.
func (s *Files) Reopen(now time.Time) error {
	if s.set != nil {
		return s.Rotate(now)
	}
	if s.file == nil {
		return nil
	}
	there, err := os.Lstat(s.path)
	ours, oerr := s.file.Stat()
	switch {
	case err == nil && oerr == nil && os.SameFile(there, ours):
		s.o.Logf("%s goes on: to begin another file, move it away first, or use --rotate", s.path)
		return nil
	case err == nil:
		s.o.Logf("%s is another file now; it is not overwritten, and the one that was moved away goes on", s.path)
		return nil
	}
	if removed(s.file) {
		return nil // not moved: see rescue
	}
	return s.another(now)
}

// Due begins another file if it is due. Once a second it also writes the buffer and checks the disk.
func (s *Files) Due(now time.Time) error {
	if !s.due.IsZero() && !now.Before(s.due) {
		if err := s.Rotate(now); err != nil {
			return err
		}
	}
	if since := now.Sub(s.checked); since >= 0 && since < time.Second {
		return nil
	}
	s.checked = now
	if every := s.o.Rotate.Every; every > 0 { // if the clock was put back, it is due earlier than it seemed
		if at := (Rotation{Every: every}).next(now); at.Before(s.due) {
			s.due = at
		}
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := s.rescue(); err != nil {
		return err
	}
	return s.enoughDisk(now)
}

// Describes says whether the streams have a place for names of interfaces.
func (s *Files) Describes() bool { return s.enc.Describes() }

// Knows says whether the interface of a packet has been described.
func (s *Files) Knows(r *shm.Record) bool { return s.enc.Knows(r) }

// Describe sets the queue's table of interfaces.
func (s *Files) Describe(list []shm.Interface) { s.enc.SetInterfaces(list) }

// Skipped counts a packet that the filter dropped.
func (s *Files) Skipped(r *shm.Record) { s.enc.Skipped(r) }

// ReaderGone says whether nobody reads the stream any more.
func (s *Files) ReaderGone() bool { return s.out.ReaderGone() }

// HurryUp begins the end: a reader of a pipe has two seconds to take the rest. It may be called
// from any goroutine.
func (s *Files) HurryUp() { s.first.HurryUp() }

// Flush writes the buffer.
func (s *Files) Flush() error { return s.out.Flush() }

// Full says whether the buffer should be written.
func (s *Files) Full() bool { return s.out.Full() }

// Hold says whether to wait for more packets before a write: larger pieces compress better.
func (s *Files) Hold() bool { return s.z != nil }

// Room says whether another packet fits below the limit.
func (s *Files) Room() bool {
	return s.o.Limit == 0 || s.out.limit != s.o.Limit-s.bytes || s.out.Room()
}

// Counts returns the packets and bytes of all streams so far.
func (s *Files) Counts() (packets, bytes uint64) {
	return s.packets + s.out.Appended(), s.bytes + s.out.Bytes()
}

// Close ends the last stream.
func (s *Files) Close(now time.Time) error {
	defer s.back.stop()
	if s.closed {
		return nil
	}
	return s.close(now)
}
