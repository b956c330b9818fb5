package console

import (
	"slices"
	"sync"
)

// hints gives the stack comment of the word before the cursor. The dictionary may be in
// another process; then the hint is shown when it has come.
type hints struct {
	show func(line []rune, pos int, hint string) // of a hint that took its time

	mu   sync.Mutex
	word string // looked for last
	text string // its hint, when it is known
	busy bool   // one is being asked for
	line []rune // that the hint is for
	pos  int
}

// begin forgets what was looked for: with the next line, words may mean something else.
func (h *hints) begin() {
	h.mu.Lock()
	h.word, h.text = "", ""
	h.mu.Unlock()
}

// at returns the hint for a line and its cursor, as far as it is known.
func (h *hints) at(tg target, line []rune, pos int) string {
	s := scanLine(string(line[:pos]))
	word := s.token
	if word == "" {
		word = s.before
	}
	if s.quoted || s.comment || pos < len(line) && s.token != "" && line[pos] != ' ' {
		word = ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.line, h.pos = slices.Clone(line), pos
	if word != h.word {
		h.word, h.text = word, ""
		h.ask(tg)
	}
	return h.text
}

// ask asks for the hint of h.word. h.mu is held.
func (h *hints) ask(tg target) {
	if h.word == "" || h.busy {
		return
	}
	word := h.word
	if tg.here() {
		h.text = tg.stackOf(word)
		return
	}
	h.busy = true
	go func() {
		text := tg.stackOf(word)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy = false
		if h.word != word {
			h.ask(tg)
			return
		}
		h.text = text
		if text != "" {
			h.show(h.line, h.pos, text)
		}
	}()
}
