// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"slices"
	"sync"
)

// hints gives the stack comment of the word before the cursor. The dictionary may be in another
// process; then the hint is shown when it has come.
type hints struct {
	show func(line []rune, pos int, hint string) // shows a hint that took its time

	mu   sync.Mutex
	word string // the word looked up last
	text string // its hint, if it is known
	busy bool   // a hint is being asked for
	line []rune // the line of the hint
	pos  int
}

// begin forgets the word that was looked up, since words may mean something else with the next
// line.
func (h *hints) begin() {
	h.mu.Lock()
	h.word, h.text = "", ""
	h.mu.Unlock()
}

// at returns the hint for a line and its cursor, if it is known.
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
		h.askLocked(tg)
	}
	return h.text
}

// askLocked asks for the hint of h.word. The caller holds h.mu.
func (h *hints) askLocked(tg target) {
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
			h.askLocked(tg)
			return
		}
		h.text = text
		if text != "" {
			h.show(h.line, h.pos, text)
		}
	}()
}
