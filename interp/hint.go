// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"slices"
)

// Hint registers advice for the error output. say is called when the current line or source has
// ended without an error, since what is missing for a word to take effect may come later in it.
// say returns the advice, or "" if it is no longer needed.
func (s *Session) Hint(say func() string) { s.hints = append(s.hints, say) }

// sayHints prints the registered hints, each line once, unless err says that the line has failed.
func (s *Session) sayHints(err error) {
	hints := s.hints
	s.hints = nil
	if err != nil || len(hints) == 0 {
		return
	}
	s.out.flush()
	var said []string
	for _, say := range hints {
		if text := say(); text != "" && !slices.Contains(said, text) {
			said = append(said, text)
			fmt.Fprintf(s.err, "hint: %s\n", text)
		}
	}
}
