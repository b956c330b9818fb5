// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp"
	"ethertap/tests/vt"
)

// prompt is a console on a pty, with the status that its Run returned.
type prompt struct {
	*pty
	con     *Console
	session *interp.Session
	status  chan int
	before  unix.Termios
}

func startPrompt(t *testing.T, cols int, term, history string) *prompt {
	t.Helper()
	return startPromptWith(t, cols, term, Options{History: history})
}

func startPromptWith(t *testing.T, cols int, term string, o Options) *prompt {
	t.Helper()
	t.Setenv("TERM", term)
	p := &prompt{pty: openPty(t, cols), status: make(chan int, 1)}
	p.before = p.Mode()
	before := p.before
	p.con = New(p.Slave, p.Slave, p.Slave)
	p.session = interp.NewSession(testDict(t), p.con.Input(), p.Slave, p.con.Errors())
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.status <- p.con.Run(p.session, o)
		p.Wake()
	}()
	t.Cleanup(func() {
		p.con.Close()
		<-over
		if after := p.Mode(); after != before {
			t.Errorf("terminal not restored: %+v, was %+v", after, before)
		}
	})
	p.expect("ok ")
	return p
}

func (p *prompt) wantStatus(want int) {
	p.t.Helper()
	if got := <-p.status; got != want {
		p.t.Errorf("status %d, want %d", got, want)
	}
}

func TestTerminalPrompt(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	p.Type("1 2 .\r")
	p.expect("1 2 .\n2\nok ")
	p.Type(`"no newline" type` + "\r")
	p.expect("no newline\nok ")
	p.Type(`"here" type then` + "\r")
	p.expect("here\nerror: ")
	p.expect("ok ")
	p.Type("begin\r")
	p.expect("begin> ")
	p.Type("1 if\r")
	p.expect("if> ")
	p.Type("5 . then 1 until\r")
	p.expect("5\nok ")
	p.Type("\x04")
	p.expect("\n")
	p.wantStatus(0)
}

func TestTerminalInterrupt(t *testing.T) {
	for _, term := range []string{"xterm", "dumb"} {
		t.Run(term, func(t *testing.T) {
			p := startPrompt(t, 80, term, "")
			p.Type("started begin 0 until\r")
			p.expect("\nstarted\n")
			p.Type("typed ahead .\r\x03")
			p.expect("interrupted")
			if got := p.expect("ok "); strings.Contains(got, "ahead") && term != "dumb" {
				t.Errorf("what was typed before Ctrl-C survived it: %q", got)
			}
			p.Type("half a line\x03")
			p.expect("^C\nok ")
			p.Type("1 if\r")
			p.expect("if> ")
			p.Type("\x03")
			p.expect("ok ")
			p.Type("7 .\r")
			p.expect("\n7\nok ")
			p.Type("bye\r")
			p.wantStatus(0)
		})
	}
}

func TestTerminalPaste(t *testing.T) {
	for _, term := range []string{"xterm", "dumb"} {
		t.Run(term, func(t *testing.T) {
			p := startPrompt(t, 80, term, "")
			p.Type("started\r1 .\r2 .\r: five\r5 .\r;\rfive\r\r77 .\r")
			for _, want := range []string{"started\n", "1\n", "2\n", "5\n", "77\nok "} {
				p.expect(want)
			}
			p.Type("\x04")
			p.wantStatus(0)
		})
	}
}

func TestTerminalCompletion(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	p.Type("0 ta\t")
	p.ends("ok 0 tap.")
	p.Type("\t")
	p.ends("tap.rx.disable  tap.rx.enable   tap.tx.enable\nok 0 tap.")
	p.Type("r\t")
	p.ends("ok 0 tap.rx.")
	p.Type("e\t")
	p.shows("tap.rx.disable  tap.rx.enable   tap.tx.enable\nok 0 tap.rx.enable   ( - )", 1, 19)
	p.Type(".\r")
	p.ends("ok 0 tap.rx.enable .\n0\nok ")
	p.Type("rand\x01\x05\t")
	p.Until("completed", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "ok random   ( - )") })
	p.Type("5 .\r")
	p.ends("random 5 .\n5\nok ")
	p.Type("zzz\t")
	p.Until("belled", func(v *vt.Screen) bool { return v.Bells == 1 })
	p.Type("\x15\x04")
	p.wantStatus(0)
}

// The Delete key is Ctrl-D to readline; on an empty line it must not leave.
func TestTerminalKeys(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	p.Type("\x1b[3~\x1a")
	p.Type("x12 .\x01\x1b[3~\r")
	p.expect("\n12\nok ")
	p.Type("\x1b[A\x01 3 \x05\r") // up: the line before, edited
	p.expect("\n12\nok ")
	p.Type("\x12 3\r") // Ctrl-R finds it
	p.expect("\n12\nok ")
	p.Type("\x04")
	p.wantStatus(0)
}

func TestTerminalHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "history")
	p := startPrompt(t, 80, "xterm", file)
	p.Type("41 .\r")
	p.expect("\n41\nok ")
	p.Type("  \r")
	p.expect("ok ")
	p.Type("\x04")
	p.wantStatus(0)
	fi, err := os.Stat(file)
	if err != nil || fi.Mode() != 0o600 {
		t.Fatalf("history file: %v, %v", fi.Mode(), err)
	}
	if b, _ := os.ReadFile(file); string(b) != "41 .\n" {
		t.Errorf("history file holds %q", b)
	}
	p = startPrompt(t, 80, "xterm", file)
	p.Type("\x1b[A\r")
	p.expect("41 .\n41\nok ")
	p.Type("\x04")
	p.wantStatus(0)
}

func TestHistoryFileHostile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	var text strings.Builder
	for i := range historyMax / 8 {
		fmt.Fprintf(&text, "%d .\n\xff\n%d .\n\x1b[31m\n", i, i%7)
	}
	os.WriteFile(long, []byte(text.String()), 0o666)
	for _, path := range []string{fifo, dir, "/proc/nonexistent/history", long} {
		h := openHistory(path)
		h.add("1 .")
		h.close()
	}
	if os.Geteuid() == 0 { // a user who became root by sudo has this home, and would like more
		precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "link")
		os.WriteFile(precious, []byte("theirs\n"), 0o644)
		os.Symlink(precious, link)
		os.Lchown(link, 65533, 65533)
		h := openHistory(link)
		h.add("1 .")
		h.close()
		os.Lchown(link, 0, 0) // a link of root's own may lead anywhere
		h = openHistory(link)
		h.add("2 .")
		h.close()
		if b, err := os.ReadFile(precious); err != nil || string(b) != "theirs\n2 .\n" {
			t.Errorf("the target of a link: %q, %v", b, err)
		}
	}
	h := openHistory(long)
	defer h.close()
	if len(h.lines) != historyLimit || h.lines[historyLimit-1] != "1 ." {
		t.Errorf("%d lines, last %q", len(h.lines), h.lines[len(h.lines)-1])
	}
	seen := make(map[string]bool)
	for _, l := range h.lines {
		if seen[l] || strings.ContainsRune(l, escape) {
			t.Fatalf("%q is there twice, or is not printable", l)
		}
		seen[l] = true
	}
	h.add(h.lines[0])
	if len(h.lines) != historyLimit || !seen[h.lines[historyLimit-1]] {
		t.Errorf("a line that was there is not the last one now: %q", h.lines[historyLimit-1])
	}
	if fi, _ := os.Stat(long); fi.Size() > historyMax || fi.Mode() != 0o600 {
		t.Errorf("file has %d bytes, mode %v", fi.Size(), fi.Mode())
	}
	if left, _ := filepath.Glob(long + ".*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestTerminalNarrow(t *testing.T) {
	for _, cols := range []int{0, 1, 3, 19, 20, 25} {
		p := startPrompt(t, cols, "xterm", "")
		if cols == 0 || cols >= minWidth {
			p.Type("0 tap.\t\t\t\x05 1 2 3 4 5 6 7 8 9 \x01\x05")
		}
		joined := func(v *vt.Screen) string { return strings.NewReplacer("\n", "", " ", "").Replace(v.Text(0)) }
		p.Type("5 6 7")
		p.Until("typed", func(v *vt.Screen) bool { return strings.Contains(joined(v), "567") })
		const erased = 5 * len("\b \b") // the kernel writes this, and the editor no less
		drawn := 0
		p.Until("typed", func(v *vt.Screen) bool { drawn = v.Bytes; return true })
		p.Type("\x15")
		p.Until("killed", func(v *vt.Screen) bool {
			return v.Bytes >= drawn+erased || strings.HasSuffix(joined(v), "ok")
		})
		p.Resize(3, 2)
		p.Type("8 .\r")
		p.Until("narrow", func(v *vt.Screen) bool { return strings.HasSuffix(joined(v), "8.8ok") })
		p.Type("\x03\x04")
		p.wantStatus(0)
	}
}

// Whatever is typed, the program behind the prompt goes on.
func TestTerminalGarbage(t *testing.T) {
	p := startPrompt(t, 40, "xterm", "")
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	keys := []string{"\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~", "\x1bb", "\x1bf", "\x1bd",
		"\t", "\t\t", "tap.", "\x12", "\x13", "\x03", "\r", "\x01", "\x05", "\x0b", "\x15", "\x17", "\x19", "\x14", "\x7f",
		"\x07", "é", "日本", "\xff", "\x1bO", "\x1b[", "\x1b", "\x1b\x14", "\x0c", "\x10", "\x0e", "\x1a", "\x1c", "x .", "1 ."}
	for range 400 {
		var b strings.Builder
		for range 1 + rnd.Intn(5) {
			b.WriteString(keys[rnd.Intn(len(keys))])
		}
		p.Type(b.String())
	}
	p.Type("xx\x07\x07\x05\x15\r\x03")
	p.Type("\"ali\" \x15\"ali\" type \"ve\" type\r")
	p.expect("alive\nok ")
	p.Type("\x04")
	p.wantStatus(0)
}

// When the console is closed from elsewhere, as on SIGTERM, a half typed line is not run.
func TestTerminalClose(t *testing.T) {
	for _, term := range []string{"xterm", "dumb"} {
		p := startPrompt(t, 80, term, "")
		p.Type("started")
		p.expect("started")
		p.con.Close()
		p.wantStatus(0)
		p = startPrompt(t, 80, term, "")
		p.Type("started begin 0 until\r")
		p.expect("\nstarted\n")
		p.con.Close()
		p.wantStatus(0)
	}
}

func TestTerminalLog(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	p.Type("1 ")
	p.expect("1 ")
	io.WriteString(p.con.Log(), "eth0: link down\n")
	p.expect("eth0: link down\nok 1 ")
	p.Type(".\r")
	p.expect("\n1\nok ")
	p.Type("\x04")
	p.wantStatus(0)
}

func TestTerminalInput(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	err := p.session.Dict().Register(interp.Set{Name: "input", Help: "reads", Words: []interp.Word{{
		Name: "ask", Stack: "( - )", Help: "reads a line", Func: func(s *interp.Session) error {
			s.Print("asked\n")
			line, err := bufio.NewReader(p.con.Input()).ReadString('\n')
			if err == nil {
				s.Print("got " + line)
			}
			return err
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	p.Type("ask\r")
	p.expect("\nasked\n")
	p.Type("an answer\r")
	p.expect("got an answer\nok ")
	p.Type("ask\r")
	p.expect("\nasked\n")
	p.Type("\x03")
	p.expect("error: ask: interrupted\nok ")
	p.Type("3 .\r")
	p.expect("\n3\nok ")
	p.Type("\x04")
	p.wantStatus(0)
}

func TestPipe(t *testing.T) {
	for _, c := range []struct {
		in, out, err string
		interactive  bool
		status       int
	}{
		{in: "1 .\n2 .", out: "1\n2\n"},
		{in: "1 .\n.\n2 .\n", out: "1\n", err: "error: stdin:2:1: .: stack underflow ( item - )\n", status: 1},
		{in: ". .", err: "error: stdin:1:1: .: stack underflow ( item - )\n", status: 1},
		{in: "1 .\nbye\n2 .\n", out: "1\n"},
		{in: "1 .\n.\n2 .\n", interactive: true, out: "ok 1\nok ok 2\nok \n", err: "error: .: stack underflow ( item - )\n"},
		{in: "bey\neth7 .", out: "\"eth7\"\n", err: "warning: stdin:1:1: bey: no such word; left on the stack as a string; did you mean bye?\n"},
		{in: "bey\n", interactive: true, out: "ok ok \n", err: "warning: bey: no such word; left on the stack as a string; did you mean bye?\n"},
		{in: "1 if\n5 . then", interactive: true, out: "ok if> 5\nok \n"},
	} {
		var out, errs bytes.Buffer
		con := New(strings.NewReader(c.in), &out, &errs)
		s := interp.NewSession(testDict(t), con.Input(), &out, &errs)
		status := con.Run(s, Options{Interactive: c.interactive})
		if out.String() != c.out || errs.String() != c.err || status != c.status {
			t.Errorf("%q: %q, %q, status %d; want %q, %q, %d", c.in, out.String(), errs.String(), status, c.out, c.err, c.status)
		}
	}
}

// The prompt of a server in another process is the same loop, over the socket.
func TestTerminalAttach(t *testing.T) {
	path, _, s := startServer(t, ServerOptions{})
	t.Setenv("TERM", "xterm")
	p := openPty(t, 80)
	before := p.Mode()
	attach := func() (*Client, chan int) {
		cl := dial(t, path)
		con := New(p.Slave, p.Slave, p.Slave)
		status := make(chan int, 1)
		go func() { status <- con.Attach(cl, Options{}); con.Close() }()
		p.expect("ok ")
		return cl, status
	}
	_, status := attach()
	p.Type("1 if\r")
	p.expect("if> ")
	p.Type("\x03")
	p.expect("ok ")
	p.Type("0 tap.rx.e\t")
	p.Until("completed", func(v *vt.Screen) bool { return strings.Contains(v.String(), "0 tap.rx.enable   ( - )") })
	p.Type(".\r")
	p.ends("0 tap.rx.enable .\n0\nok ")
	p.Type(`"no newline" type then` + "\r")
	p.expect("no newline\nerror: then: ")
	p.expect("ok ")
	p.Type("started begin 0 until\r")
	p.expect("\nstarted\n")
	p.Type("\x03")
	p.expect("interrupted")
	p.expect("ok ")
	p.Type("\x04")
	if got := <-status; got != 0 {
		t.Errorf("status %d after Ctrl-D", got)
	}
	_, status = attach() // the server went on
	p.Type("2 .\r")
	p.expect("\n2\nok ")
	if after := p.Mode(); after == before {
		t.Error("no terminal mode set while attached")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	p.Type("1 .\r")
	p.expect("shutting down\n")
	if got := <-status; got != 1 {
		t.Errorf("status %d after the server's end", got)
	}
	if after := p.Mode(); after != before {
		t.Error("terminal not restored")
	}
}
