// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// startServer serves on a socket of its own until the test ends, and fails the test if a
// goroutine is left then.
func startServer(t *testing.T, o ServerOptions) (path string, d *interp.Dict, s *Server) {
	t.Helper()
	before := runtime.NumGoroutine()
	d = testDict(t)
	registerDangerous(t, d)
	path = filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, OwnGroup)
	if err != nil {
		t.Fatal(err)
	}
	s = NewServer(d, "lab", o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("socket left: %v", err)
		}
		for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				buf := make([]byte, 1<<16)
				t.Fatalf("goroutines left:\n%s", buf[:runtime.Stack(buf, true)])
			}
		}
	})
	return path, d, s
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	cl, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// rawDial connects without a Client, and reads the greeting.
func rawDial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if f, err := readFrame(nc); err != nil || f.kind != kindHello {
		t.Fatalf("greeting: %v, %v", f, err)
	}
	return nc.(*net.UnixConn)
}

// want runs a line and compares its result and all its output.
func want(t *testing.T, cl *Client, line, stdout, stderr string, r Result) {
	t.Helper()
	var out, errs bytes.Buffer
	got, err := cl.Eval(line, &out, &errs)
	if err != nil || out.String() != stdout || errs.String() != stderr || !reflect.DeepEqual(got, r) {
		t.Errorf("%q: %q, %q, %+v, %v; want %q, %q, %+v", line, out.String(), errs.String(), got, err, stdout, stderr, r)
	}
}

func TestServerLines(t *testing.T) {
	path, _, _ := startServer(t, ServerOptions{})
	a, b := dial(t, path), dial(t, path)
	if a.PID() != os.Getpid() || a.hello.instance != "lab" {
		t.Errorf("greeting: PID %d, instance %q", a.PID(), a.hello.instance)
	}
	want(t, a, "1 2", "", "", Result{Depth: 2})
	want(t, b, ".", "", "error: .: stack underflow ( item - )\n", Result{Failed: true})
	want(t, a, ". . 3 .", "2\n1\n3\n", "", Result{})
	want(t, a, `"no newline" type`, "no newline", "", Result{})
	want(t, a, ": five", "", "", Result{Open: ":"})
	want(t, a, "1 if", "", "", Result{Open: "if"})
	want(t, a, "5 then ;", "", "", Result{})
	want(t, b, "five .", "5\n", "", Result{}) // the dictionary is shared
	want(t, a, "1 if", "", "", Result{Open: "if", Depth: 1})
	a.abandon()
	want(t, a, "7 . .", "7\n1\n", "", Result{})
	want(t, a, "dupp", "", "", Result{Depth: 1, Unknown: []interp.Unknown{{Token: "dupp", Col: 1, Fresh: true}}})
	want(t, a, ".", "\"dupp\"\n", "", Result{})
	want(t, a, "bye", "", "", Result{Left: true})
	want(t, a, "7 .", "", "", Result{Failed: true, Left: true, Status: 1})
	want(t, b, "8 .", "8\n", "", Result{})
	if c, err := b.complete("0 tap.r"); err != nil || !slices.Equal(c.words, []string{"tap.rx.disable", "tap.rx.enable"}) {
		t.Errorf("completion: %q, %v", c.words, err)
	}
	if c, err := b.complete("zzz"); err != nil || len(c.words) != 0 {
		t.Errorf("completion of nothing: %q, %v", c.words, err)
	}
	if _, err := b.Eval(strings.Repeat("x", maxPayload), io.Discard, io.Discard); err == nil {
		t.Error("a line that fits in no frame was taken")
	}
	want(t, b, "9 .", "9\n", "", Result{})
}

func TestServerRun(t *testing.T) {
	path, _, _ := startServer(t, ServerOptions{})
	cl := dial(t, path)
	run := func(text, stdout, stderr string, r Result) {
		t.Helper()
		var out, errs bytes.Buffer
		got, err := cl.Run("stdin", strings.NewReader(text), &out, &errs)
		if err != nil || out.String() != stdout || errs.String() != stderr || !reflect.DeepEqual(got, r) {
			t.Errorf("%.40q: %.80q, %q, %+v, %v; want %.80q, %q, %+v", text, out.String(), errs.String(), got, err, stdout, stderr, r)
		}
	}
	run("1 if\n2 .\nthen\n3 .", "2\n3\n", "", Result{})
	run("1 .\n2 . .\n3 .\n", "1\n2\n", "error: stdin:2:5: .: stack underflow ( item - )\n", Result{Failed: true})
	run("", "", "", Result{})
	run("4 .\nbye\n5 .\n", "4\n", "", Result{Left: true})

	cl = dial(t, path)
	const lines = 50000
	run(strings.Repeat("6 .\n", lines), strings.Repeat("6\n", lines), "", Result{})
	r, w := io.Pipe() // the source is silent when it is interrupted
	result := make(chan Result, 1)
	out := newWatcher("7\n")
	go func() {
		r, err := cl.Run("stdin", r, out, io.Discard)
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	io.WriteString(w, "7 .\n")
	<-out.seen
	cl.Interrupt()
	w.Close()
	if r := <-result; !r.Failed {
		t.Errorf("an interrupted source ended with %+v", r)
	}
	run("8 .", "8\n", "", Result{})
}

// watcher closes seen when the text has been written to it.
type watcher struct {
	text string
	got  []byte
	seen chan struct{}
	once sync.Once
}

func newWatcher(text string) *watcher { return &watcher{text: text, seen: make(chan struct{})} }

func (w *watcher) Write(p []byte) (int, error) {
	w.got = append(w.got, p...)
	if bytes.Contains(w.got, []byte(w.text)) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

// begin starts a line that does not end by itself and waits until it runs.
func begin(t *testing.T, cl *Client, line string) <-chan Result {
	t.Helper()
	out := newWatcher("started\n")
	result := make(chan Result, 1)
	go func() {
		r, err := cl.Eval("started "+line, out, io.Discard)
		if err != nil {
			r.Open = err.Error()
		}
		result <- r
	}()
	select {
	case <-out.seen:
	case <-time.After(patience):
		t.Fatal("the line does not start")
	}
	return result
}

func TestServerInterrupt(t *testing.T) {
	path, _, _ := startServer(t, ServerOptions{})
	a, b := dial(t, path), dial(t, path)
	result := begin(t, a, "begin 0 until")
	want(t, b, "1 .", "1\n", "", Result{})
	b.Interrupt() // nothing runs there
	want(t, b, "2 .", "2\n", "", Result{})
	select {
	case r := <-result:
		t.Fatalf("the loop ended: %+v", r)
	default:
	}
	a.Interrupt()
	a.Interrupt()
	if r := <-result; !reflect.DeepEqual(r, Result{Failed: true, Depth: 1}) {
		t.Errorf("interrupted: %+v", r)
	}
	want(t, a, "3 . .", "3\n0\n", "", Result{})
	// This is a stale interrupt, as if the line had ended by itself a moment before.
	a.write(kindInterrupt, idBytes(a.id))
	want(t, a, "4 .", "4\n", "", Result{})
	// This interrupt overtakes the interpreter: line and interrupt arrive together.
	nc := rawDial(t, path)
	b1 := appendFrame(nil, kindLine, idBytes(1), "begin 0 until")
	nc.Write(appendFrame(b1, kindInterrupt, idBytes(1)))
	for {
		f, err := readFrame(nc)
		if err != nil {
			t.Fatal(err)
		}
		if f.kind == kindResult {
			break
		}
	}
}

func TestServerPanic(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	path, _, _ := startServer(t, ServerOptions{Logf: func(f string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, fmt.Sprintf(f, a...))
	}})
	a, b := dial(t, path), dial(t, path)
	want(t, a, "panic", "", "error: internal error: on purpose\n", Result{Failed: true, Left: true, Status: 1})
	want(t, b, "1 .", "1\n", "", Result{})
	mu.Lock()
	defer mu.Unlock()
	if len(logged) != 1 || !strings.Contains(logged[0], "on purpose") {
		t.Errorf("logged: %q", logged)
	}
}

func TestServerFull(t *testing.T) {
	path, _, _ := startServer(t, ServerOptions{MaxClients: 2})
	a, b := dial(t, path), dial(t, path)
	if _, err := Dial(path); err == nil || !strings.Contains(err.Error(), "2 clients are connected already") {
		t.Errorf("third client: %v", err)
	}
	want(t, a, "1 .", "1\n", "", Result{})
	b.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		cl, err := Dial(path)
		if err == nil {
			cl.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// However often clients are refused, the log tells of them once a minute.
func TestRefusedClientsDoNotFillTheLog(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	path, _, s := startServer(t, ServerOptions{MaxClients: 1, Logf: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, fmt.Sprintf(format, args...))
	}})
	dial(t, path)
	for range 50 {
		if _, err := Dial(path); err == nil {
			t.Fatal("a second client was not refused")
		}
	}
	s.mu.Lock()
	s.told = s.told.Add(-tellEvery)
	s.mu.Unlock()
	if _, err := Dial(path); err == nil {
		t.Fatal("a second client was not refused")
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{"control: client refused: 1 are connected", "control: 50 clients refused since the last such line; the last one: 1 are connected"}
	if !slices.Equal(logged, want) {
		t.Errorf("%q", logged)
	}
}

func TestServerClose(t *testing.T) {
	path, _, s := startServer(t, ServerOptions{})
	idle, busy, flooded := dial(t, path), dial(t, path), rawDial(t, path)
	result := begin(t, busy, "begin 0 until")
	flooded.Write(appendFrame(nil, kindLine, idBytes(1), "flood"))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-result
	if _, err := idle.Eval("1 .", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("after Close: %v", err)
	}
	if _, err := Dial(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dial after Close: %v", err)
	}
}

func TestListen(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, OwnGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if fi, err := os.Stat(path); err != nil || fi.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := Listen(path, OwnGroup); err == nil {
		t.Error("listens where another does")
	}
	if _, err := Listen("/"+strings.Repeat("x", 107), OwnGroup); err == nil || !strings.Contains(err.Error(), "107 bytes") {
		t.Errorf("long path: %v", err)
	}
}

func TestPeerAllowed(t *testing.T) {
	groups := func(pid int32) []uint32 {
		if pid == 7 {
			return []uint32{1, 50}
		}
		return nil
	}
	for _, c := range []struct {
		cred unix.Ucred
		ok   bool
	}{
		{unix.Ucred{Uid: 0, Gid: 9}, true},
		{unix.Ucred{Uid: 1000, Gid: 9}, true}, // the user who runs the server
		{unix.Ucred{Uid: 2000, Gid: 50}, true},
		{unix.Ucred{Uid: 2000, Gid: 9, Pid: 7}, true},
		{unix.Ucred{Uid: 2000, Gid: 9, Pid: 8}, false},
		{unix.Ucred{Uid: ^uint32(0), Gid: 0}, false},
	} {
		if err := allowed(&c.cred, 1000, 50, groups); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cred, err)
		}
	}
	mine, _ := os.Getgroups()
	for _, g := range mine {
		if !slices.Contains(supplementary(int32(os.Getpid())), uint32(g)) {
			t.Errorf("group %d not found in /proc", g)
		}
	}
}
