// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/tests/vt"
)

// picture is a view that says what it is given, until a key it is left by.
func picture(s *Screen) error {
	columns, rows := s.Size()
	fmt.Fprintf(s, "\x1b[?1049h\x1b[?25l\x1b[Ha picture of %d by %d", columns, rows)
	for {
		switch key, _, err := s.Key(-1); {
		case err != nil || key == 'q':
			io.WriteString(s, leaveScreen)
			return nil
		default:
			fmt.Fprintf(s, "\x1b[2;1Hkey %q", key)
		}
	}
}

// registerViews adds a word that shows a view, and another of none.
func registerViews(t *testing.T, d *interp.Dict) {
	t.Helper()
	word := func(name string) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: func(s *interp.Session) error { return s.View(name) }}
	}
	if err := d.Register(interp.Set{Name: "views", Help: "words for tests", Words: []interp.Word{word("picture"), word("nothing")}}); err != nil {
		t.Fatal(err)
	}
}

// view waits until the alternate screen shows this.
func (p *pty) view(text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf("the view of %q", text), func(v *vt.Screen) bool { return v.Alternate() && v.Hidden && v.String() == text })
}

// noView waits until the main screen is back, and what it shows ends so.
func (p *pty) noView(text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf("the prompt again, with %q", text), func(v *vt.Screen) bool {
		return !v.Alternate() && !v.Hidden && strings.HasSuffix(v.String()+" ", text)
	})
}

var pictures = map[string]View{"picture": picture}

// A word shows a view of the program that has the terminal, whether its session is there or behind
// a socket; its keys are the view's, and afterwards the screen is as it was.
func TestView(t *testing.T) {
	check := func(t *testing.T, p *pty) {
		p.Type("picture\r")
		p.view("a picture of 80 by 24")
		p.Type("k")
		p.view("a picture of 80 by 24\nkey 'k'")
		p.Type("q")
		p.noView("ok picture\nok ")
		p.Type("7 .\r") // the keyboard is the prompt's again
		p.noView("ok picture\nok 7 .\n7\nok ")
		p.Type("nothing\r")
		p.expect("nothing is not shown here\n")
		p.expect("ok ")
	}
	t.Run("here", func(t *testing.T) {
		p := startPromptWith(t, 80, "xterm", Options{Views: pictures})
		registerViews(t, p.session.Dict())
		check(t, p.pty)
	})
	t.Run("attached", func(t *testing.T) {
		attachedWith(t, Options{Views: pictures}, check)
	})
	t.Run("nowhere", func(t *testing.T) {
		path, d, _ := startServer(t, ServerOptions{})
		registerViews(t, d)
		out := new(bytes.Buffer)
		if r, err := dial(t, path).Eval("picture", out, out); err != nil || !r.Failed || out.String() != "error: picture: needs a terminal\n" {
			t.Errorf("%+v, %v, %q", r, err, out)
		}
	})
	t.Run("dumb", func(t *testing.T) {
		p := startPromptWith(t, 80, "dumb", Options{Views: pictures})
		registerViews(t, p.session.Dict())
		p.Type("picture\r")
		p.expect("error: picture: needs a terminal\n")
	})
}

// Ctrl-C leaves a view, and is for the words of the line as well.
func TestViewInterrupted(t *testing.T) {
	p := startPromptWith(t, 80, "xterm", Options{Views: pictures})
	registerViews(t, p.session.Dict())
	p.Type("picture\r")
	p.view("a picture of 80 by 24")
	p.Type("\x03")
	p.noView("ok ")
	p.Type("7 .\r")
	p.expect("\n7\nok ")
}

// Lines of a log wait until the view has ended.
func TestLogWaitsForView(t *testing.T) {
	p := startPromptWith(t, 80, "xterm", Options{Views: pictures})
	registerViews(t, p.session.Dict())
	p.Type("picture\r")
	p.view("a picture of 80 by 24")
	fmt.Fprintln(p.con.Log(), "link down")
	for range 2 * heldLog / 1000 { // more than is kept
		fmt.Fprintln(p.con.Log(), strings.Repeat("x", 1000))
	}
	p.Type("k")
	p.view("a picture of 80 by 24\nkey 'k'")
	p.Type("q")
	p.noView("x\nok ")
	p.Look(func(v *vt.Screen) {
		all := v.Text(0)
		if n := strings.Count(all, "x"); !strings.Contains(all, "\nlink down\n") || n < heldLog-2000 || n > heldLog {
			t.Errorf("%d characters of the log", n)
		}
	})
}

// The terminal is given back when the console is closed while a view has it: by the view, or,
// where nobody reads what it draws, for it.
func TestViewClosed(t *testing.T) {
	p := startPromptWith(t, 80, "xterm", Options{Views: pictures})
	registerViews(t, p.session.Dict())
	p.Type("picture\r")
	p.view("a picture of 80 by 24")
	p.con.Close()
	p.noView("ok picture\nok ")
	<-p.status
}

func TestViewThatNobodyReads(t *testing.T) {
	p := openPty(t, 80)
	t.Setenv("TERM", "xterm")
	before := p.Mode()
	con := New(p.Slave, p.Slave, p.Slave)
	began, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- con.Show(func(s *Screen) error {
			io.WriteString(s, enterScreen)
			close(began)
			for { // until it fails
				if _, err := s.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
					return err
				}
			}
		})
	}()
	p.Pause(true)
	<-began
	con.Close()
	if err := <-ended; err == nil {
		t.Error("a view that nobody reads ends without an error")
	}
	if after := p.Mode(); after != before {
		t.Errorf("terminal not restored: %+v, was %+v", after, before)
	}
	p.Pause(false)
	p.Until("the main screen", func(v *vt.Screen) bool { return !v.Alternate() && !v.Hidden })
}

// Without a prompt a view has the terminal as well, and without a terminal it says so.
func TestViewAlone(t *testing.T) {
	t.Setenv("TERM", "xterm")
	p := openPty(t, 80)
	before := p.Mode()
	con := New(p.Slave, p.Slave, p.Slave)
	ended := make(chan error, 1)
	go func() { ended <- con.Show(picture) }()
	p.view("a picture of 80 by 24")
	p.Type("\x03") // no words run that it could stop
	p.view("a picture of 80 by 24\nkey '\\x03'")
	con.Suspend()
	p.noView(" ")
	con.Resume()
	p.Until("the view again", func(v *vt.Screen) bool { return v.Alternate() && v.Hidden })
	p.Type("q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.noView(" ")
	if after := p.Mode(); after != before {
		t.Errorf("terminal not restored: %+v, was %+v", after, before)
	}
	if err := New(strings.NewReader(""), io.Discard, io.Discard).Show(picture); !errors.Is(err, ErrNoScreen) {
		t.Errorf("without a terminal: %v", err)
	}
}
