// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"ethertap/dataplane"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/interp/console"
	"ethertap/shm"
	"ethertap/tests/netlab"
	"ethertap/tests/vt"
	"ethertap/words/core"
	"ethertap/words/ixdp"
	"ethertap/words/report"
	"ethertap/words/tap"
)

// sitting is a person who looks at the view of an engine on ports in memory. The clock stands still
// between looks.
type sitting struct {
	*vt.Pty
	t       *testing.T
	con     *console.Console
	engine  *dataplane.Engine
	ports   [2]*memory.Port
	queue   *shm.Queue
	session *interp.Session
	out     bytes.Buffer
	ticks   chan time.Time
	ended   chan error

	mu    sync.Mutex
	now   time.Time
	lines map[string]int // that were answered
	fails atomic.Bool    // nothing answers
}

// start is what the clock of a sitting shows at first.
var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func sit(t *testing.T, columns, rows int) *sitting {
	t.Helper()
	s := &sitting{t: t, ticks: make(chan time.Time), now: start, lines: map[string]int{}, ended: make(chan error, 1)}
	s.makeEngine()
	s.Pty = vt.Open(t, columns, rows, func(r rune) int { return lipgloss.Width(string(r)) }, nil)
	return s
}

func (s *sitting) makeEngine() {
	t := s.t
	name := fmt.Sprintf("ixdp.pqueue.test.%d.%x", os.Getpid(), rand.Uint64())
	var err error
	if s.queue, err = shm.Open(name, shm.Options{Role: shm.RoleEthertap, Name: "live", Slots: 64}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.queue.Close()
		if err := shm.Delete(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	c := dataplane.Config{Queue: s.queue, Queues: 1, Logf: t.Logf, Interfaces: []string{"eth1", "eth2"}}
	for i, name := range c.Interfaces {
		s.ports[i] = memory.New(name, memory.Options{MAC: policy.MAC{2, 0, 0, 0, 0, byte(i)}})
		c.Ports = append(c.Ports, s.ports[i])
	}
	if s.engine, err = dataplane.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.engine.Start(); err != nil {
		t.Fatal(err)
	}
	from := report.Source{Instance: "lab"}
	dict, err := interp.NewDict(core.Set(), tap.QueueWords(func() (*shm.Queue, error) { return s.queue, nil }, s.engine, from), tap.Words(s.engine, from), ixdp.Words(s.engine, from))
	if err != nil {
		t.Fatal(err)
	}
	s.session = interp.NewSession(dict, strings.NewReader(""), &s.out, &s.out)
}

// What differs from run to run, and what stands for it.
var (
	times  = regexp.MustCompile(`"time":"[^"]*"`)
	queues = regexp.MustCompile(`ixdp\.pqueue\.test\.[0-9a-f.]*`)
	pids   = regexp.MustCompile(`"pid":\d+`)
)

// ask implements Ask.
func (s *sitting) ask(line string) (string, error) {
	if s.fails.Load() {
		return "", errors.New("connection lost")
	}
	s.out.Reset()
	err := s.session.Interpret(line)
	s.session.Flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[line]++
	text := times.ReplaceAllString(s.out.String(), `"time":"`+s.now.Format(time.RFC3339Nano)+`"`)
	return pids.ReplaceAllString(queues.ReplaceAllString(text, "ixdp.pqueue.tap"), `"pid":4711`), err
}

// begin shows the view.
func (s *sitting) begin() {
	s.t.Helper()
	before := s.Mode()
	s.con = console.New(s.Slave, s.Slave, s.Slave)
	go func() {
		s.ended <- s.con.Show(func(screen *console.Screen) error { return show(screen, s.ask, s.ticks) })
		s.Wake()
	}()
	s.t.Cleanup(func() {
		s.con.Close()
		s.left()
		if after := s.Mode(); after != before {
			s.t.Errorf("the terminal is left as %+v, was %+v", after, before)
		}
	})
	s.shows("12:00:00")
}

// shows waits until a text stands on the screen.
func (s *sitting) shows(text string) {
	s.t.Helper()
	s.Until(fmt.Sprintf("with %q", text), func(v *vt.Screen) bool { return v.Alternate() && strings.Contains(v.String(), text) })
}

// second lets a second pass, in which something happens, and waits for the screen that shows it.
func (s *sitting) second(happens func()) {
	s.t.Helper()
	happens()
	s.shows(s.tick().Format("15:04:05"))
}

// tick lets a second pass.
func (s *sitting) tick() time.Time {
	s.mu.Lock()
	s.now = s.now.Add(time.Second)
	now := s.now
	s.mu.Unlock()
	s.ticks <- now
	return now
}

// answered is how often a line was.
func (s *sitting) answered(line string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[line]
}

// left waits until the main screen is shown as it was.
func (s *sitting) left() {
	s.t.Helper()
	s.Until("the main screen, empty", func(v *vt.Screen) bool { return !v.Alternate() && !v.Hidden && v.String() == "" })
}

// press presses keys and waits for a text that the screen shows then.
func (s *sitting) press(keys, text string) {
	s.t.Helper()
	s.Type(keys)
	s.shows(text)
}

// receive has the engine receive frames and forward them.
func (s *sitting) receive(port int, frames ...[]byte) {
	s.t.Helper()
	stats := func() (rx, out uint64) {
		all := s.engine.Snapshot(false).Ports
		in, sent := all[port].Stats, all[1-port].Stats.TX
		return in.RX, sent + in.Drop + in.Err + in.DroppedByFI
	}
	before, _ := stats()
	for _, f := range frames {
		netlab.Await(s.t, "room for a frame", func() bool { return s.ports[port].Receive(0, f) })
	}
	netlab.Await(s.t, "all are forwarded", func() bool { rx, out := stats(); return rx == before+uint64(len(frames)) && out >= rx })
}
