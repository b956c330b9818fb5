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

// editor is chzyer/readline on a terminal of ours. Readline keeps the line: what each
// key does to it, the history, the search in it. Everything with a side effect on the
// process, and the screen, is taken from it:
//
//   - reading: it gets keys from the terminal's pump, one line at a time, so that
//     nothing is read ahead while words run; see editorInput;
//   - drawing: it is told that there is no screen, and draws nothing of the line; see view.
//     What it writes all the same is the bell, and what it searches for;
//   - modes and signals: it sets none (its Ctrl-Z would stop our parent as well);
//   - history file: it would be created with mode 0666;
//   - the list of completions: its selection divides by zero on narrow screens,
//     and it takes a screen as wide as the prompt for an endless loop.
type editor struct {
	t       *terminal
	tg      target
	rl      *readline.Instance
	in      *editorInput
	view    *view
	history *history
	ended   chan struct{} // closed when readline's goroutine is about to end

	// Of the line being edited. Written by the caller of Readline before the first key,
	// then by readline's goroutine.
	prompt string
	side   string
	now    []rune
	pos    int
	search string // what readline says of its search
	over   bool   // the key at work ends the line
	hints  hints
}

// minWidth is the narrowest screen that the editor begins on, in columns.
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
		Stdout:                 screen{e},
		Stderr:                 screen{e},
		HistoryLimit:           historyLimit,
		DisableAutoSaveHistory: true,
		AutoComplete:           e,
		Listener:               e,
		FuncFilterInputRune:    e.filter,
		FuncGetWidth:           func() int { return minWidth }, // what it draws does not matter
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

// remember gives readline the history as it is, and has it begin at its end. Adding a line
// to its own would take the wrong one when an older line was looked for before, and cannot
// move one to the end.
func (e *editor) remember() {
	e.rl.ResetHistory()
	if len(e.history.lines) == 0 {
		e.rl.SaveHistory("") // searching a history without entries dereferences nil
	}
	for _, l := range e.history.lines {
		e.rl.SaveHistory(l)
	}
}

// line lets a line be edited.
func (e *editor) line(prompt, side string) (string, error) {
	e.prompt, e.side = prompt, side
	text, err := e.rl.Readline()
	ended := e.t.edit(false)
	switch {
	case errors.Is(err, readline.ErrInterrupt):
		e.view.accept(prompt, []rune(text), "^C")
		return "", errClear
	case ended:
		// A line cut off by the end of the terminal is not a line that was entered.
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

// close ends readline's goroutines. The terminal's input has ended before, so
// they are about to; see filter. Instance.Close is not called: the end of file it
// announces to a Readline that is not there keeps a goroutine for ever.
func (e *editor) close() {
	e.rl.Terminal.Close()
	select {
	case <-e.ended:
	case <-time.After(time.Second): // it waits to hand over a line nobody asks for
	}
	e.history.close()
}

// filter sees every key before readline does. At the end of the input (0; no key
// gives that) its goroutine ends here: by itself it would submit what is half
// typed as if it had been entered, and draw on a terminal given back.
func (e *editor) filter(r rune) (rune, bool) {
	e.over = false
	switch {
	case r == 0:
		e.rl.Operation.Close() // has Readline return io.EOF
		close(e.ended)
		runtime.Goexit()
	case r == showKey:
		e.show()
		return r, false
	case r == ctrlC && e.rl.Operation.IsSearchMode(), // ends the search
		r == ctrlD && (len(e.now) > 0 || !e.rl.Operation.IsNormalMode()): // deletes
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

// OnChange implements readline.Listener: it follows the line, and puts text in the place
// of the key that stands for it. Readline calls it before the first key, with key 0.
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
		return nil, 0, false // the line is with the caller of Readline
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

// show has the screen show the line, and asks for the hint that belongs to it.
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

// screen is the terminal as readline writes to it.
type screen struct{ e *editor }

// Write passes the bell on and takes note of a search: "\n…ESC[J" before "bck-i-search: "
// and the text, ESC[4m behind it.
func (s screen) Write(p []byte) (int, error) {
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

// Do implements readline.AutoCompleter for what stands before the cursor. What all that
// may follow have in common is inserted; then they are listed above the line, as shells do.
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

// edit opens or closes the way from the keyboard to the editor; ended says that
// no more keys will come.
func (t *terminal) edit(on bool) (ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.editing = on
	t.cond.Broadcast()
	return t.eof && len(t.keys.b) == 0 || t.closed
}
