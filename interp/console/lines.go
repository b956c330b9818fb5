// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"ethertap/interp"
)

// plainReader reads lines of a terminal that the kernel edits: TERM=dumb, or a screen too narrow
// for the editor.
type plainReader struct{ t *terminal }

func (r *plainReader) line(prompt, _ string) (string, error) {
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
		if i := bytes.IndexAny(t.keys.b, "\n\x03"); i >= 0 {
			text, end := string(t.keys.b[:i]), t.keys.b[i]
			t.keys.take(i + 1)
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

// pipeReader reads lines that do not come from a terminal, with a plain prompt (-i). Words that
// read lines take them from the same reader.
type pipeReader struct {
	in  *bufio.Reader
	out io.Writer
}

func (r *pipeReader) line(prompt, _ string) (string, error) {
	fmt.Fprint(r.out, prompt)
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > interp.MaxLine+1:
			return "", fmt.Errorf("standard input: line longer than %d bytes", interp.MaxLine)
		case err == nil || err == io.EOF && len(line) > 0:
			return string(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))), nil
		case err == bufio.ErrBufferFull:
			continue
		}
		fmt.Fprintln(r.out)
		if err == io.EOF {
			return "", io.EOF
		}
		return "", fmt.Errorf("standard input: %w", err)
	}
}

// closedReader replaces a terminal that was closed before its first prompt.
type closedReader struct{}

func (closedReader) line(string, string) (string, error) { return "", io.EOF }
