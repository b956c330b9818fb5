// SPDX-License-Identifier: BSD-3-Clause

package interp

import "errors"

// conditionWords select the source that is read, within a line and over lines. The rest is
// skipped token by token, so that comments and texts in it are recognized. Of the words in it,
// only those that take something from the source matter.
func conditionWords() []Word {
	return []Word{
		{Name: "[if]", Stack: "( flag - )", Help: "skips the source up to [else] or [then], even over several lines, if the flag is 0", compile: compileCondition,
			Example: "1 [if] : greet ( - ) \"hello\" . ; [then]\ngreet"},
		{Name: "[else]", Stack: "( - )", Help: "ends the source that [if] reads if the flag is not 0, and begins the other", compile: compileConditionElse,
			Example: "0 [if] \"yes\" . [else] \"no\" . [then]"},
		{Name: "[then]", Stack: "( - )", Help: "ends [if]", compile: compileConditionThen,
			Example: "1 [if] \"yes\" . [then]"},
		{Name: "[defined]", Stack: `( "name" - flag )`, Help: "whether a word, variable or buffer has the name, at once in a definition too", compile: compileDefined,
			Example: "[defined] dup ."},
		{Name: "[undefined]", Stack: `( "name" - flag )`, Help: "whether nothing has the name, at once in a definition too", compile: compileDefined,
			Example: "[undefined] square [if] : square ( n - n ) dup * ; [then]\n3 square ."},
	}
}

var errNoCondition = errors.New("without [if]")

func compileCondition(s *Session, tok token) error {
	v, err := s.Pop()
	if err != nil {
		return fail(tok.text, s.record(tok).Stack, err)
	}
	if len(s.conditions) == MaxConditions {
		return errConditions
	}
	s.conditions = append(s.conditions, position{int32(s.line), int32(tok.col)})
	if v.IsZero() {
		s.skip, s.skipElse = 1, false
	}
	return nil
}

func compileConditionElse(s *Session, tok token) error {
	if len(s.conditions) == 0 {
		return errNoCondition
	}
	s.skip, s.skipElse = 1, true
	return nil
}

func compileConditionThen(s *Session, _ token) error {
	if len(s.conditions) == 0 {
		return errNoCondition
	}
	s.conditions = s.conditions[:len(s.conditions)-1]
	return nil
}

// skipAhead goes to the end of the part that [if] or [else] skips; it returns false if that is
// not on this line.
func (s *Session) skipAhead() bool {
	for s.skip > 0 {
		start := s.scan
		tok, ok, err := s.scan.next()
		if err != nil { // perhaps it is not RPCL: a quote that begins no string
			s.scan = start
			tok, ok = token{text: s.scan.run()}, true
		}
		switch {
		case !ok:
			return false
		case tok.quoted:
		case tok.text == "(":
			if behind := s.scan; behind.skipComment() { // a comment of several lines is read like the rest
				s.scan = behind
			}
		case tok.text == "[if]":
			s.skip++
		case tok.text == "[then]":
			if s.skip--; s.skip == 0 {
				s.conditions = s.conditions[:len(s.conditions)-1]
			}
		case tok.text == "[else]" && s.skip == 1 && !s.skipElse:
			s.skip = 0
		default:
			if w, ok := s.dict.Word(tok.text); ok && w.takes != takesNothing {
				_, _ = s.scan.take(w) // if something is missing here, it does not matter
			}
		}
	}
	return true
}

func compileDefined(s *Session, tok token) error {
	name, err := s.scan.take(s.record(tok))
	if err != nil {
		return err
	}
	return s.Push(NewFlag(s.dict.Exists(name) == (tok.text == "[defined]")))
}
