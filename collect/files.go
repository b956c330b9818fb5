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

// Options say how streams are made and kept.
type Options struct {
	Format      Format
	Zstd        bool            // compress; ".zst" is appended to the name
	Application string          // named in PCAPNG
	Filter      string          // likewise
	Interfaces  []shm.Interface // likewise: those of the queue, as far as there are any
	SnapLen     int             // bytes kept of each packet, at most MaxSnapLen; 0 is that
	Limit       uint64          // bytes of all streams together, never exceeded; 0 none

	Rotate Rotation
	Ring   int    // files of the set that are kept, the one being written included; 0 all
	Floor  uint64 // bytes that must be free on the disk; 0 none

	// Accept looks at standard output or a single file that was opened, before anything
	// of it is changed; its error is that of Stream or Create. nil takes all.
	Accept func(f *os.File, name string) error
	// Closed, if not nil, is told of each file that is complete, once and when it has its
	// name; a stream that is no file is none. It must not wait.
	Closed func(ClosedFile)
	// Logf gets a line about what happens to files that nobody asked for.
	Logf func(format string, args ...any)
}

// ClosedFile is a file that is complete.
type ClosedFile struct {
	Path    string // where it is: that of a single file may be another than when it was begun
	Number  int    // which of the run, from 1
	Packets uint64 // in it
	Bytes   uint64 // its length
}

// Rotation says when a file is closed and the next one begun; 0 is never.
type Rotation struct {
	Bytes   uint64        // length of a file, not exceeded unless its only packet is longer
	Packets uint64        // in a file
	After   time.Duration // since the file was begun
	Every   time.Duration // by the clock: at each multiple of it since midnight, local time; at most a day
}

// Any says whether there is rotation at all.
func (r Rotation) Any() bool { return r != Rotation{} }

// Files are the streams of one run, one after the other: a given one (standard
// output), a single file under its own name, or a set of files, each of which has
// ".part" behind its name until it is closed.
type Files struct {
	o     Options
	enc   *Encoder
	z     *zstd.Encoder
	out   *Output
	first *Output  // of a pipe or a device it stays the only one, so HurryUp may be called any time
	file  *os.File // of out, when it is a plain file of ours
	given *os.File // nil: made by us
	path  string   // where it is
	done  string   // what it will be called: path without ".part"
	set   *pattern // nil: no set

	number  int       // of the file in the set
	due     time.Time // when the next one is; zero never
	closed  bool      // out is
	kept    []string  // closed files of the set, the oldest first
	earlier int       // how many of them are of earlier runs
	made    int       // files of this run
	last    string    // where the one closed last is, "" if there is none
	dropped int       // of them, removed by the ring
	packets uint64    // in closed files
	bytes   uint64    // likewise
	checked time.Time // last look at disk and file
}

// Stream makes Files of a file that is open, such as standard output. The name is for
// errors.
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
	s.out = NewOutput(f, name, s.enc, s.z, o.Limit, time.Now().UnixNano())
	s.first = s.out
	return s, nil
}

// Create makes Files that begin with a new file. A path with conversions (see
// pattern) is the name of each file. Where there is neither conversion nor rotation, a
// file that exists is overwritten.
func Create(path string, o Options) (*Files, error) {
	if err := namesFile(path); err != nil {
		return nil, err
	}
	s, err := newFiles(o)
	if err != nil {
		return nil, err
	}
	if o.Zstd && !strings.HasSuffix(path, ".zst") {
		path += ".zst"
	}
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
	s := &Files{o: o, enc: NewEncoder(o.Format, o.Application, o.Filter)}
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

// enough says, before there is a stream, whether the limit leaves room for one without
// packets.
func (s *Files) enough() error {
	if empty := s.blank(time.Now()); !empty.fits(0) {
		return fmt.Errorf("a limit of %d bytes is less than an empty stream of %d", s.o.Limit, empty.length(0))
	}
	return nil
}

// blank is a stream without packets that goes nowhere, with what the limit leaves.
func (s *Files) blank(now time.Time) *Output {
	next := &Output{enc: s.enc, z: s.z}
	if s.o.Limit > 0 {
		next.limit = s.o.Limit - s.bytes
	}
	next.buf = s.enc.AppendHeader(nil, now.UnixNano())
	return next
}

// next is when a file begun now has its time.
func (r Rotation) next(now time.Time) time.Time {
	var due time.Time
	if r.After > 0 {
		due = now.Add(r.After)
	}
	if r.Every > 0 {
		y, m, d := now.Date()
		midnight, at := time.Date(y, m, d, 0, 0, 0, 0, now.Location()), time.Date(y, m, d+1, 0, 0, 0, 0, now.Location())
		// Where the day ends, the next one begins to count. A day may have 23 or 25 hours.
		if next := midnight.Add(now.Sub(midnight)/r.Every*r.Every + r.Every); r.Every < 24*time.Hour && next.Before(at) {
			at = next
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// Append adds a packet to the stream, beginning another file when it is time. The
// error is errLimit when the packet does not fit below the limit of all streams.
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
			return errLimit
		case s.out.Appended() > 0:
			if err := s.Rotate(now); err != nil {
				return err
			}
			continue
		}
		// Longer than a file may be: it gets one of its own.
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
		return errLimit
	}
	for s.o.Ring > 0 && len(s.kept) >= s.o.Ring {
		s.drop()
	}
	if err := s.open(now); err != nil {
		return fmt.Errorf("the next file: %w; %s packets are safe", err, grouped(s.packets))
	}
	return nil
}

// roomForAnother says whether the limit lets in another file with a packet.
func (s *Files) roomForAnother(now time.Time) bool {
	next := s.blank(now)
	return next.limit > 0 && next.fits(s.enc.Least())
}

// close ends the file and gives it its name.
func (s *Files) close(now time.Time) error {
	err := s.rescue()
	closed := ClosedFile{Path: s.whereabouts(), Number: s.made}
	if s.given != nil {
		// It is open in the shell too, with which it would stay locked. The error of the
		// end comes again below; whether there is a lock at all does not matter.
		_ = s.out.end(now.UnixNano())
		_ = flock(s.given, unix.LOCK_UN)
	}
	if cerr := s.out.Close(now.UnixNano()); err == nil {
		err = cerr
	}
	closed.Packets, closed.Bytes = s.out.Packets(), s.out.Bytes()
	s.packets += closed.Packets
	s.bytes += closed.Bytes
	s.out.written, s.out.packets, s.closed = 0, 0, true // counted
	switch {
	case s.set == nil:
	case closed.Bytes == 0: // not even a header found room
		os.Remove(s.path)
		s.set.removeDirs(s.path)
		s.made--
		return err
	default:
		if rerr := rename(s.path, s.done); rerr == nil {
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

// whereabouts is the name that the file has now: a single one may have been moved away.
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

// Title names the last file that was closed, where it is now, and says how many there were:
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

// Reopen is what a rotator of logs asks for: a set goes on with the next file, a
// single file that was moved away is begun anew under its name. One that is still
// there goes on.
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
		s.o.Logf("%s goes on: to have another file begun, move it away first, or use --rotate", s.path)
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

// Due does what is due at this time: another file, and once a second a write of what
// waits, and a look at the disk.
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
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := s.rescue(); err != nil {
		return err
	}
	return s.enoughDisk()
}

// Describes says whether the streams have a place for what interfaces are called.
func (s *Files) Describes() bool { return s.enc.Describes() }

// Knows says whether all that a packet refers to has been described.
func (s *Files) Knows(r *shm.Record) bool { return s.enc.Knows(r) }

// Describe takes the queue's table of interfaces.
func (s *Files) Describe(list []shm.Interface) { s.enc.SetInterfaces(list) }

// Skipped learns of a packet that the filter threw away.
func (s *Files) Skipped(r *shm.Record) { s.enc.Skipped(r) }

// ReaderGone says whether nobody reads the stream any more.
func (s *Files) ReaderGone() bool { return s.out.ReaderGone() }

// HurryUp says that the end has come: a reader of a pipe has two seconds to take the rest.
// It may be called from any goroutine.
func (s *Files) HurryUp() { s.first.HurryUp() }

// Flush writes what waits.
func (s *Files) Flush() error { return s.out.Flush() }

// Full tells whether it is time for a write.
func (s *Files) Full() bool { return s.out.Full() }

// Hold says that it is worth waiting for more before a write: compression is better
// the more there is of it.
func (s *Files) Hold() bool { return s.z != nil }

// Room says whether the limit lets in another packet.
func (s *Files) Room() bool {
	return s.o.Limit == 0 || s.out.limit != s.o.Limit-s.bytes || s.out.Room()
}

// Packets and bytes of all streams so far.
func (s *Files) Counts() (packets, bytes uint64) {
	return s.packets + s.out.Appended(), s.bytes + s.out.Bytes()
}

// Close ends the last stream.
func (s *Files) Close(now time.Time) error {
	if s.closed {
		return nil
	}
	return s.close(now)
}
