// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// This file is the terminal for words that read keys and draw, both ours and that of a client.

// Live implements interp.Terminal.
func (t *terminal) Live() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.started && !t.closed
}

// Key implements interp.Terminal. Keys typed ahead come first.
func (t *terminal) Key(wait time.Duration) (key byte, ok bool, err error) {
	return t.key(wait, new(bool))
}

// key is Key. It fails with io.EOF when *unwanted, which t.mu guards, becomes true.
func (t *terminal) key(wait time.Duration, unwanted *bool) (key byte, ok bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	over := false
	if wait >= 0 {
		timer := time.AfterFunc(wait, func() {
			t.mu.Lock()
			over = true
			t.cond.Broadcast()
			t.mu.Unlock()
		})
		defer timer.Stop()
	}
	for (len(t.keys.b) == 0 || t.editing) && !t.broke && !t.eof && !over && !*unwanted {
		t.cond.Wait()
	}
	switch {
	case *unwanted:
		return 0, false, io.EOF
	case t.broke:
		t.broke = false
		return 0, false, interp.ErrInterrupted
	case len(t.keys.b) > 0 && !t.editing:
		key = t.keys.b[0]
		t.keys.take(1)
		return key, true, nil
	case t.eof:
		return 0, false, io.EOF
	}
	return 0, false, nil
}

// Line implements interp.Terminal.
func (t *terminal) Line() (string, error) {
	echo := io.Writer(t.screen)
	if t.plain { // the kernel echoes, and lets the user edit the line
		echo = io.Discard
	}
	return typedLine(t.Key, echo)
}

// Screen implements interp.Terminal.
func (t *terminal) Screen() (columns, rows int) {
	if !t.draws {
		return 0, 0
	}
	return screenSize(t.screen)
}

// screenSize returns the size of a terminal, or 80 by 24 if it is not known.
func screenSize(f *os.File) (columns, rows int) {
	columns, rows = 80, 24
	if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		if ws.Col > 0 {
			columns = int(ws.Col)
		}
		if ws.Row > 0 {
			rows = int(ws.Row)
		}
	}
	return columns, rows
}

// typedLine reads a line key by key. Backspace removes the last character, and Ctrl-D on an empty
// line ends the input.
func typedLine(key func(time.Duration) (byte, bool, error), echo io.Writer) (string, error) {
	const backspace, del = 8, 127
	var b []byte
	for {
		k, _, err := key(-1)
		switch {
		case err != nil:
			return "", err
		case k == ctrlD && len(b) == 0:
			return "", io.EOF
		case k == '\n' || k == '\r':
			_, err := io.WriteString(echo, "\n")
			return string(b), err
		case k == backspace || k == del:
			if len(b) > 0 {
				r, n := utf8.DecodeLastRune(b)
				b = b[:len(b)-n]
				for range runeWidth(r) {
					io.WriteString(echo, "\b \b")
				}
			}
		case k >= ' ' && len(b) < interp.MaxValue:
			b = append(b, k)
			echo.Write([]byte{k})
		}
	}
}

// forward sends keys that are typed from now on to send, instead of the editor or a word, until
// stop is called: the keys of a client belong to words of the server then.
func (t *terminal) forward(send func([]byte)) (stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys.b) > 0 {
		send(t.keys.b)
		t.keys.clear()
	}
	t.onKeys = send
	return func() {
		t.mu.Lock()
		t.onKeys = nil
		t.mu.Unlock()
	}
}

// keyboard is the input of a session on a connection: there is nothing to read but the keys of
// the client, if it has a terminal. It implements interp.Terminal.
type keyboard struct {
	io.Reader
	c *conn
}

// keysAhead is how many keys of a client may wait for a word; more are dropped.
const keysAhead = 256

func (k keyboard) Live() bool {
	columns, _ := k.Screen()
	return columns > 0
}

func (k keyboard) Screen() (columns, rows int) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	return k.c.columns, k.c.rows
}

// Key asks the client for keys, once per request, and waits for one.
func (k keyboard) Key(wait time.Duration) (key byte, ok bool, err error) {
	c := k.c
	c.mu.Lock()
	id, stopped, ask := c.busy, c.stopped, !c.asked
	c.asked = true
	c.mu.Unlock()
	if ask {
		c.out.say(func(b []byte) []byte { return appendFrame(b, kindKeys, idBytes(id)) })
	}
	var over <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case key := <-c.keys:
		return key, true, nil
	case <-stopped:
		return 0, false, interp.ErrInterrupted
	case <-over:
		return 0, false, nil
	}
}

// Page implements interp.Terminal: the client shows the text.
func (k keyboard) Page(text string) error {
	return k.c.out.say(func(b []byte) []byte { return appendFrame(b, kindPage, idBytes(k.c.running()), text) })
}

// View implements interp.Terminal: the client shows the view before it reads the result of the
// request.
func (k keyboard) View(name string) error {
	return k.c.out.say(func(b []byte) []byte { return appendFrame(b, kindView, idBytes(k.c.running()), name) })
}

func (k keyboard) Line() (string, error) { return typedLine(k.Key, stream{k.c.out, kindOutput}) }

// typed takes in keys of the client for the running request.
func (c *conn) typed(id uint32, keys []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != c.busy {
		return
	}
	for _, k := range keys {
		select {
		case c.keys <- k:
		default:
		}
	}
}
