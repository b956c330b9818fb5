// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/tests/vt"
)

const (
	left, up, down = "\x1b[D", "\x1b[A", "\x1b[B"
	home, end      = "\x01", "\x05"
)

// The screen shows the line, with the cursor in it, whatever width the characters have and
// wherever rows end.
func TestScreen(t *testing.T) {
	long := "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"
	wrapped := func(s string) string { return strings.TrimRight(s[:40], " ") + "\n" + s[40:] }
	full := strings.Repeat("a", 37)
	for _, c := range []struct {
		name, keys, screen string
		row, col           int
	}{
		{"long", long, wrapped("ok " + long), 1, 10},
		{"long, 12 left", long + strings.Repeat(left, 12), wrapped("ok " + long), 0, 38},
		{"long, home", long + home, wrapped("ok " + long), 0, 3},
		{"long, home, X", long + home + "X", wrapped("ok X" + long), 0, 4},
		{"long, end, Y", long + home + end + "Y", wrapped("ok " + long + "Y"), 1, 11},
		{"fills the row", full, "ok " + full, 1, 0},
		{"fills the row, left", full + left, "ok " + full, 0, 39},
		{"fills the row, one more", full + "b", "ok " + full + "\nb", 1, 1},
		{"fills the row, one less", full + "b\x7f\x7f", "ok " + full[1:], 0, 39},
		{"umlauts", "grüezi" + left + left, "ok grüezi", 0, 7},
		{"wide", "日本語" + left, "ok 日本語", 0, 7},
		{"wide, home", `"日本語" .` + home, `ok "日本語" .`, 0, 3},
		{"emoji", "a😀b" + left, "ok a😀b", 0, 6},
		{"emoji deleted", "a😀b" + left + "\x7f", "ok ab", 0, 4},
		{"combining", "e\u0301x" + left, "ok e\u0301x", 0, 4},
		{"combining typed later", "ex" + left + "\u0301", "ok e\u0301x", 0, 4},
		{"wide, wrapped", strings.Repeat("日", 20), "ok " + strings.Repeat("日", 18) + "\n日日", 1, 4},
		{"wide, wrapped, left", strings.Repeat("日", 20) + left + left, "ok " + strings.Repeat("日", 18) + "\n日日", 1, 0},
		{"wide pushed over the edge", full[:36] + "日" + home + "x", "ok x" + full[:36] + "\n日", 0, 4},
		{"killed", long + "\x15abc", "ok abc", 0, 6},
		{"controls", "a\x00\x1cb\x1b[99~c\x1bOQd", "ok abcd", 0, 7},
		{"C1", "a\u0085b", "ok a b", 0, 6},
		{"not UTF-8", "a\xff\xfeb", "ok a\ufffd\ufffdb", 0, 7},
		{"cleared", "abc\x0cd", "ok abcd", 0, 7},
	} {
		for _, apart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.name, apart), func(t *testing.T) {
				p := startPrompt(t, 40, "xterm", "")
				if apart { // each key is drawn by itself
					n := 0
					for i := 0; i < len(c.keys); i += n {
						n = keyLen(c.keys[i:])
						p.Type(c.keys[i : i+n])
						p.settled()
					}
				} else {
					p.Type(c.keys)
				}
				p.shows(c.screen, c.row, c.col)
			})
		}
	}
}

// The columns that characters take are those of wcwidth(3), which terminals use.
func TestRuneWidth(t *testing.T) {
	for width, runes := range []string{
		0: "\u0300\u0301\u20dd\u200b\u200d\ufe0f\u0e31\u1161",
		1: "a~é→…—ß�\u00ad├⌘ｱ",
		2: "日本語한カア😀🚀🏽。Ａ⌚",
	} {
		for _, r := range runes {
			if w := runeWidth(r); w != width {
				t.Errorf("%U %c: %d columns and not %d", r, r, w, width)
			}
		}
	}
}

// keyLen returns the length of the key at the beginning of s.
func keyLen(s string) int {
	if s[0] == escape {
		return sequenceLen([]byte(s))
	}
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// settled waits until all that was typed is drawn: it types a key that only rings the bell, and
// waits for that.
func (p *pty) settled() {
	p.t.Helper()
	p.settledBy(bell)
}

// settledBy types a key that rings the bell, and waits until it has.
func (p *pty) settledBy(key string) {
	p.t.Helper()
	var bells int
	p.Look(func(v *vt.Screen) { bells = v.Bells })
	p.Type(key)
	p.Until("settled", func(v *vt.Screen) bool { return v.Bells > bells })
}

// bell makes readline ring: Ctrl-N at the end of the history.
const bell = "\x0e"

// A line that was drawn piece by piece looks like one that was drawn at once: random keys are
// compared with a view that forgets before each what is on the screen.
func TestViewDraws(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	letters := []rune("ab 日😀é\u0301\u20dd")
	for range 300 {
		columns, rows := 5+rnd.Intn(20), 2+rnd.Intn(5)
		term := vt.New(columns, rows, runeWidth)
		v := &view{w: vtWriter{term}, size: func() (int, int) { return columns, rows }, styled: true}
		v.begin("ok ", []string{"", "3 on"}[rnd.Intn(2)])
		var line []rune
		pos := 0
		for range 30 {
			switch rnd.Intn(8) {
			case 0:
				line, pos = nil, 0
			case 1:
				if len(line) > 0 {
					i := rnd.Intn(len(line))
					line, pos = slices.Delete(slices.Clone(line), i, i+1), i
				}
			case 2:
				pos = rnd.Intn(len(line) + 1)
			default:
				text := make([]rune, 1+rnd.Intn(6))
				for i := range text {
					text[i] = letters[rnd.Intn(len(letters))]
				}
				line = slices.Insert(slices.Clone(line), pos, text...)
				pos += len(text)
			}
			hint := []string{"", "( a )"}[rnd.Intn(2)]
			v.set(line, pos)
			v.show("ok ", hint)
			if rnd.Intn(20) == 0 {
				v.above([]byte("said\n"))
			}
			fresh := vt.New(columns, rows, runeWidth)
			w := &view{w: vtWriter{fresh}, size: v.size, styled: true, line: line, pos: pos, hint: hint, prompt: "ok ", side: v.side, on: true, windowed: v.windowed, top: v.top}
			w.drawLocked()
			got, want := term.String(), fresh.String()
			if !strings.HasSuffix(got, want) || len(term.Unknown) > 0 {
				t.Fatalf("%d by %d, %q, cursor before %d: %v\n%s\n--- and not\n%s", columns, rows, string(line), pos, term.Unknown, got, want)
			}
			above := strings.Count(got, "\n") - strings.Count(want, "\n")
			if c := cursor(fresh); cursor(term) != (place{c.row + above, c.col}) && !v.windowed {
				t.Fatalf("%d by %d, %q, cursor before %d: at %v and not %v\n%s", columns, rows, string(line), pos, cursor(term), c, got)
			}
		}
	}
}

type vtWriter struct{ v *vt.Screen }

func (w vtWriter) Write(p []byte) (int, error) {
	w.v.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))) // as the kernel does
	return len(p), nil
}

// A line with more rows than the screen is shown through a window around the cursor, and as a
// whole after it was entered.
func TestTallLine(t *testing.T) {
	p := startPrompt(t, 20, "xterm", "")
	p.Resize(20, 4)
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "%d ", 1000+i)
	}
	line := b.String() // 200 characters, 11 rows
	p.Type(line)
	p.Until("the end", func(v *vt.Screen) bool {
		return strings.HasSuffix(v.String(), "1036 1037 1038 10\n39") && cursor(v) == place{3, 3}
	})
	p.Type(home + "9")
	p.Until("the beginning", func(v *vt.Screen) bool {
		return strings.HasPrefix(v.String(), "ok 91000 1001 1002 1") && cursor(v) == place{0, 4}
	})
	p.Type("\x7f\r")
	p.Until("all of it", func(v *vt.Screen) bool {
		join := strings.NewReplacer("\n", "", " ", "")
		return strings.HasSuffix(join.Replace(v.Text(0)), "ok"+join.Replace(line)+"ok")
	})
}

// A paste is drawn once, in about as many bytes as it has. When each character was drawn, a
// pasted frame in hexadecimal digits took seconds and megabytes.
func TestPasteDrawnOnce(t *testing.T) {
	p := startPrompt(t, 80, "xterm", "")
	line := `"` + strings.Repeat("a5", 9014) + `" type`
	p.Type(line + "\r")
	p.Until("done", func(v *vt.Screen) bool { return strings.Count(v.Text(0), "ok") == 2 })
	p.Look(func(v *vt.Screen) {
		// This is for the line, its output, and a screen for each time the input paused.
		if v.Bytes > 2*len(line)+64*2000 {
			t.Errorf("%d bytes for a line of %d", v.Bytes, len(line))
		}
	})
}

// Where there is room, the stack comment of the word before the cursor is shown dim after the
// line, and the depth of the stack at the right edge; neither is there afterwards.
func TestHints(t *testing.T) {
	p := startPrompt(t, 40, "xterm", "")
	p.Type("3 4")
	p.shows("ok 3 4", 0, 6)
	p.Type("\r")
	p.shows("ok 3 4\nok                       2 on the stack", 1, 3)
	p.Type("type")
	p.shows("ok 3 4\nok type  ( string - )    2 on the stack", 1, 7)
	p.Type(" ")
	p.shows("ok 3 4\nok type   ( string - )   2 on the stack", 1, 8)
	p.Type("\"bye")
	p.shows("ok 3 4\nok type \"bye             2 on the stack", 1, 12)
	p.Type("\x15.")
	p.shows("ok 3 4\nok .  ( item - )         2 on the stack", 1, 4)
	p.Type(" .\r")
	p.shows("ok 3 4\nok . .\n4\n3\nok", 4, 3)
	p.Type(": mine ( a b - c ) ;")
	p.Until("a definition", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "\nok : mine ( a b - c ) ;  ( - )") })
	p.Type("\rmine")
	p.shows("ok 3 4\nok . .\n4\n3\nok : mine ( a b - c ) ;\nok mine  ( a b - c )", 5, 7)
	p.Type("\x15# type")
	p.shows("ok 3 4\nok . .\n4\n3\nok : mine ( a b - c ) ;\nok # type", 5, 9)
}

// A string that was meant to be a word has a dim note, one per line; errors begin in colour. A
// string that a word has taken, or that was quoted, has no note.
func TestNotes(t *testing.T) {
	p := startPrompt(t, 60, "xterm", "")
	p.Type("bey\r")
	p.expectRaw("\x1b[2mbey: pushed as a string; did you mean bye?\x1b[m\r\n")
	p.Type("eth7 ethx\r")
	p.expectRaw("\x1b[2meth7, ethx: pushed as strings\x1b[m\r\n")
	p.Type("eth8 type eth7x type \"eth9\"\r")
	p.ends("eth8 type eth7x type \"eth9\"\neth8eth7x\nok ")
	p.Type("nosuch then\r")
	p.expectRaw("\x1b[1;31merror:\x1b[m then: ")
	p.expectRaw("\x1b[2mnosuch: pushed as a string\x1b[m\r\n")
}

func TestNoColor(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	p := startPrompt(t, 40, "xterm", "")
	p.Type("3 type\r")
	p.Type("nosuch\r")
	p.shows("ok 3 type\n3\nok nosuch\nnosuch: pushed as a string\nok                       1 on the stack", 4, 3)
	p.Type("type")
	p.shows("ok 3 type\n3\nok nosuch\nnosuch: pushed as a string\nok type                  1 on the stack", 4, 7)
}

// A tab that is pasted, or comes together with more input, is a blank.
func TestPastedTab(t *testing.T) {
	p := startPrompt(t, 40, "xterm", "")
	p.Type("1\t2 type type\r")
	p.ends("ok 1 2 type type\n21\nok ")
	p.Type(pasteStart + "\t5\ttype\t" + pasteEnd)
	p.Until("pasted", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "ok  5 type   ( string - )") })
	p.Type("\r")
	p.ends("5\nok ")
}

// After an error the rest of a paste is dropped, and a note says so; typed keys are not dropped.
func TestPasteAfterError(t *testing.T) {
	p := startPrompt(t, 60, "xterm", "")
	p.Type(pasteStart + ": two\n  1 else\n  2 type ;\n\"ran\" type\nhalf" + pasteEnd)
	p.ends(":>   1 else\nerror: else: cannot close the open :\nthe rest of the paste is not run\nok ")
	p.Type(pasteStart + "\"all\" type\n. \n" + pasteEnd + "\"typed\" type\r")
	p.ends("error: .: stack underflow ( item - )\nok \"typed\" type\ntyped\nok ")
	// The end of the paste comes after the error.
	p.Type(pasteStart + ".\n")
	p.ends("error: .: stack underflow ( item - )\nok ")
	p.Type("\"more\" type\n\"and more\" type\n")
	p.ends("error: .: stack underflow ( item - )\nthe rest of the paste is not run\nok ")
	p.Type(pasteEnd[:3])
	p.Type(pasteEnd[3:] + "\"typed\" type\r")
	p.ends("ok \"typed\" type\ntyped\nok ")
	// A character that controls terminals is not a key when it is pasted.
	p.Type(pasteStart + "\"a\x1b[A\x04\x12\x7fb\" type" + pasteEnd)
	p.Until("pasted", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "ok \"a[Ab\" type  ( string - )") })
	p.Type("\x03")
	p.ends("^C\nok ")
}

// The screen gets another width while a line is edited.
func TestResize(t *testing.T) {
	p := startPrompt(t, 40, "xterm", "")
	p.Type("\"before\" type\r")
	p.ends("before\nok ")
	line := "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"
	p.Type(line)
	p.ends("18 19")
	for _, columns := range []int{25, 60, 20, 100, 33} {
		p.Resize(columns, 24)
		p.con.Resized()
		p.settled() // the terminal had the line right by itself; now the drawing since then is complete
		p.Until(fmt.Sprintf("right with %d columns", columns), func(v *vt.Screen) bool {
			var rows []string
			for rest := "ok " + line; rest != ""; rest = rest[min(columns, len(rest)):] {
				rows = append(rows, strings.TrimRight(rest[:min(columns, len(rest))], " "))
			}
			return strings.HasSuffix(v.String(), "before\n"+strings.Join(rows, "\n"))
		})
	}
	p.Type("\x15\r")
}

// A search in the history is shown.
func TestSearchShown(t *testing.T) {
	p := startPrompt(t, 60, "xterm", "")
	for _, l := range []string{"\"one\" type", "\"two\" type", "\"one\" type"} {
		p.Type(l + "\r")
		p.ends("\nok ")
	}
	p.Type("\x12tw")
	p.Until("found", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "(reverse search) tw: \"two\" type") })
	p.Type("x")
	p.Until("failing", func(v *vt.Screen) bool { return strings.Contains(v.String(), "(no line has) twx: ") })
	p.Type("\x7f\r")
	p.ends("ok \"two\" type\ntwo\nok ")
	p.Type("\x12ne\x03")
	p.ends("two\nok ")
	// The history has no line twice: two, one, and then there is no more.
	p.Type(up)
	p.Until("the line before", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "two\nok \"two\" type  ( string - )") })
	p.Type(up)
	p.Until("the line before that", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "two\nok \"one\" type  ( string - )") })
	p.settledBy(up)
	p.Until("still that", func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), "two\nok \"one\" type  ( string - )") })
}

// A line from the history that is entered unchanged does not move the place in the history.
func TestHistoryAgain(t *testing.T) {
	p := startPrompt(t, 60, "xterm", "")
	for _, l := range []string{"1 type", "2 type", up, "", up} {
		p.Type(l + "\r")
		p.ends("\nok ")
		p.settled()
	}
	p.ends("ok 2 type\n2\nok 2 type\n2\nok\nok 2 type\n2\nok ")
}

// After the program was stopped and continued, modes and line are there again.
func TestResume(t *testing.T) {
	p := startPrompt(t, 40, "xterm", "")
	p.Type("1 2")
	p.ends("ok 1 2")
	mode := p.Mode()
	p.SetMode(p.before)
	p.shell("$ fg\r\n")
	p.con.Resume()
	p.ends("$ fg\nok 1 2")
	if p.Mode() != mode {
		t.Error("the modes are not those of the prompt")
	}
	p.Type(" . .\r")
	p.ends("ok 1 2 . .\n2\n1\nok ")
}
