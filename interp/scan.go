// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// token is a token of source text.
type token struct {
	text   string
	col    int  // column of its first byte, from 1, in bytes
	quoted bool // a string literal; text is its value
}

// scanner splits one line into tokens at white space.
type scanner struct {
	line string
	pos  int
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// blanks moves to the next character that is not blank; it returns false if the line has no more.
func (sc *scanner) blanks() bool {
	for sc.pos < len(sc.line) && isBlank(sc.line[sc.pos]) {
		sc.pos++
	}
	return sc.pos < len(sc.line)
}

// comment says whether a comment to the end of the line begins here: # or \ alone.
func (sc *scanner) comment() bool {
	switch sc.line[sc.pos] {
	case '#':
		return true
	case '\\':
		return sc.pos+1 == len(sc.line) || isBlank(sc.line[sc.pos+1])
	}
	return false
}

// next returns the next token. ok is false at the end of the line or at a comment. After an error
// the scanner is at the end of the line.
func (sc *scanner) next() (tok token, ok bool, err error) {
	if !sc.blanks() || sc.comment() {
		sc.pos = len(sc.line)
		return token{}, false, nil
	}
	if sc.line[sc.pos] == '"' {
		tok.col, tok.quoted = sc.pos+1, true
		tok.text, err = sc.quoted()
		if err != nil {
			sc.pos = len(sc.line)
		}
		return tok, true, err
	}
	return sc.bare()
}

// run skips and returns the characters up to the next blank, whatever they are; "" at the end of
// the line.
func (sc *scanner) run() string {
	sc.blanks()
	start := sc.pos
	for sc.pos < len(sc.line) && !isBlank(sc.line[sc.pos]) {
		sc.pos++
	}
	return sc.line[start:sc.pos]
}

// bare returns the characters up to the next blank as a token.
func (sc *scanner) bare() (tok token, ok bool, err error) {
	if tok.text = sc.run(); tok.text == "" {
		return token{}, false, nil
	}
	tok.col = sc.pos - len(tok.text) + 1
	switch {
	case len(tok.text) > MaxValue:
		err = errTooLong
	case !utf8.ValidString(tok.text):
		err = errors.New("not UTF-8 text; write other bytes in a string as \\xHH")
	default:
		err = findLookalike(tok)
	}
	if err != nil {
		sc.pos = len(sc.line)
	}
	return tok, true, err
}

// quoted reads a string literal; the position is that of its opening quote.
func (sc *scanner) quoted() (string, error) {
	sc.pos++
	rest := sc.line[sc.pos:]
	end := strings.IndexAny(rest, `"\`)
	if end >= 0 && rest[end] == '"' { // no escapes
		sc.pos += end + 1
		return rest[:end], sc.closed(rest[:end])
	}
	var b strings.Builder
	for sc.pos < len(sc.line) {
		c := sc.line[sc.pos]
		sc.pos++
		switch c {
		case '"':
			return b.String(), sc.closed(b.String())
		case '\\':
			if err := sc.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New(`unterminated string; close it with " on the same line`)
}

// escape reads the rest of an escape sequence, after its backslash.
func (sc *scanner) escape(b *strings.Builder) error {
	if sc.pos == len(sc.line) {
		return errors.New(`unterminated string; close it with " on the same line`)
	}
	c := sc.line[sc.pos]
	sc.pos++
	switch c {
	case '"', '\\':
		b.WriteByte(c)
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'x':
		if sc.pos+2 <= len(sc.line) {
			hi, lo := hexValue(sc.line[sc.pos]), hexValue(sc.line[sc.pos+1])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				sc.pos += 2
				return nil
			}
		}
		return errors.New(`\x needs two hexadecimal digits`)
	default:
		return errors.New(`unknown escape; there are \" \\ \n \t \r \xHH`)
	}
	return nil
}

// closed checks a string literal whose closing quote has just been read.
func (sc *scanner) closed(s string) error {
	switch {
	case sc.pos < len(sc.line) && !isBlank(sc.line[sc.pos]):
		return errors.New("blank missing after the closing quote")
	case len(s) > MaxValue:
		return errTooLong
	case !utf8.ValidString(s):
		return errors.New("string is not UTF-8; build other bytes as data")
	}
	return nil
}

// skipComment skips to the end of a comment, after its ); it returns false if that is not on this
// line. The ) stands alone, or ends a token that has no bracket of its own: `( n - n)` is closed,
// and `( see f(x) )` is closed only by its second ).
func (sc *scanner) skipComment() bool {
	for {
		switch text := sc.run(); {
		case text == "":
			return false
		case strings.HasSuffix(text, ")") && !strings.Contains(text, "("):
			return true
		}
	}
}
