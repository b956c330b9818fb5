// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Unknown is a bare token that was neither word nor literal, was pushed as a string, and is still
// on the stack: more often than not a misspelt word.
type Unknown struct {
	Token  string
	Source string // file; "" at the prompt
	Line   int    // from 1; 0 at the prompt, and if the place is not known
	Col    int    // from 1, in bytes; 0 if the place is not known
	Near   string // the word that was most likely meant, "" if none is near
	Fresh  bool   // pushed since the line or the source began

	ref *object
}

// unknowns is what a session remembers of unknown tokens. A value is recognized by the object
// that it lies in, so neither values nor the VM need anything more. Code pushes the name of an
// entry, which is unknown as long as the entry has no meaning; only its place is remembered.
type unknowns struct {
	pushed   map[*object]Unknown // by tokens that ran at once; some may have left the stack
	enough   int                 // the number of pushed tokens at which those that left the stack are forgotten
	compiled map[*Entry]position // the first place of each token in the running source
	before   marks               // on the stack when the line or the source began
	told     marks               // those with a warning already
}

// marks are the objects of unknown tokens.
type marks map[*object]bool

// maxUnknowns bounds the places that are kept of tokens in code, and the number of pushed tokens
// before the stack is searched for those that left it.
const maxUnknowns = 256

// pushUnknown pushes a token as a string and remembers it.
func (s *Session) pushUnknown(tok token) error {
	v := NewString(strings.Clone(tok.text))
	if err := s.Push(v); err != nil {
		return err
	}
	u := &s.unknowns
	if len(u.pushed) >= max(u.enough, maxUnknowns) {
		_, on := s.unknownObjects()
		maps.DeleteFunc(u.pushed, func(o *object, _ Unknown) bool { return !on[o] })
		u.enough = 2 * len(u.pushed)
	}
	if u.pushed == nil {
		u.pushed = make(map[*object]Unknown)
	}
	u.pushed[v.ref] = Unknown{Token: v.ref.bytes, Source: s.source, Line: s.line, Col: tok.col, ref: v.ref}
	return nil
}

// compiledUnknown remembers the place in a source of a token that has no meaning yet.
func (s *Session) compiledUnknown(e *Entry) {
	u := &s.unknowns
	if _, ok := u.compiled[e]; s.source == "" || ok || len(u.compiled) >= maxUnknowns {
		return
	}
	if u.compiled == nil {
		u.compiled = make(map[*Entry]position)
	}
	u.compiled[e] = position{int32(s.line), s.comp.at.col}
}

// unknownObjects returns the marks of the unknown tokens on the stack, each once, the deepest
// first, and as a set.
func (s *Session) unknownObjects() (list []*object, set marks) {
	for _, v := range s.stack[:s.sp] {
		if v.Kind() != KindString || set[v.ref] {
			continue
		}
		if _, ok := s.unknown(v.ref); ok {
			if set == nil {
				set = make(marks)
			}
			list = append(list, v.ref)
			set[v.ref] = true
		}
	}
	return list, set
}

// unknown returns what is known of a string on the stack if it was an unknown token.
func (s *Session) unknown(o *object) (u Unknown, ok bool) {
	if u, ok := s.unknowns.pushed[o]; ok {
		return u, true
	}
	e := o.entry.Load()
	if e == nil || e.self().ref != o || e.def.Load() != nil {
		return Unknown{}, false
	}
	u = Unknown{Token: e.name, ref: o}
	if at, ok := s.unknowns.compiled[e]; ok {
		u.Source, u.Line, u.Col = s.source, int(at.line), int(at.col)
	}
	return u, true
}

// maxNear bounds the tokens for which Unknown looks for a near word: that takes a comparison with
// every word, after each line of a prompt.
const maxNear = 16

// Unknown returns the unknown tokens on the stack without a warning so far, the deepest first.
func (s *Session) Unknown() []Unknown {
	var all []Unknown
	list, _ := s.unknownObjects()
	near := 0
	for _, o := range list {
		if s.unknowns.told[o] {
			continue
		}
		u, _ := s.unknown(o)
		u.Fresh = !s.unknowns.before[o]
		if near < maxNear && (u.Fresh || near < maxNear/2) {
			u.Near = s.dict.Nearest(u.Token)
			near++
		}
		all = append(all, u)
	}
	return all
}

// WarnUnknown prints a warning for each unknown token that is left on the stack, since whoever
// ran the lines sees no prompt with a note. err is the error that ended the lines, which may say
// enough. No token gets two warnings.
func (s *Session) WarnUnknown(err error) { s.warn(s.Unknown(), err) }

// Unsaid returns the tokens that err does not name, or for which there is a word to suggest. err
// may be nil.
func Unsaid(all []Unknown, err error) []Unknown {
	return slices.DeleteFunc(all, func(u Unknown) bool {
		return err != nil && u.Near == "" && strings.Contains(err.Error(), abbreviate(Quote(u.Token)))
	})
}

// beginUnknowns marks the beginning of a source; end warns of the unknown tokens that it leaves
// on the stack.
func (s *Session) beginUnknowns() (end func(error)) {
	outer := s.unknowns
	_, before := s.unknownObjects()
	s.unknowns.before, s.unknowns.compiled = before, nil
	return func(err error) {
		s.warn(slices.DeleteFunc(s.Unknown(), func(u Unknown) bool { return !u.Fresh }), err)
		s.unknowns.before, s.unknowns.compiled = outer.before, outer.compiled
	}
}

// unknownsShown is how many tokens get a warning each.
const unknownsShown = 8

func (s *Session) warn(left []Unknown, err error) {
	s.out.flush()
	if s.unknowns.told == nil && len(left) > 0 {
		s.unknowns.told = make(marks)
	}
	for _, u := range left {
		s.unknowns.told[u.ref] = true
	}
	left = Unsaid(left, err)
	for i, u := range left {
		switch {
		case i < unknownsShown:
			fmt.Fprintf(s.err, "warning: %s\n", u.Warning())
		case i == len(left)-1:
			fmt.Fprintf(s.err, "warning: %d more strings are left that were no words\n", len(left)-unknownsShown)
		}
	}
	if len(s.unknowns.told) > 0 { // those that left the stack may be forgotten
		_, on := s.unknownObjects()
		maps.DeleteFunc(s.unknowns.told, func(o *object, _ bool) bool { return !on[o] })
	}
}

// Warning returns the line that WarnUnknown prints for a token.
func (u Unknown) Warning() string {
	place := ""
	if u.Col > 0 && u.Source != "" {
		place = fmt.Sprintf("%s:%d:%d: ", Printable(u.Source), u.Line, u.Col)
	}
	text := place + Printable(abbreviate(u.Token)) + ": no such word; left on the stack as a string"
	if u.Near != "" {
		text += "; did you mean " + u.Near + "?"
	}
	return text
}

// Note returns the text that a prompt shows for the tokens that a line pushed; "" if there are
// none.
func Note(all []Unknown) string {
	var names []string
	near := ""
	for _, u := range all {
		if !u.Fresh {
			continue
		}
		if near == "" {
			near = u.Near
		}
		names = append(names, Printable(abbreviate(u.Token)))
	}
	const shown = 3
	text := "pushed as a string"
	switch n := len(names); {
	case n == 0:
		return ""
	case n > 1:
		text = "pushed as strings"
	}
	if n := len(names); n > shown {
		names = append(names[:shown], fmt.Sprintf("%d more", n-shown))
	}
	text = strings.Join(names, ", ") + ": " + text
	if near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}
