// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"strings"
	"testing"

	"ethertap/interp"
)

// A byte order mark at the beginning of a source is ignored, whatever kind of source it is;
// anywhere else it is refused like other invisible characters.
func TestByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	s, _ := session(t)
	if err := s.Run("f", strings.NewReader(mark+"# comment\n1\n")); err != nil {
		t.Error(err)
	}
	if err := s.Interpret(mark + "2"); err != nil {
		t.Error(err)
	}
	if err := s.RunLine(mark+"3", 1); err != nil {
		t.Error(err)
	}
	if got := stack(s); got != "1 2 3" {
		t.Errorf("leaves %s", got)
	}
	err := s.Run("f", strings.NewReader("1\n"+mark+"2\n"))
	if err == nil || err.Error() != `f:2:1: U+FEFF is a character that cannot be seen; remove it, or put the text in "quotes"` {
		t.Error(err)
	}
}

// A character that looks like one of the language is refused, with its place.
func TestLookalikes(t *testing.T) {
	for _, c := range []string{"\u00a0", "\u2003", "\u3000", "\u2028", "\u2019", "\u201c", "\u00ab", "\u2212", "\u2013", "\u200b", "\u00ad", "\u202e", "\uff0b"} {
		for line, want := range map[string]string{
			"1 ab" + c + "2 +":     "f:3:5: U+",
			"x " + c:               "f:3:3: U+",
			`"` + c + `" drop`:     "",
			"( " + c + " ) # " + c: "",
			": w " + c + " ;":      "f:3:5: U+",
			": " + c + " ;":        "f:3:3: U+",
		} {
			s, _ := session(t)
			err := s.Run("f", strings.NewReader("# one\n\n"+line+"\n"))
			if got := message(err); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
				t.Errorf("%q: %q, not %q", line, got, want)
			}
		}
	}
	s, _ := session(t)
	if err := s.Interpret("1 zwölf\u00a0+"); message(err) != `column 9: U+00A0 is a blank that does not separate words; type a plain one, or put the text in "quotes"` {
		t.Error(err)
	}
	for _, fine := range []string{"Zürich", "ΑΒΓ", "中文", "naïve", "→", "°", "…", "½"} {
		s, _ := session(t)
		if err := s.Interpret(fine); err != nil || stack(s) != interp.Quote(fine) {
			t.Errorf("%s: %v", fine, err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
