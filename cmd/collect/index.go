// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/collect"
	"ethertap/collect/index"
)

// indexer has an index made of each file of a set when it is closed. A child process of the lowest
// priority does the work: it runs when no other wants its core, and neither its garbage collector
// nor a lock that it holds while it does not run can delay the recording, as a thread of this
// process could.
//
// The recording notes what the child needs (index.Digest), which is a few bytes a packet. If the child
// gets no core, so that more than maxPending wait for it, the rest of that file is not noted, and the
// child reads the file when it comes to it.
type indexer struct {
	logf     func(format string, args ...any)
	patience time.Duration // indexPatience
	parting  time.Duration // indexParting

	mu      sync.Mutex
	pending []byte        // messages for the child
	lost    bool          // the digest of the file that is being written is not whole
	files   [][]byte      // messages about files whose index is not made yet, the oldest first
	changed chan struct{} // has room for one: pending, files or closing has changed
	ended   chan struct{} // closed when the child has ended; nil: it was not started
	closing bool
	told    bool // the child was told to end
	failed  bool // there is no child
	child   *os.Process
}

// indexerEnv marks the child.
const indexerEnv = "ETHERTAP_COLLECT_INDEXER"

const (
	// indexPatience is how long the last indexes may delay the end.
	indexPatience = 5 * time.Second
	// indexParting is how long the child has to obey when it is told to end. At its priority it may get no core
	// in this time. Then it is killed, and left if even that does not end it.
	indexParting = time.Second
	// maxPending bounds the memory for what the child has not taken yet, in bytes.
	maxPending = 32 << 20
	// leastPending is what the child is woken for, in bytes.
	leastPending = 64 << 10
	// childTries is how many children are tried. A signal to the process group of the recorder, as of timeout(1),
	// also kills a child that is just being started and has no group of its own yet.
	childTries = 3
)

// A message to the child is a byte that says what it is, its length in 4 bytes, and the rest. The child
// answers a file, with what went wrong and a 0.
const (
	tellDigest = 'd' // a part of the digest of the file that is being written
	tellLost   = 'l' // a part of it is missing
	tellFile   = 'f' // a file is complete: its length and the time of its last change, 8 bytes each, and its path
)

func newIndexer(logf func(string, ...any)) *indexer {
	return &indexer{logf: logf, patience: indexPatience, parting: indexParting, changed: make(chan struct{}, 1)}
}

// digest passes a part of a digest on. It does not block.
func (x *indexer) digest(part []byte) {
	if len(part) == 0 {
		return
	}
	x.mu.Lock()
	switch {
	case x.lost || x.failed:
	case len(x.pending)+len(part) > maxPending:
		x.lost = true
		x.tell(tellLost)
	default:
		x.tell(tellDigest, part)
	}
	enough := len(x.pending) >= leastPending
	x.mu.Unlock()
	if enough {
		x.nudge()
	}
}

// closed has an index made of a file. It does not block.
func (x *indexer) closed(f collect.ClosedFile) {
	if !f.Set {
		return
	}
	var state [16]byte
	binary.LittleEndian.PutUint64(state[:], f.Bytes)
	binary.LittleEndian.PutUint64(state[8:], uint64(f.Changed))
	x.mu.Lock()
	x.lost = false
	if !x.failed {
		about := append(state[:], f.Path...)
		x.files = append(x.files, about)
		x.tell(tellFile, about)
	}
	x.mu.Unlock()
	x.nudge()
}

// tell adds a message for the child, which it starts if this is the first. x.mu is held.
func (x *indexer) tell(kind byte, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	x.pending = binary.LittleEndian.AppendUint32(append(x.pending, kind), uint32(n))
	for _, p := range parts {
		x.pending = append(x.pending, p...)
	}
	if x.ended == nil {
		x.ended = make(chan struct{})
		go x.run()
	}
}

func (x *indexer) nudge() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// end waits for the indexes that are missing, but not for long.
func (x *indexer) end() {
	if x == nil {
		return
	}
	x.mu.Lock()
	x.closing = true
	ended := x.ended
	x.mu.Unlock()
	if ended == nil {
		return
	}
	x.nudge()
	within(x.patience, ended)
	x.mu.Lock()
	n := len(x.files)
	x.told = true
	x.mu.Unlock()
	if n > 0 {
		x.logf("the last files have no index yet (%d wait); recall --index makes them", n)
	}
	x.signal(unix.SIGTERM)
	if !within(x.parting, ended) {
		x.signal(unix.SIGKILL)
		within(x.parting, ended)
	}
}

// within waits for something, but not longer than a time, and says whether it has come.
func within(d time.Duration, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

// signal sends a signal to the child, if there is one. It does no harm if the child has ended.
func (x *indexer) signal(s os.Signal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.child != nil {
		x.child.Signal(s)
	}
}

// run starts the child and has it work.
func (x *indexer) run() {
	defer close(x.ended)
	err := x.work()
	for tries := 1; err != nil && tries < childTries && x.again(); tries++ {
		err = x.work()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed, x.pending = true, nil
	if err != nil && !x.told && (len(x.files) > 0 || !x.closing) {
		x.logf("no indexes are made: %v", err)
	}
}

// again prepares the work for another child: it has to read the files, as their digests were given to the
// former one. It returns false if there is nothing to do.
func (x *indexer) again() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.told {
		return false
	}
	x.pending = x.pending[:0]
	for _, about := range x.files {
		x.tell(tellLost)
		x.tell(tellFile, about)
	}
	x.lost = true // a part of the digest of the present file is gone
	x.tell(tellLost)
	return len(x.files) > 0 || !x.closing
}

func (x *indexer) work() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), indexerEnv+"=1", "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for us
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	x.mu.Lock()
	x.child = cmd.Process
	if x.told {
		x.child.Signal(unix.SIGTERM)
	}
	x.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		x.listen(out)
	}()
	err = x.send(in, gone)
	in.Close()
	<-gone
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	return err
}

// send gives the child what waits for it, until all indexes are made and no more will come, or the
// child is gone.
func (x *indexer) send(in io.Writer, gone <-chan struct{}) error {
	var messages []byte
	for {
		x.mu.Lock()
		messages, x.pending = x.pending, messages[:0]
		ended := x.closing && len(x.files) == 0
		x.mu.Unlock()
		switch {
		case len(messages) > 0:
			if _, err := in.Write(messages); err != nil {
				return err
			}
		case ended:
			return nil
		default:
			select {
			case <-x.changed:
			case <-gone:
				return errors.New("the process that makes them has ended")
			}
		}
	}
}

// listen takes the answers of the child.
func (x *indexer) listen(out io.Reader) {
	for answers := bufio.NewReader(out); ; {
		answer, err := answers.ReadString(0)
		if err != nil {
			return
		}
		if answer = strings.TrimSuffix(answer, "\x00"); answer != "" {
			x.logf("%s", answer)
		}
		x.mu.Lock()
		x.files = x.files[min(1, len(x.files)):]
		x.mu.Unlock()
		x.nudge()
	}
}

// indexFiles is the child: it makes an index of each file that is named on its standard input, and
// answers with what went wrong. It ends when its input does, or by SIGTERM.
func indexFiles(stdin, stdout *os.File) int {
	index.Yield()
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	stop := func() error {
		select {
		case <-told:
			return errTold
		default:
			return nil
		}
	}
	var digested index.Digested
	var message []byte
	for in := bufio.NewReaderSize(stdin, 64<<10); ; {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return ok
		}
		n := int(binary.LittleEndian.Uint32(head[1:]))
		message = slices.Grow(message[:0], n)[:n]
		if _, err := io.ReadFull(in, message); err != nil {
			return ok
		}
		switch {
		case stop() != nil:
			return failed
		case head[0] == tellDigest:
			digested.Take(message)
			continue
		case head[0] == tellLost:
			digested.Lost()
			continue
		}
		size, changed := binary.LittleEndian.Uint64(message), binary.LittleEndian.Uint64(message[8:])
		err := digested.Make(string(message[16:]), int64(size), int64(changed), stop)
		answer := ""
		switch {
		case errors.Is(err, errTold):
			return failed
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, index.ErrNoUse): // the ring may have removed it
		default:
			answer = fmt.Sprintf("no index: %v", err)
		}
		if _, err := io.WriteString(stdout, answer+"\x00"); err != nil {
			return failed
		}
	}
}

var errTold = errors.New("told to end")
