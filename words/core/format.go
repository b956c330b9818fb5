// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

// place is a place of a format: the text before it, and how its value is formatted.
type place struct {
	before string
	spec   string // flags and width for fmt, without the verb: %-08
	verb   byte
}

// widest bounds width and precision of a place, in characters.
const widest = 1024

func strFormat(s *interp.Session) error {
	format, err := s.PopString()
	if err != nil {
		return err
	}
	places, rest, err := parseFormat(format)
	if err != nil {
		return err
	}
	if s.Depth() < len(places) {
		return fmt.Errorf("the format has %d places: %w", len(places), interp.ErrUnderflow)
	}
	var b strings.Builder
	for i, p := range places {
		b.WriteString(p.before)
		if err := p.put(&b, s.Peek(len(places)-1-i)); err != nil {
			return err
		}
		if b.Len() > interp.MaxValue {
			return errTooLong
		}
	}
	b.WriteString(rest)
	for range places {
		if _, err := s.Pop(); err != nil {
			return err
		}
	}
	return s.Push(interp.NewString(b.String()))
}

// parseFormat splits a format into its places; rest is the text after the last place.
func parseFormat(format string) (places []place, rest string, err error) {
	var text strings.Builder
	for {
		before, after, found := strings.Cut(format, "%")
		text.WriteString(before)
		if !found {
			return places, text.String(), nil
		}
		if format, found = strings.CutPrefix(after, "%"); found {
			text.WriteByte('%')
			continue
		}
		p := place{before: text.String()}
		text.Reset()
		if p.spec, format, err = parseSpec(after); err != nil {
			return nil, "", err
		}
		if format == "" || !strings.Contains("duxXobscq", format[:1]) {
			return nil, "", fmt.Errorf("%s: a place of a format is %%, width and one of d u x X o b s c q", interp.Quote("%"+after))
		}
		p.verb, format = format[0], format[1:]
		places = append(places, p)
	}
}

// parseSpec reads flags, width and precision.
func parseSpec(s string) (spec, rest string, err error) {
	i := 0
	for i < len(s) && strings.IndexByte("-+0 #", s[i]) >= 0 {
		i++
	}
	n, dots := 0, 0
	for ; i < len(s) && (s[i] == '.' && dots == 0 || s[i] >= '0' && s[i] <= '9'); i++ {
		if s[i] == '.' {
			n, dots = 0, 1
			continue
		}
		if n = 10*n + int(s[i]-'0'); n > widest {
			return "", "", fmt.Errorf("%s: a place is at most %d characters wide", interp.Quote("%"+s[:i+1]), widest)
		}
	}
	return "%" + s[:i], s[i:], nil
}

// put formats one value.
func (p place) put(b *strings.Builder, v interp.Value) error {
	if p.verb == 's' || p.verb == 'q' {
		text, err := v.Str()
		if err != nil {
			return err
		}
		if p.verb == 'q' {
			text = v.Source()
		}
		fmt.Fprintf(b, p.spec+"s", text)
		return nil
	}
	n, err := v.Int()
	if err != nil {
		return err
	}
	switch p.verb {
	case 'd':
		fmt.Fprintf(b, p.spec+"d", n)
	case 'u':
		fmt.Fprintf(b, p.spec+"d", uint64(n))
	case 'c':
		if err := checkRune(n); err != nil {
			return err
		}
		fmt.Fprintf(b, p.spec+"c", rune(n))
	default: // print the bits, as Forth does; a sign would hide them
		fmt.Fprintf(b, p.spec+string(p.verb), uint64(n))
	}
	return nil
}

// checkRune returns an error if a number is not that of a character.
func checkRune(n int64) error {
	if n < 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return fmt.Errorf("no character has the number %d", n)
	}
	return nil
}
