// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"fmt"
	"testing"

	"ethertap/interp"
)

// registerKeyboard adds words that read keys and lines, and print the size of the screen.
func registerKeyboard(t *testing.T, d *interp.Dict) {
	t.Helper()
	word := func(name string, f func(*interp.Session) error) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: f}
	}
	err := d.Register(interp.Set{Name: "keyboard", Help: "words for tests", Words: []interp.Word{
		word("key", func(s *interp.Session) error {
			s.Print("waiting\n")
			k, _, err := s.Key(-1)
			if err == nil {
				s.Printf("key %q\n", k)
			}
			return err
		}),
		word("paged", func(s *interp.Session) error {
			return s.Page(func() error { s.Print("first\nlast\n"); return nil })
		}),
		word("line", func(s *interp.Session) error {
			s.Print("waiting\n")
			line, ok, err := s.ReadLine()
			if err == nil {
				s.Printf("line %q %v\n", line, ok)
			}
			return err
		}),
		word("screen", func(s *interp.Session) error {
			columns, rows := s.Screen()
			s.Printf("%d by %d, keyboard %v\n", columns, rows, s.Keyboard())
			return nil
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// attached runs check at a prompt behind a socket.
func attached(t *testing.T, check func(*testing.T, *pty)) {
	t.Helper()
	attachedWith(t, Options{}, check)
}

func attachedWith(t *testing.T, o Options, check func(*testing.T, *pty)) {
	t.Helper()
	path, d, _ := startServer(t, ServerOptions{})
	registerKeyboard(t, d)
	registerViews(t, d)
	t.Setenv("TERM", "xterm")
	p := openPty(t, 80)
	cl := dial(t, path)
	con := New(p.Slave, p.Slave, p.Slave)
	done := make(chan int, 1)
	go func() { done <- con.Attach(cl, o); con.Close() }()
	p.expect("ok ")
	check(t, p)
	p.Type("\x04")
	if status := <-done; status != 0 {
		t.Errorf("status %d", status)
	}
}

// Words read keys and lines of the terminal in the same way, whether the session is here or
// behind a socket.
func TestKeyboard(t *testing.T) {
	check := func(t *testing.T, p *pty) {
		p.Type("screen\r")
		p.expect("\n80 by 24, keyboard true\nok ")
		p.Type("key\r")
		p.expect("\nwaiting\n")
		p.Type("x")
		p.expect("key 'x'\nok ")
		p.Type("line 5 .\r")
		p.expect("\nwaiting\n")
		p.Type("grü\x7fau\r")
		p.expect("line \"grau\" true\n5\nok ")
		p.Type("line\r")
		p.expect("\nwaiting\n")
		p.Type("\x04")
		p.expect("line \"\" false\nok ")
		p.Type("key\r")
		p.expect("\nwaiting\n")
		p.Type("\x03")
		p.expect("error: key: interrupted\nok ")
		p.Type("7 .\r") // the keyboard belongs to the prompt again
		p.expect("\n7\nok ")
	}
	t.Run("here", func(t *testing.T) {
		p := startPrompt(t, 80, "xterm", "")
		registerKeyboard(t, p.session.Dict())
		check(t, p.pty)
	})
	t.Run("attached", func(t *testing.T) {
		attached(t, check)
	})
}

// Long output goes through the program that PAGER names, at the terminal of the prompt. The keys
// belong to that program meanwhile.
func TestPager(t *testing.T) {
	check := func(t *testing.T, p *pty) {
		t.Setenv("PAGER", "cat; read k <"+p.Slave.Name()+"; echo key $k; read k <"+p.Slave.Name()+"; exit 1")
		p.Type("paged\r")
		p.expect("\nfirst\nlast\n")
		p.Type("q\r")
		p.expect("key q\n")
		p.Type("\r")
		p.expect("ok ")
		p.Type("7 .\r") // the keyboard belongs to the prompt again
		p.expect("\n7\nok ")
		t.Setenv("PAGER", "/nonexistent/pager")
		p.Type("paged\r")
		p.expect("error: ")
		p.expect("pager /nonexistent/pager: ")
		p.expect("ok ")
	}
	t.Run("here", func(t *testing.T) {
		p := startPrompt(t, 80, "xterm", "")
		registerKeyboard(t, p.session.Dict())
		check(t, p.pty)
	})
	t.Run("attached", func(t *testing.T) {
		attached(t, check)
	})
	t.Run("nowhere", func(t *testing.T) {
		path, d, _ := startServer(t, ServerOptions{})
		registerKeyboard(t, d)
		out := new(bytes.Buffer)
		if r, err := dial(t, path).Eval("paged", out, out); err != nil || r.Failed || out.String() != "first\nlast\n" {
			t.Errorf("%+v, %v, %q", r, err, out)
		}
	})
	t.Run("closed", func(t *testing.T) { // a signal ends the prompt while the pager waits
		t.Setenv("PAGER", "cat; exec sleep 1000")
		p := startPrompt(t, 80, "xterm", "")
		registerKeyboard(t, p.session.Dict())
		p.Type("paged\r")
		p.expect("\nfirst\nlast\n")
		p.con.Close()
		<-p.status
	})
}

// A session knows if its terminal obeys no cursor sequences, or its client has none.
func TestNoScreen(t *testing.T) {
	p := startPrompt(t, 80, "dumb", "")
	registerKeyboard(t, p.session.Dict())
	p.Type("screen\r")
	p.expect("\n0 by 0, keyboard true\nok ")
	p.Type("line\r")
	p.expect("\nwaiting\n")
	p.Type("kernel edits\r")
	p.expect("line \"kernel edits\" true\nok ")

	path, d, _ := startServer(t, ServerOptions{})
	registerKeyboard(t, d)
	out := new(bytes.Buffer)
	if r, err := dial(t, path).Eval("screen line", out, out); err != nil || r.Failed {
		t.Errorf("%+v, %v", r, err)
	}
	if want := fmt.Sprintf("0 by 0, keyboard false\nwaiting\nline %q false\n", ""); out.String() != want {
		t.Errorf("without a terminal: %q, not %q", out, want)
	}
}
