// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// byteOrderMark may stand at the beginning of a source, and is skipped there.
const byteOrderMark = "\ufeff"

// lookalikes are characters with which documents and chat programs replace those of the language.
// A token with one of them is refused, since it would be another string than it seems to be, or
// look like a word. In strings with quotes and in comments they are allowed.
var lookalikes = []struct {
	lo, hi  rune
	is      string
	instead string // the character to use; "" is none, "*" the narrow form of this one
}{
	{0x85, 0x85, blankOfText, "a plain one"}, {0xa0, 0xa0, blankOfText, "a plain one"}, {0x1680, 0x1680, blankOfText, "a plain one"},
	{0x2000, 0x200a, blankOfText, "a plain one"}, {0x2028, 0x2029, blankOfText, "a plain one"},
	{0x202f, 0x202f, blankOfText, "a plain one"}, {0x205f, 0x205f, blankOfText, "a plain one"}, {0x3000, 0x3000, blankOfText, "a plain one"},

	{0xab, 0xab, quoteOfText, `"`}, {0xb4, 0xb4, quoteOfText, `'`}, {0xbb, 0xbb, quoteOfText, `"`},
	{0x2018, 0x201b, quoteOfText, `'`}, {0x201c, 0x201f, quoteOfText, `"`}, {0x2032, 0x2032, quoteOfText, `'`}, {0x2033, 0x2033, quoteOfText, `"`},
	{0x2039, 0x203a, quoteOfText, `'`}, {0x301d, 0x301f, quoteOfText, `"`},

	{0x2010, 0x2015, dashOfText, "-"}, {0x2212, 0x2212, "a minus sign that numbers do not have", "-"}, {0xfe58, 0xfe58, dashOfText, "-"}, {0xfe63, 0xfe63, dashOfText, "-"},

	{0xad, 0xad, unseen, ""}, {0x180e, 0x180e, unseen, ""}, {0x200b, 0x200f, unseen, ""}, {0x202a, 0x202e, unseen, ""},
	{0x2060, 0x206f, unseen, ""}, {0xfeff, 0xfeff, unseen, ""},

	{0xff01, 0xff5e, "the wide form of a character", "*"},
}

const (
	blankOfText = "a blank that does not separate words"
	quoteOfText = "a quotation mark of typeset text"
	dashOfText  = "a dash of typeset text"
	unseen      = "a character that cannot be seen"
)

// lookalike is the error of a token that contains one of lookalikes.
type lookalike struct {
	text   string
	column int  // in bytes, from 1
	shown  bool // it is shown with the error, since there is no name of a source
}

func (e *lookalike) Error() string {
	if e.shown {
		return fmt.Sprintf("column %d: %s", e.column, e.text)
	}
	return e.text
}

// findLookalike returns the error of a token that contains one of lookalikes, or nil.
func findLookalike(tok token) error {
	for i, r := range tok.text {
		if r < utf8.RuneSelf {
			continue
		}
		for _, l := range lookalikes {
			if r < l.lo || r > l.hi {
				continue
			}
			advice := "type " + l.instead
			switch l.instead {
			case "":
				advice = "remove it"
			case "*":
				advice = "type " + string(r-0xff01+'!')
			}
			return &lookalike{column: tok.col + i, text: fmt.Sprintf(`U+%04X is %s; %s, or put the text in "quotes"`, r, l.is, advice)}
		}
	}
	return nil
}

// skipMark removes a byte order mark from the first line of a source.
func (s *Session) skipMark(line string) string {
	if s.line > 1 {
		return line
	}
	return strings.TrimPrefix(line, byteOrderMark)
}
