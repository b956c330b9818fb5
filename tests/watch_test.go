// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
	"ethertap/tests/vt"
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

// What is taller than the screen is scrolled by the keys that people expect, here and through control; other keys
// end the watch, and nothing of a key comes to the prompt.
func TestWatchScrolls(t *testing.T) {
	t.Run("rpclsh", func(t *testing.T) { watchScrolls(t, exec.Command(netlab.Build(t, "./cmd/rpclsh"))) })
	t.Run("control", func(t *testing.T) {
		r := newRig(t)
		r.daemon()
		watchScrolls(t, r.command(r.control, "ethertap"))
	})
}

func watchScrolls(t *testing.T, program *exec.Cmd) {
	t.Helper()
	s := sitAt(t, program)
	s.Resize(60, 10)
	shows := func(first, last int, footer string) {
		t.Helper()
		s.Until(fmt.Sprintf("lines %d to %d", first, last), func(v *vt.Screen) bool {
			rows := strings.Split(v.String(), "\n")
			if len(rows) < 3 || !strings.Contains(rows[0], "every ") || rows[1] != "" {
				return false
			}
			rows = rows[2:]
			for n := first; n <= last; n++ {
				if len(rows) == 0 || rows[0] != fmt.Sprintf("line %d", n) {
					return false
				}
				rows = rows[1:]
			}
			return strings.TrimSpace(strings.Join(rows, "\n")) == footer
		})
	}
	keys := "  ↑↓ PgUp PgDn Home End scroll, q ends"
	s.shows(false, "ok")
	s.Type("30 n !\r: lines ( - ) n @ 0 do i \"line %d\" str.format . loop ;\r")
	s.Type("\"lines\" 20 watch\r")
	shows(0, 5, "1–6 of 30"+keys)
	s.Type("\x1b[B\x1b[B")
	shows(2, 7, "3–8 of 30"+keys)
	s.Type("\x1b[6~")
	shows(8, 13, "9–14 of 30"+keys)
	s.Type("\x1bOF")
	shows(24, 29, "25–30 of 30"+keys)
	s.Type("\x1b[6~\x1b[A")
	shows(23, 28, "24–29 of 30"+keys)
	s.Type("\x1b[5~")
	shows(17, 22, "18–23 of 30"+keys)
	s.Resize(60, 14)
	shows(17, 26, "18–27 of 30"+keys)
	s.Resize(60, 40)
	shows(0, 29, "")
	s.Resize(60, 10)
	s.Type("\x1b[H")
	shows(0, 5, "1–6 of 30"+keys)
	s.Type("\x1b[5~") // above the first
	shows(0, 5, "1–6 of 30"+keys)
	s.Type("q")
	s.shows(false, "ok")
	s.Type("1 2 + .\r")
	s.shows(false, "\n3\nok")
	s.Type("\"lines\" 100000 watch\r") // a key is obeyed between two runs
	shows(0, 5, "1–6 of 30"+keys)
	s.Type("\x1b[F")
	shows(24, 29, "25–30 of 30"+keys)
	s.Type("\x1b[15~") // F5
	s.shows(false, "ok")
	s.Type("\"still\" \"here\" str.cat .\r")
	s.shows(false, "\nstillhere\nok")
	s.Type("\x04")
	s.ends(0)
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
