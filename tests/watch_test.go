package tests

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// watch at a prompt on a terminal, here and through control: it draws again and again
// in the same place until a key, and the prompt is there afterwards.
func TestWatchOnTerminal(t *testing.T) {
	t.Run("rpclsh", func(t *testing.T) {
		watchOnTerminal(t, exec.Command(netlab.Build(t, "./cmd/rpclsh")))
	})
	t.Run("control", func(t *testing.T) {
		r := newRig(t)
		r.daemon()
		watchOnTerminal(t, r.command(r.control, "ethertap"))
	})
}

func watchOnTerminal(t *testing.T, program *exec.Cmd) {
	t.Helper()
	s := onTerminal(t, program)
	s.expect("ok ")
	s.press("0 n !\r")
	s.expect("ok ")
	s.press(`"n @ \"beat %d\" str.format . 1 n +!" 10 watch` + "\r")
	s.expect("\x1b[H\x1b[J")     // the screen is cleared once
	s.expect("every 10ms: n @")  // the line is above
	s.expect("beat 0\x1b[K")     // and what it prints below
	s.expect("\x1b[H")           // drawn in the same place
	s.expect("beat 1\x1b[K\r\n") // with what was there before cleared
	s.expect("\x1b[J")
	s.press("q")
	s.expect("ok ")
	s.press("\"still\" \"here\" str.cat .\r")
	s.expect("stillhere")
	s.expect("ok ")
	s.press("\x04")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v: %q", err, s.seen.String())
	}
}

// screen is a program at a terminal of its own.
type screen struct {
	t     *testing.T
	cmd   *exec.Cmd // of script(1), which gives it the terminal and ends as it does
	keys  io.Writer
	drawn chan []byte
	seen  strings.Builder // and not yet expected
}

// onTerminal starts a program at a terminal of 60 columns.
func onTerminal(t *testing.T, program *exec.Cmd) *screen {
	t.Helper()
	var quoted []string
	for _, a := range program.Args {
		quoted = append(quoted, "'"+a+"'")
	}
	s := &screen{t: t, drawn: make(chan []byte, 1024)}
	s.cmd = exec.Command(netlab.RequireTool(t, "script"), "-qefc", "stty cols 60 rows 10; exec "+strings.Join(quoted, " "), os.DevNull)
	s.cmd.Dir = program.Dir
	s.cmd.Env = append(os.Environ(), program.Env...)
	s.cmd.Env = append(s.cmd.Env, "TERM=xterm", "HOME="+t.TempDir())
	var err error
	if s.keys, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout = writes(s.drawn)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); s.cmd.Process.Kill() })
	return s
}

// unseen are the sequences by which a terminal is asked to mark pasted text, which may come
// at any place and show nothing.
var unseen = strings.NewReplacer("\x1b[?2004h", "", "\x1b[?2004l", "")

// expect waits until a text is drawn.
func (s *screen) expect(want string) {
	s.t.Helper()
	for !strings.Contains(unseen.Replace(s.seen.String()), want) {
		select {
		case b := <-s.drawn:
			s.seen.Write(b)
		case <-time.After(patience):
			s.t.Fatalf("no %q on the screen: %q", want, s.seen.String())
		}
	}
	_, rest, _ := strings.Cut(unseen.Replace(s.seen.String()), want)
	s.seen.Reset()
	s.seen.WriteString(rest)
}

func (s *screen) press(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text); err != nil {
		s.t.Fatal(err)
	}
}

// writes hands what is written to a channel.
type writes chan<- []byte

func (w writes) Write(p []byte) (int, error) {
	w <- append([]byte(nil), p...)
	return len(p), nil
}
