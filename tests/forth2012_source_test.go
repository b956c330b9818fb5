// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// This file reads the source of the Forth-2012 test suite as Forth reads it, and writes it for
// RPCL: in small letters, which is how RPCL spells words, and with the base in each number, since
// RPCL has no base to set. A line, definition or test is a unit, which runs as a whole or not at
// all.

// forthUnit is a piece of the suite.
type forthUnit struct {
	place  string          // file and line
	source string          // for RPCL
	words  map[string]bool // that it uses, those that the definitions used by it use too
	makes  []string        // names that it defines
}

// forthReader reads a file of the suite.
type forthReader struct {
	file    string
	lines   []string
	line    int // at work, from 0
	rest    string
	blank   bool // before the word that was taken last
	braces  bool // tests are written { -> }
	base    int
	defined map[string]map[string]bool // what definitions of the suite use
	renamed *strings.Replacer
}

// textWords take text up to a character, nameWords the next word as a name that they
// define, charWords the next word as a character.
var (
	textWords = map[string]byte{`s"`: '"', `."`: '"', `c"`: '"', `abort"`: '"', `s\"`: '"', ".(": ')', "(": ')'}
	nameWords = map[string]bool{":": true, "variable": true, "constant": true, "value": true, "create": true, "defer": true, "buffer:": true,
		"marker": true, "2constant": true, "2variable": true, "equ": true, "my-defer": true}
	charWords = map[string]bool{"char": true, "[char]": true}
)

// readForth returns the units of a file. braces says that its tests are written { -> }.
func readForth(file, text string, braces bool, defined map[string]map[string]bool) (units []forthUnit) {
	r := &forthReader{file: file, lines: strings.Split(strings.ReplaceAll(text, "\r", ""), "\n"), braces: braces, base: 10, defined: defined,
		// names in RPCL have neither quotes nor backslashes, and do not begin a comment
		renamed: strings.NewReplacer(`"`, "''", `\`, "//")}
	for r.line = 0; r.line < len(r.lines); r.line++ {
		for r.rest = r.lines[r.line]; strings.TrimSpace(r.rest) != ""; {
			if u := r.unit(); len(u.words) > 0 || strings.TrimSpace(u.source) != "" {
				units = append(units, u)
			}
		}
	}
	return units
}

// unit reads up to the end of the line, of a definition that begins on it, or of a test.
func (r *forthReader) unit() forthUnit {
	u := forthUnit{place: fmt.Sprintf("%s:%d", r.file, r.line+1), words: make(map[string]bool)}
	var b strings.Builder
	var locals map[string]bool
	colon, test, list := false, false, false
	own := make(map[string]bool) // words of the definition that is open
	name := ""
	use := func(word string) {
		for w := range r.defined[word] {
			u.words[w], own[w] = true, true
		}
		u.words[word], own[word] = true, true
	}
	write := func(word string) {
		if r.blank {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	for {
		word, raw := r.raw()
		blank := r.blank
		switch {
		case word == "":
			if !colon && !test || r.line+1 == len(r.lines) || test && !colon && r.testBegins(r.line+1) {
				u.source = b.String()
				if m := setsBase.FindStringSubmatch(strings.ToLower(u.source)); m != nil {
					r.base, _ = strconv.Atoi(m[1])
				}
				return u
			}
			b.WriteByte('\n')
			r.line++
			r.rest = r.lines[r.line]
			continue
		case word == `\`:
			write(`\` + r.rest)
			r.rest = ""
			continue
		case word == `\?`, word == "testing", strings.HasPrefix(word, "[?"):
			r.rest = ""
			continue
		case word == "iffloored": // RPCL divides so
			continue
		case word == "ifsym":
			r.rest = ""
			continue
		case word == "hex":
			r.base = 16
			continue
		case word == "decimal":
			r.base = 10
			continue
		case textWords[word] != 0:
			use(word)
			text := r.text(word, textWords[word])
			if word == `s"` { // source, perhaps, for evaluate
				for w := range strings.FieldsSeq(strings.TrimSuffix(text, `"`)) {
					if known := strings.ToLower(w); w != known && (standard[known] != "" || r.defined[known] != nil) {
						use(known)
						text = strings.ToLower(text)
					}
				}
			}
			write(word + text)
			continue
		case word == "postpone":
			use(word)
			name, _ := r.raw()
			use(name)
			b.WriteString(" " + word + " " + name)
			continue
		case charWords[word]:
			use(word)
			_, char := r.raw()
			b.WriteString(" " + word + " " + char)
			continue
		case word == "{:":
			list, locals = true, make(map[string]bool)
			use(word)
		case word == ":}":
			list = false
		case list:
			locals[word] = true
		case locals[word]:
		case word == ";":
			if name != "" {
				r.defined[name] = own
			}
			colon, locals = false, nil
			use(word)
		case word == ":noname":
			colon, name = true, ""
			use(word)
		case word == "t{":
			test = true
		case word == "}t" && !colon:
			test = false
			u.source = b.String() + " }t"
			return u
		case nameWords[word] && !colon:
			use(word)
			made, _ := r.raw()
			made = r.rename(made)
			r.blank = blank
			write(word + " " + made)
			u.makes = append(u.makes, made)
			own = map[string]bool{word: true}
			if word == ":" {
				colon, name = true, made
			} else {
				r.defined[made] = own
			}
			continue
		case word == "immediate":
			use(word)
			for _, n := range append(u.makes, name) {
				if r.defined[n] != nil {
					r.defined[n][word] = true
				}
			}
		default:
			if n, ok := r.number(word, raw); ok {
				if strings.HasPrefix(word, "#") {
					use("#")
				}
				write(n)
				continue
			}
			use(r.rename(word))
		}
		write(r.rename(word))
	}
}

// setsBase is how the suite sets the base besides hex and decimal.
var setsBase = regexp.MustCompile(`(\d+) base !\s*$`)

// testBegins tells whether a test begins on a line before one ends: that at work has no
// end of its own.
func (r *forthReader) testBegins(line int) bool {
	l := strings.ToLower(r.lines[line])
	begin, end := strings.Index(l, "t{"), strings.Index(l, "}t")
	return begin >= 0 && (end < 0 || begin < end)
}

// raw takes the next word of the line, in small letters and as it stands.
func (r *forthReader) raw() (word, raw string) {
	s := strings.TrimLeft(r.rest, " \t")
	r.blank = len(s) < len(r.rest)
	n := strings.IndexAny(s, " \t")
	if n < 0 {
		n = len(s)
	}
	r.rest = s[n:]
	word, raw = strings.ToLower(s[:n]), s[:n]
	if r.braces && (word == "{" || word == "}") {
		word = map[string]string{"{": "t{", "}": "}t"}[word]
	}
	return word, raw
}

// text takes what a word takes up to a character, which may stand lines later.
func (r *forthReader) text(word string, end byte) string {
	var b strings.Builder
	for {
		for i := 0; i < len(r.rest); i++ {
			if r.rest[i] == '\\' && word == `s\"` {
				i++
				continue
			}
			if r.rest[i] == end {
				b.WriteString(r.rest[:i+1])
				r.rest = r.rest[i+1:]
				return b.String()
			}
		}
		b.WriteString(r.rest + "\n")
		if r.line+1 == len(r.lines) || word != "(" {
			r.rest = ""
			return b.String()
		}
		r.line++
		r.rest = r.lines[r.line]
	}
}

// rename returns the name that a word of the suite has in RPCL.
func (r *forthReader) rename(word string) string {
	if _, ok := standard[word]; ok {
		return word
	}
	if word = r.renamed.Replace(word); strings.HasPrefix(word, "#") {
		word = "nr" + word
	}
	return word
}

var prefixed = regexp.MustCompile(`^([$%#]-?[0-9a-f]+|'.')$`)

// number reads a word as a number in the base that is set, and writes it for RPCL.
func (r *forthReader) number(word, raw string) (string, bool) {
	if r.defined[word] != nil || standard[word] != "" {
		return "", false
	}
	if prefixed.MatchString(word) {
		return raw, true
	}
	n, err := strconv.ParseInt(word, r.base, 64)
	return strconv.FormatInt(n, 10), err == nil
}
