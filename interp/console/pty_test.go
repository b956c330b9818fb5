// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/tests/vt"
)

// patience is how long tests wait for an event. When it has passed, the test fails.
const patience = vt.Patience

// pty is a terminal that a test uses. It keeps the output.
type pty struct {
	*vt.Pty
	t   *testing.T
	out []byte // since the last expect; under the lock of Look
}

func openPty(t *testing.T, cols int) *pty {
	t.Helper()
	p := &pty{t: t}
	p.Pty = vt.Open(t, cols, 24, runeWidth, func(b []byte) { p.out = append(p.out, b...) })
	return p
}

// expect waits until want is on the screen, consumes everything up to its end, and returns the
// text before it. Escape sequences are removed first.
func (p *pty) expect(want string) (before string) {
	p.t.Helper()
	p.Await(never, func(*vt.Screen) bool {
		text, ends := plainText(p.out)
		i := strings.Index(text, want)
		if i >= 0 {
			p.out, before = p.out[ends[i+len(want)-1]:], text[:i]
		}
		return i >= 0
	}, func(*vt.Screen) string {
		return fmt.Sprintf("no %q on the screen: …%q", want, p.out[max(0, len(p.out)-400):])
	})
	return before
}

func never() bool { return false }

// expectRaw is expect for all bytes, including sequences.
func (p *pty) expectRaw(want string) {
	p.t.Helper()
	p.Until(fmt.Sprintf("what is written with %q", want), func(*vt.Screen) bool {
		i := bytes.Index(p.out, []byte(want))
		if i >= 0 {
			p.out = p.out[i+len(want):]
		}
		return i >= 0
	})
}

// plainText drops escape sequences, carriage returns and dim text; ends maps every byte that is
// kept to the place after it.
func plainText(b []byte) (string, []int) {
	var text []byte
	var ends []int
	for i := 0; i < len(b); i++ {
		if rest, ok := bytes.CutPrefix(b[i:], []byte(dimStyle)); ok {
			if n := bytes.Index(rest, []byte(noStyle)); n >= 0 {
				i += len(dimStyle) + n + len(noStyle) - 1
				continue
			}
		}
		if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '[' {
			j := i + 2
			for j < len(b) && !(b[j] >= '@' && b[j] <= '~') {
				j++
			}
			i = j
			continue
		}
		if b[i] == '\r' {
			continue
		}
		text = append(text, b[i])
		ends = append(ends, i+1)
	}
	return string(text), ends
}

// shell writes to the screen as another program would.
func (p *pty) shell(text string) {
	p.t.Helper()
	if _, err := p.Slave.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// cursor is where the cursor stands on the screen.
func cursor(v *vt.Screen) place {
	row, col := v.Cursor()
	return place{row, col}
}

// shows waits until the screen shows this text, with the cursor at this place.
func (p *pty) shows(text string, row, col int) {
	p.t.Helper()
	p.Until(fmt.Sprintf("%q with the cursor at %v", text, place{row, col}), func(v *vt.Screen) bool {
		return v.String() == text && cursor(v) == place{row, col}
	})
}

// sides matches what prompts show of the stack at the right edge.
var sides = regexp.MustCompile(`(?m) +({ )?\d+ on the stack$`)

// ends waits until the text on the screen ends like this, and the cursor is after it; the text at
// the right edge does not count.
func (p *pty) ends(text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf("ending in %q", text), func(v *vt.Screen) bool {
		all := sides.ReplaceAllString(v.Text(0), "")
		rows := strings.Split(all, "\n")
		before := rows[len(rows)-1]
		last := len(rows) - 1
		if strings.HasSuffix(text, " ") {
			all += " "
			before += " "
		}
		width := 0
		for _, r := range before {
			width += runeWidth(r)
		}
		return strings.HasSuffix(all, text) && v.Row() == last && cursor(v).col == width
	})
}

// testDict returns a dictionary with a few words for tests of a console. They are here because
// console knows no word set, not even the language's.
func testDict(t *testing.T) *interp.Dict {
	t.Helper()
	word := func(name string, f func(*interp.Session) error) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: f}
	}
	d, err := interp.NewDict(interp.Set{Name: "test", Help: "words for tests", Words: []interp.Word{
		{Name: ".", Stack: "( item - )", Help: "prints", Func: func(s *interp.Session) error {
			v, err := s.Pop()
			if err == nil {
				s.Print(v.Source() + "\n")
			}
			return err
		}},
		{Name: "type", Stack: "( string - )", Help: "prints text", Func: func(s *interp.Session) error {
			v, err := s.PopString()
			if err == nil {
				s.Print(v)
				s.Flush()
			}
			return err
		}},
		word("clear", func(s *interp.Session) error { s.Clear(); return nil }),
		word("bye", func(s *interp.Session) error { return s.Leave() }),
		word("started", func(s *interp.Session) error { s.Print("started\n"); return nil }),
		word("tap.rx.enable", nop), word("tap.rx.disable", nop), word("tap.tx.enable", nop),
		word("random", nop),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// registerDangerous adds words that random keys should not run.
func registerDangerous(t *testing.T, d *interp.Dict) {
	t.Helper()
	word := func(name string, f func(*interp.Session) error) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: f}
	}
	err := d.Register(interp.Set{Name: "dangerous", Help: "words for tests", Words: []interp.Word{
		word("panic", func(s *interp.Session) error { panic("on purpose") }),
		word("flood", func(s *interp.Session) error {
			line := bytes.Repeat([]byte("x"), 1000)
			line[999] = '\n'
			for !s.Interrupted() {
				if _, err := s.Write(line); err != nil {
					return err
				}
			}
			return interp.ErrInterrupted
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func nop(*interp.Session) error { return nil }
