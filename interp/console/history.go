// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// historyLimit is how many lines the history file is cut back to, and historyMax the size in
// bytes at which it is cut.
const (
	historyLimit = 1000
	historyMax   = 256 << 10
)

// HistoryFile returns the file that keeps the lines of prompts between runs:
// $XDG_STATE_HOME/ethertap/history, or ~/.ethertap_history, or "" if there is no home.
func HistoryFile() string {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "ethertap", "history")
	}
	if h, err := os.UserHomeDir(); err == nil && filepath.IsAbs(h) {
		return filepath.Join(h, ".ethertap_history")
	}
	return ""
}

// history has the lines entered before, in this run and in earlier ones. Its file is only
// appended to, so prompts that run at the same time keep each other's lines; when it is read, no
// line stays there twice. Errors of the file are ignored.
type history struct {
	lines []string // oldest first, all different
	f     *os.File // nil when there is no file
}

func openHistory(path string) *history {
	h := &history{}
	if path == "" {
		return h
	}
	os.MkdirAll(filepath.Dir(path), 0o700)
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return h // opening a pipe would wait for its other end
	}
	if fi, err := os.Lstat(path); err == nil && !own(fi) && !fi.Mode().IsRegular() {
		return h // root by sudo has the home of a user, whose link may lead anywhere
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return h
	}
	if fi, err := f.Stat(); err == nil && own(fi) {
		f.Chmod(0o600)
	}
	h.f = f
	old, err := io.ReadAll(io.LimitReader(f, 64*historyMax))
	if err != nil {
		return h
	}
	lines := slices.Collect(bytes.Lines(old))
	seen := make(map[string]bool)
	for _, l := range slices.Backward(lines) { // of equal lines the last one counts
		if s := clean(string(l)); s != "" && !seen[s] && len(h.lines) < historyLimit {
			seen[s] = true
			h.lines = append(h.lines, s)
		}
	}
	slices.Reverse(h.lines)
	if len(old) > historyMax {
		h.truncate(path)
	}
	return h
}

// own says whether a file belongs to the user of this process.
func own(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// truncate replaces the file by one with the lines that are kept.
func (h *history) truncate(path string) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // it has mode 0600
	if err != nil {
		return
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		f.Close()
		return
	}
	h.f.Close()
	h.f = f
}

// clean returns a line in the form that is kept and can be drawn.
func clean(line string) string {
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(line, "")))
}

// add makes a line that is not blank the last one, and removes it from elsewhere.
func (h *history) add(line string) {
	line = clean(line)
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	if i := slices.Index(h.lines, line); i >= 0 {
		h.lines = slices.Delete(h.lines, i, i+1)
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > historyLimit {
		h.lines = h.lines[1:]
	}
	if h.f != nil {
		h.f.WriteString(line + "\n") // one write, so that lines of two prompts do not mix
	}
}

func (h *history) close() {
	if h.f != nil {
		h.f.Close()
	}
}
