// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"slices"
	"strings"

	"ethertap/interp"
)

// completion is a list of texts that may follow on a line.
type completion struct {
	prefix string   // the part of it before the cursor
	words  []string // the words that it may become, sorted
	end    string   // the text after a word if it is the only one
}

// completions returns the completions of a line with this text before the cursor.
func completions(d *interp.Dict, before string) completion {
	c := scanLine(before)
	switch {
	case c.comment:
		return completion{}
	case c.quoted:
		return completion{c.token, d.Names(c.token), "\" "}
	case c.token == "" && c.before == "":
		return completion{"", d.Complete(""), " "}
	}
	words := completion{c.token, d.Complete(c.token), " "}
	if strings.Contains(c.token, "/") || c.before == "load" || c.before == "load-if-present" {
		words.words = append(words.words, d.Names(c.token)...)
		slices.Sort(words.words)
		words.words = slices.Compact(words.words)
	}
	return words
}

// stackOf returns the stack comment of a word, "" if it has none or is no word.
func stackOf(d *interp.Dict, word string) string {
	if w, ok := d.Word(word); ok {
		return w.Stack
	}
	_, comment, _ := d.Compound(word)
	return comment
}

// lineState describes the end of a line.
type lineState struct {
	token   string // the unfinished token, "" after a blank; the text of an open string
	before  string // the token before it
	quoted  bool   // the end is in a string
	comment bool   // or in a comment
}

// scanLine returns the state at the end of a line.
func scanLine(line string) (s lineState) {
	for {
		s.before = s.token
		s.token = ""
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return s
		}
		token, rest, blank := cutBlank(line)
		switch {
		case token[0] == '#', token == "\\":
			return lineState{comment: true}
		case token == "(":
			_, after, closed := strings.Cut(rest, " )")
			if !closed {
				return lineState{comment: blank}
			}
			line = after
			s.token = s.before
			continue
		case token[0] == '"':
			text, after, closed := cutQuote(line[1:])
			if !closed {
				return lineState{token: text, before: s.before, quoted: true}
			}
			line, s.token = after, ""
			continue
		case strings.HasSuffix(token, "\""): // such as ." take text up to the next quote
			text, after, closed := strings.Cut(rest, "\"")
			if blank && !closed {
				return lineState{token: text, before: s.before, quoted: true}
			}
			line, s.token = after, ""
			continue
		}
		s.token = token
		if !blank {
			return s
		}
		line = rest
	}
}

// cutBlank cuts a line at its first blank.
func cutBlank(line string) (token, rest string, blank bool) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}

// cutQuote cuts a line at the quote that ends a string.
func cutQuote(line string) (text, rest string, closed bool) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return line[:i], line[i+1:], true
		}
	}
	return line, "", false
}

// commonPrefix returns the longest prefix of all words.
func commonPrefix(words []string) string {
	p := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, p) {
			p = p[:len(p)-1]
		}
	}
	return strings.ToValidUTF8(p, "")
}

// inColumns arranges words in columns, read downwards, no wider than width.
func inColumns(words []string, width int) string {
	widest := 0
	for _, w := range words {
		widest = max(widest, textWidth(w))
	}
	cell := widest + 2
	across := max(1, (width-1)/cell)
	rows := (len(words) + across - 1) / across
	var b strings.Builder
	for r := range rows {
		for i := r; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", cell-textWidth(words[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
