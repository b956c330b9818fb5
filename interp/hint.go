package interp

import (
	"fmt"
	"slices"
)

// Hint asks for a line of advice on the error output, once the line or source at work has
// ended well: what is still missing for a word to have its effect may come later in it. say
// is called then and returns the advice, or "" if there is none any more.
func (s *Session) Hint(say func() string) { s.hints = append(s.hints, say) }

// sayHints prints what is still to be said, each line once, unless err is how it ended.
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
