// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/chzyer/readline"
)

// editor is chzyer/readline on our terminal. Readline keeps the line, the history and the search
// in it, and decides what each key does. Everything that has a side effect on the process, and
// the screen, is kept from it:
//
//   - reading: it gets keys from the terminal's pump, one line at a time, so that
//     nothing is read ahead while words run; see editorInput;
//   - drawing: it is told that there is no screen, and draws nothing of the line; see view.
//     It still writes the bell and the text of a search;
//   - modes and signals: it sets none (its Ctrl-Z would stop our parent as well);
//   - history file: it would be created with mode 0666;
//   - the list of completions: its selection divides by zero on narrow screens,
//     and loops for ever on a screen as wide as the prompt.
type editor struct {
	t       *terminal
	tg      target
	rl      *readline.Instance
	in      *editorInput
	view    *view
	history *history
	ended   chan struct{} // closed when readline's goroutine is about to end

	// These belong to the edited line. The caller of Readline writes them before the first key,
	// then readline's goroutine does.
	prompt string
	side   string
	now    []rune
	pos    int
	search string // the text that readline shows of its search
	over   bool   // the current key ends the line
	hints  hints
}

// minWidth is the narrowest screen on which the editor begins, in columns.
const minWidth = 20

func newEditor(t *terminal, tg target, historyFile string) (*editor, error) {
	e := &editor{
		t: t, tg: tg, history: openHistory(historyFile), ended: make(chan struct{}),
		in:   &editorInput{t: t},
		view: &view{w: t.screen, size: func() (int, int) { return screenSize(t.screen) }, styled: t.styled},
	}
	e.hints.show = e.view.suggest
	var err error
	e.rl, err = readline.NewEx(&readline.Config{
		Stdin:                  io.NopCloser(e.in),
		Stdout:                 readlineScreen{e},
		Stderr:                 readlineScreen{e},
		HistoryLimit:           historyLimit,
		DisableAutoSaveHistory: true,
		AutoComplete:           e,
		Listener:               e,
		FuncFilterInputRune:    e.filter,
		FuncGetWidth:           func() int { return minWidth }, // the width of its drawing does not matter
		FuncIsTerminal:         func() bool { return false },
		FuncMakeRaw:            func() error { return nil },
		FuncExitRaw:            func() error { return nil },
		FuncOnWidthChanged:     func(func()) {},
	})
	if err != nil {
		return nil, err
	}
	e.remember()
	return e, nil
}

// remember gives readline the history as it is, and makes it begin at the end. If a line were
// added to readline's own history, it would take the wrong line when an older one was looked up
// before, and could not move a line to the end.
func (e *editor) remember() {
	e.rl.ResetHistory()
	if len(e.history.lines) == 0 {
		e.rl.SaveHistory("") // searching an empty history dereferences nil
	}
	for _, l := range e.history.lines {
		e.rl.SaveHistory(l)
	}
}

// line edits a line.
func (e *editor) line(prompt, side string) (string, error) {
	e.prompt, e.side = prompt, side
	text, err := e.rl.Readline()
	ended := e.t.edit(false)
	switch {
	case errors.Is(err, readline.ErrInterrupt):
		e.view.accept(prompt, []rune(text), "^C")
		return "", errClear
	case ended:
		// A line cut off by the end of the terminal was not entered.
		e.view.accept(prompt, nil, "")
		return "", io.EOF
	case err != nil:
		e.view.accept(prompt, []rune{}, "")
		return "", io.EOF
	}
	e.view.accept(prompt, []rune(text), "")
	e.history.add(text)
	e.remember()
	return text, nil
}

// close ends readline's goroutines. The terminal's input has ended before, so they are about to
// end; see filter. Instance.Close is not called, since it announces an end of file to a Readline
// that is not there, which keeps a goroutine for ever.
func (e *editor) close() {
	e.rl.Terminal.Close()
	select {
	case <-e.ended:
	case <-time.After(time.Second): // it waits to hand over a line that nobody asks for
	}
	e.history.close()
}

// filter sees every key before readline does. At the end of the input (0, which no key gives)
// readline's goroutine ends here. Otherwise it would submit a half typed line as if it had been
// entered, and draw on a terminal that was given back.
func (e *editor) filter(r rune) (rune, bool) {
	e.over = false
	switch {
	case r == 0:
		e.rl.Operation.Close() // makes Readline return io.EOF
		close(e.ended)
		runtime.Goexit()
	case r == showKey:
		e.show()
		return r, false
	case r == ctrlC && e.rl.Operation.IsSearchMode(), // it ends the search
		r == ctrlD && (len(e.now) > 0 || !e.rl.Operation.IsNormalMode()): // it deletes a character
		e.t.edit(true)
	case r == ctrlC, r == ctrlD:
		e.over = true
	case r == deleteKey && len(e.now) == 0:
		r = readline.CharBell
	case r == deleteKey:
		r = readline.CharDelete
	case r == readline.CharCtrlL:
		e.view.clear()
	}
	return r, true
}

// OnChange implements readline.Listener. It follows the line, and replaces a key that stands for
// text by the text. Readline calls it before the first key, with key 0.
func (e *editor) OnChange(line []rune, pos int, key rune) (newLine []rune, newPos int, ok bool) {
	switch key {
	case 0:
		e.now, e.pos = nil, 0
		e.hints.begin()
		e.in.begin()
		e.view.begin(e.prompt, e.side)
		e.t.edit(true)
		return nil, 0, false
	case readline.CharEnter, readline.CharCtrlJ:
		return nil, 0, false // the line belongs to the caller of Readline
	case insertKey:
		text := []rune(e.in.inserted())
		if pos > 0 && line[pos-1] == insertKey {
			line = slices.Concat(line[:pos-1], text, line[pos:])
			pos += len(text) - 1
			ok = true
		}
	}
	if e.over {
		return nil, 0, false
	}
	e.now, e.pos = line, pos
	return line, pos, ok
}

// show draws the line, and asks for its hint.
func (e *editor) show() {
	prompt, hint := e.prompt, ""
	if e.rl.Operation.IsSearchMode() {
		prompt = e.search
	} else if e.t.styled {
		hint = e.hints.at(e.tg, e.now, e.pos)
	}
	e.view.set(slices.Clone(e.now), e.pos)
	e.view.show(prompt, hint)
}

// readlineScreen is the terminal to which readline writes.
type readlineScreen struct{ e *editor }

// Write passes the bell on and notes a search: "\n…ESC[J" before "bck-i-search: " and the text,
// ESC[4m after it.
func (s readlineScreen) Write(p []byte) (int, error) {
	if string(p) == "\a" {
		s.e.t.screen.Write(p)
	}
	if how, text, ok := strings.Cut(string(p), "-i-search: "); ok {
		text, _, _ = strings.Cut(text, "\x1b")
		name := "search"
		if strings.HasSuffix(how, "bck") {
			name = "reverse search"
		}
		if strings.Contains(how, "failing ") {
			name = "no line has"
		}
		s.e.search = fmt.Sprintf("(%s) %s: ", name, text)
	}
	return len(p), nil
}

// Do implements readline.AutoCompleter for the text before the cursor. It inserts what all
// completions have in common. If the line has that already, it lists them above the line, as
// shells do.
func (e *editor) Do(line []rune, pos int) ([][]rune, int) {
	c := e.tg.complete(string(line[:pos]))
	if len(c.words) == 0 {
		e.t.screen.WriteString("\a")
		return nil, 0
	}
	common := commonPrefix(c.words)
	if len(c.words) == 1 && !strings.HasSuffix(common, "/") {
		common += c.end
	}
	if len(common) > len(c.prefix) {
		return [][]rune{[]rune(common[len(c.prefix):])}, 0
	}
	columns, _ := screenSize(e.t.screen)
	e.view.above([]byte(inColumns(c.words, columns)))
	return nil, 0
}

// edit opens or closes the way from the keyboard to the editor; ended says that no more keys will
// come.
func (t *terminal) edit(on bool) (ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.editing = on
	t.cond.Broadcast()
	return t.eof && len(t.keys.b) == 0 || t.closed
}
