package console

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"ethertap/interp"
)

// plainReader reads lines of a terminal that the kernel edits: TERM=dumb, or a
// screen too narrow for more.
type plainReader struct{ t *terminal }

func (r *plainReader) line(prompt string) (string, error) {
	t := r.t
	out := t.stderr
	if t.screen != nil {
		out = t.screen
	}
	fmt.Fprint(out, prompt)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.editing = true
	defer func() { t.editing = false }()
	for {
		if t.closed {
			fmt.Fprintln(out)
			return "", io.EOF
		}
		if i := bytes.IndexAny(t.keys, "\n\x03"); i >= 0 {
			text, end := string(t.keys[:i]), t.keys[i]
			t.keys = t.keys[:copy(t.keys, t.keys[i+1:])]
			if end == ctrlC {
				fmt.Fprintln(out)
				return "", errClear
			}
			return text, nil
		}
		if t.eof {
			fmt.Fprintln(out)
			return "", io.EOF
		}
		t.cond.Wait()
	}
}

// pipeReader reads lines that are no terminal's, with a plain prompt (-i).
type pipeReader struct {
	s   *bufio.Scanner
	out io.Writer
}

func newPipeReader(in io.Reader, out io.Writer) *pipeReader {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), interp.MaxLine)
	return &pipeReader{s, out}
}

func (r *pipeReader) line(prompt string) (string, error) {
	fmt.Fprint(r.out, prompt)
	if r.s.Scan() {
		return r.s.Text(), nil
	}
	fmt.Fprintln(r.out)
	if err := r.s.Err(); err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return "", io.EOF
}

// closedReader stands for a terminal that was closed before its first prompt.
type closedReader struct{}

func (closedReader) line(string) (string, error) { return "", io.EOF }
