// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"os"
)

// These are the styles of text on a terminal that has them: see https://no-color.org for
// NO_COLOR.
const (
	dimStyle     = "\x1b[2m"
	errorStyle   = "\x1b[1;31m"
	warningStyle = "\x1b[1;35m"
	hintStyle    = "\x1b[1;36m"
	noStyle      = "\x1b[m"
)

// styled says whether a file is a terminal that shows styles.
func styled(f *os.File) bool {
	return isTerminal(f) && !dumb() && os.Getenv("NO_COLOR") == ""
}

// errorWriter writes errors, warnings and hints to a terminal, with their first word in colour.
// Each write is of whole lines.
type errorWriter struct{ w io.Writer }

func (e errorWriter) Write(p []byte) (int, error) {
	var b []byte
	for line := range bytes.Lines(p) {
		for _, s := range []struct{ word, style string }{{"error:", errorStyle}, {"warning:", warningStyle}, {"hint:", hintStyle}} {
			if rest, ok := bytes.CutPrefix(line, []byte(s.word)); ok {
				b = append(b, s.style+s.word+noStyle...)
				line = rest
				break
			}
		}
		b = append(b, line...)
	}
	if _, err := e.w.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Errors returns the writer for errors of a session on this console: its standard error, in
// colour if that is a terminal with colours.
func (c *Console) Errors() io.Writer {
	if f, ok := c.stderr.(*os.File); ok && styled(f) {
		return errorWriter{f}
	}
	return c.stderr
}

// note shows a dim line on the terminal.
func (t *terminal) note(text string) {
	b := append(style(nil, t.styled), text...)
	b = append(unstyle(b, t.styled), '\n')
	if !t.above(b) && t.screen != nil {
		t.screen.Write(b)
	}
}
