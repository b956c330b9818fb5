package console

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/chzyer/readline"
)

// editor is chzyer/readline on a terminal of ours. Readline keeps the line and
// draws it; everything with a side effect on the process is taken from it:
//
//   - reading: it gets keys from the terminal's pump, one line at a time, so that
//     nothing is read ahead while words run;
//   - modes and signals: it sets none (its Ctrl-Z would stop our parent as well);
//   - history file: it would be created with mode 0666;
//   - the list of completions: its selection divides by zero on narrow screens,
//     and it takes a screen as wide as the prompt for an endless loop.
type editor struct {
	t       *terminal
	tg      target
	rl      *readline.Instance
	history *history
	resized func() // readline's own notion of the width catches up
	width   atomic.Int32
	length  atomic.Int32  // runes on the line, as last drawn
	opening atomic.Int32  // how far a new prompt is: see screen
	ended   chan struct{} // closed when readline's goroutine is about to end
}

// Stages of a new prompt. Until it has been drawn no key may reach readline: its
// two goroutines would touch the line at once.
const (
	settled = iota
	toPaint // Readline has been called
	toWrite // the line is composed; when it is written, keys may come
)

// minWidth is the narrowest screen readline is let loose on, in columns.
const minWidth = 20

// deleteKey stands for the Delete key on its way through readline, which knows
// it only as Ctrl-D: on an empty line it would leave.
const deleteKey = '\U0010FFFD'

func newEditor(t *terminal, tg target, historyFile string) (*editor, error) {
	e := &editor{t: t, tg: tg, history: openHistory(historyFile), ended: make(chan struct{})}
	e.width.Store(int32(max(t.width(), minWidth)))
	var err error
	e.rl, err = readline.NewEx(&readline.Config{
		Stdin:                  io.NopCloser(&editorInput{t: t}),
		Stdout:                 screen{e},
		Stderr:                 screen{e},
		HistoryLimit:           historyLimit,
		DisableAutoSaveHistory: true,
		AutoComplete:           e,
		Painter:                e,
		InterruptPrompt:        "^C",
		EOFPrompt:              "\n", // readline's way to say: nothing but a new line
		FuncFilterInputRune:    e.filter,
		FuncGetWidth:           func() int { return int(e.width.Load()) },
		FuncIsTerminal:         func() bool { return true },
		FuncMakeRaw:            func() error { return nil },
		FuncExitRaw:            func() error { return nil },
		FuncOnWidthChanged:     func(f func()) { e.resized = f },
	})
	if err != nil {
		return nil, err
	}
	// Searching a history without entries dereferences nil in readline.
	e.rl.SaveHistory("")
	for _, l := range e.history.lines {
		e.rl.SaveHistory(l)
	}
	return e, nil
}

// line lets a line be edited.
func (e *editor) line(prompt string) (string, error) {
	e.measure()
	e.rl.SetPrompt(prompt)
	e.opening.Store(toPaint)
	text, err := e.rl.Readline()
	ended := e.t.edit(false)
	switch {
	case errors.Is(err, readline.ErrInterrupt):
		return "", errClear
	case ended:
		// A line cut off by the end of the terminal is not a line that was entered.
		fmt.Fprintln(e.t.screen)
		return "", io.EOF
	case err != nil:
		return "", io.EOF
	}
	if e.history.add(text) {
		e.rl.SaveHistory(text)
	}
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

// log writes above the line being edited.
func (e *editor) log(p []byte) (int, error) { return e.rl.Stderr().Write(p) }

// measure asks for the width of the screen. It runs only where readline's own
// goroutine stands still or is the caller, so its fields need no lock.
func (e *editor) measure() {
	w := int32(max(e.t.width(), minWidth))
	if e.width.Swap(w) != w {
		e.resized()
	}
}

// filter sees every key before readline does. At the end of the input (0; no key
// gives that) its goroutine ends here: by itself it would submit what is half
// typed as if it had been entered, and draw on a terminal given back.
func (e *editor) filter(r rune) (rune, bool) {
	switch {
	case r == 0:
		e.rl.Operation.Close() // has Readline return io.EOF
		close(e.ended)
		runtime.Goexit()
	case r == ctrlC && e.rl.Operation.IsSearchMode(), // ends the search
		r == ctrlD && (e.length.Load() > 0 || !e.rl.Operation.IsNormalMode()): // deletes
		e.t.edit(true)
	case r == deleteKey && e.length.Load() == 0:
		r = readline.CharBell
	case r == deleteKey:
		r = readline.CharDelete
	}
	e.measure()
	return r, true
}

// Paint implements readline.Painter: the line stays as it is, its length is noted.
func (e *editor) Paint(line []rune, _ int) []rune {
	e.length.Store(int32(len(line)))
	e.opening.CompareAndSwap(toPaint, toWrite)
	return line
}

// screen is the terminal as readline writes to it.
type screen struct{ e *editor }

func (s screen) Write(p []byte) (int, error) {
	n, err := s.e.t.screen.Write(p)
	if s.e.opening.CompareAndSwap(toWrite, settled) {
		s.e.t.edit(true)
	}
	return n, err
}

// Do implements readline.AutoCompleter for the token under the cursor. One word,
// or what all have in common, is inserted; otherwise the words are listed above
// the line, as shells do.
func (e *editor) Do(line []rune, pos int) ([][]rune, int) {
	prefix := tokenBefore(line, pos)
	words := e.tg.complete(prefix)
	if len(words) == 0 {
		return nil, 0
	}
	n := len(prefix)
	common := commonPrefix(words)
	switch {
	case len(words) == 1:
		return [][]rune{[]rune(words[0][n:] + " ")}, len([]rune(prefix))
	case len(common) > n:
		return [][]rune{[]rune(common[n:])}, len([]rune(prefix))
	}
	fmt.Fprint(e.rl.Stdout(), columns(words, int(e.width.Load())))
	return nil, 0
}

// edit opens or closes the way from the keyboard to the editor; ended says that
// no more keys will come.
func (t *terminal) edit(on bool) (ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.editing = on
	t.cond.Broadcast()
	return t.eof && len(t.keys) == 0 || t.closed
}
