// SPDX-License-Identifier: BSD-3-Clause

// Package console connects people and programs with RPCL: the prompt on a terminal, lines from a
// pipe, the Unix socket that serves prompts of other processes, and the client of `control`. All
// prompts work in the same way: they read a line, give it to a target (a session of this process,
// or one behind a socket), show the result, and ask for the next line.
//
// The package knows the interpreter and no application: no dataplane, no queue, no run directory.
// It installs no signal handlers and never ends the process; mains do that.
package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// Console is one prompt: its input, its outputs, and, during Run or Attach, the terminal behind
// them. It is made before the session, which reads from Input.
type Console struct {
	stdin  *bufio.Reader // of an input that is no terminal; sessions share its buffer
	stdout io.Writer
	stderr io.Writer
	tty    *terminal // nil when stdin is no terminal
}

// inputBuffer is large enough for a session to use the reader directly. Otherwise the session
// would wrap it in a larger one, which would read ahead.
const inputBuffer = 64 << 10

// Options of Run and Attach.
type Options struct {
	// Interactive prints the prompt even if stdin is no terminal; then errors do not end the run.
	Interactive bool
	// History is the file that keeps the lines between runs; "" means none. It is never an error
	// that it cannot be read or written. See HistoryFile.
	History string
	// Views are what words may show on the whole screen, by name: see interp.Session.View.
	Views map[string]View
	// Name stands in errors of a source that is no terminal; "" means "stdin".
	Name string
}

// New makes a console on three streams. If stdin is a terminal, lines are edited there, but it is
// not touched before Run or Attach. An input that cannot be read (see Unreadable) counts as
// empty.
func New(stdin io.Reader, stdout, stderr io.Writer) *Console {
	if Unreadable(stdin) {
		stdin = strings.NewReader("")
	}
	c := &Console{stdin: bufio.NewReaderSize(stdin, inputBuffer), stdout: stdout, stderr: stderr}
	if f, ok := stdin.(*os.File); ok && isTerminal(f) {
		c.tty = newTerminal(f, stdout, stderr)
	}
	return c
}

// Unreadable says whether an input is only open for writing: nohup(1) replaces a terminal by such
// an input.
func Unreadable(stdin io.Reader) bool {
	f, ok := stdin.(*os.File)
	if !ok {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_WRONLY
}

// Terminal says whether stdin is a terminal.
func (c *Console) Terminal() bool { return c.tty != nil }

// Input returns the standard input for a session on this console. On a terminal it gives the keys
// typed while words run (without echo), and fails once if Ctrl-C is among them; otherwise it is
// stdin itself.
func (c *Console) Input() io.Reader {
	if c.tty != nil {
		return c.tty
	}
	return c.stdin
}

// Log returns a writer for lines that come at any time, like those of a dataplane: on a terminal
// they are written above the line being edited. It may be used concurrently.
func (c *Console) Log() io.Writer {
	if c.tty != nil {
		return logWriter{c.tty}
	}
	return c.stderr
}

// Resized draws the line for a screen of another size. Mains call it on SIGWINCH.
func (c *Console) Resized() {
	if c.tty != nil {
		c.tty.resized()
	}
}

// Close ends Run or Attach, as if Ctrl-D had been typed, and gives the terminal back. A running
// word is interrupted. It may be called from any goroutine, more than once, and from a signal
// handler.
func (c *Console) Close() {
	if c.tty != nil {
		c.tty.close()
	}
}

// Run reads lines from stdin, interprets them in s until the input ends or a word leaves, and
// returns the exit status. The input of s must be Input of the same console. At a prompt errors
// are shown and the next line is read; without one (stdin is no terminal) the first error ends
// the run with status 1.
func (c *Console) Run(s *interp.Session, o Options) int {
	if c.tty == nil && !o.Interactive {
		name := o.Name
		if name == "" {
			name = "stdin"
		}
		return result(s, s.RunInput(name), func() {}).ExitStatus()
	}
	return c.prompt(local{s}, o)
}

// Attach is Run with the session of cl. The connection stays open.
func (c *Console) Attach(cl *Client, o Options) int {
	if c.tty == nil && !o.Interactive {
		name := o.Name
		if name == "" {
			name = "stdin"
		}
		r, err := cl.Run(name, c.stdin, c.stdout, c.stderr)
		if err != nil {
			fmt.Fprintf(c.stderr, "error: %v\n", err)
			return 1
		}
		return r.ExitStatus()
	}
	r := &remote{cl: cl, tty: c.tty, stdout: c.stdout, stderr: c.Errors()}
	if c.tty != nil {
		c.tty.onSize = r.tellSize
	}
	return c.prompt(r, o)
}

// target is the session that a prompt talks to, in this process or in another.
type target interface {
	// eval runs one line; all its output, including errors, is written when it returns. err says
	// that the target is gone.
	eval(line string) (Result, error)
	interrupt()                        // stops eval; it is called from another goroutine
	abandon()                          // forgets the open structure
	state() Result                     // before the first line
	complete(before string) completion // of a line with this text before the cursor
	stackOf(word string) string        // the stack comment of a word, "" if there is none
	here() bool                        // stackOf takes no time
	freshLine()                        // ends the line that was being printed, if there is one
}

// errClear is returned by a lineReader if the line was given up (Ctrl-C).
var errClear = errors.New("line given up")

// lineReader reads lines for a prompt: the editor, the plain terminal, a pipe.
type lineReader interface {
	// line reads a line; side is shown beside the prompt if there is room on a screen. io.EOF
	// ends the prompt, errClear asks again.
	line(prompt, side string) (string, error)
}

// prompt is the loop that all prompts share.
func (c *Console) prompt(t target, o Options) int {
	var in lineReader
	if c.tty != nil {
		c.tty.views = o.Views
		r, err := c.tty.start(t, o.History)
		if err != nil {
			fmt.Fprintf(c.stderr, "error: terminal: %v\n", err)
			return 1
		}
		defer c.tty.close()
		in = r
	} else {
		in = &pipeReader{c.stdin, c.stdout}
	}
	r := t.state()
	for {
		if c.tty != nil {
			c.tty.present()
		}
		line, err := in.line(promptText(r.Open), sideText(r))
		switch {
		case errors.Is(err, errClear):
			t.abandon()
			r.Open = ""
			if c.tty != nil {
				c.tty.dropPaste()
			}
			continue
		case errors.Is(err, io.EOF):
			c.warn(r)
			return r.Status
		case err != nil:
			fmt.Fprintf(c.stderr, "error: %v\n", err)
			return 1
		}
		r, err = c.eval(t, line)
		t.freshLine()
		if err != nil {
			fmt.Fprintf(c.stderr, "error: %v\n", err)
			return 1
		}
		if r.Left {
			c.warn(r)
			return r.Status
		}
		if c.tty == nil {
			continue
		}
		if note := interp.Note(r.Unknown); note != "" {
			c.tty.note(note)
		}
		if r.Open != "" && c.tty.wereStopped() { // too late to stop anything else
			t.abandon()
			r.Open = ""
		}
		if r.Failed {
			c.tty.dropPaste()
		}
	}
}

// warn prints which strings are left that were no words, unless a note has said so.
func (c *Console) warn(r Result) {
	if c.tty != nil {
		return
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(c.stderr, "warning: %s\n", u.Warning())
	}
}

// eval runs a line; meanwhile Ctrl-C goes to the target.
func (c *Console) eval(t target, line string) (Result, error) {
	if c.tty == nil {
		return t.eval(line)
	}
	c.tty.running(t.interrupt)
	defer c.tty.running(nil)
	return t.eval(line)
}

// promptText returns `ok `, or the name of the open structure: `if> `.
func promptText(open string) string {
	const longest = 12 // the editor needs a prompt narrower than its narrowest screen
	if open == "" {
		return "ok "
	}
	if len(open) > longest {
		open = open[:longest]
	}
	return strings.ToValidUTF8(open, "") + "> "
}

// sideText returns the number of values on the stack, and marks an open stack frame.
func sideText(r Result) string {
	switch {
	case r.Frames > 0:
		return fmt.Sprintf("{ %d on the stack", r.Depth)
	case r.Depth > 0:
		return fmt.Sprintf("%d on the stack", r.Depth)
	}
	return ""
}
