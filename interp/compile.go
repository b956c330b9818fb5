// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"slices"
	"strings"
)

// instr is one instruction of compiled code.
type instr struct {
	op    Op
	n     int32 // where to jump, or which literal
	k     int64 // integer literal
	word  *Word
	entry *Entry
}

// code is a compiled definition, or a block of control structures at the prompt. It is immutable
// once it runs.
type code struct {
	name   string // "" for a block
	source string // the file that pos refers to; "" if it was typed at a prompt
	ins    []instr
	lits   []Value
	pos    []position // of ins, one for each

	refs []*reference // of the entries in ins, which live as long as the code does

	inputs inputs // checked before a call
}

// position is a place in source, from 1. Lines that were typed at a prompt are counted from the
// beginning of the definition.
type position struct{ line, col int32 }

// compiler turns tokens into code, from the beginning of a definition or structure until
// everything that is open has been closed.
type compiler struct {
	memory *memory
	code   *code
	open   []opening
	at     position // of the token being compiled
	row    int      // line of that token in the text typed at a prompt
	locals []string
	list   *localList // while it is read
	self   *Entry     // the entry of this definition itself, if recurse calls it
	before *Entry     // the former meaning of its name, if the definition uses that

	// The rest is for a `:` definition, which ends at `;`.
	colon   bool
	head    bool            // only comments so far: the stack comment may follow
	stack   bool            // inside the stack comment
	lone    bool            // the stack comment has a line of its own so far, which does not belong to the source
	indent  string          // the blanks before the stack comment there
	comment string          // the stack comment
	source  strings.Builder // the rest as it was typed, for see
	from    int             // where the source goes on in the current line
}

// opening is a control structure that waits for its end.
type opening struct {
	word   string // the word that opened it or is open now: if, else, begin
	at     int    // the instruction to complete, or to come back to
	leaves []int  // of do and case: jumps to their end
	pos    position
}

// keptRoom bounds the memory that a session keeps for compiling, in instructions.
const keptRoom = 4096

// newCompiler returns a compiler for code of that name. Code grows in memory that the session
// keeps, and is copied when it is finished. Allocating it anew for each definition took a third
// of the time of loading a file.
func (s *Session) newCompiler(name string) *compiler {
	c := &compiler{memory: &s.dict.memory, row: 1, code: &code{name: name, source: s.source, ins: s.spare.ins, pos: s.spare.pos}}
	s.spare = code{} // a compiler inside this one uses memory of its own
	return c
}

// finish ends the code of a compiler and returns it.
func (s *Session) finish(c *compiler) (*code, error) {
	if err := c.leaveCode(); err != nil {
		return nil, err
	}
	room := code{ins: c.code.ins, pos: c.code.pos}
	c.code.ins, c.code.pos = slices.Clone(room.ins), slices.Clone(room.pos)
	fuse(c.code.ins)
	if cap(room.ins) <= keptRoom {
		clear(room.ins)
		s.spare = code{ins: room.ins[:0], pos: room.pos[:0]}
	}
	return c.code, nil
}

// emit appends an instruction.
func (c *compiler) emit(in instr) error {
	if n := len(c.code.ins); n >= maxCode {
		return errCode
	} else if n >= keptRoom && n == cap(c.code.ins) { // it is about to grow
		if err := c.memory.room(2 * instrSize * int64(n)); err != nil {
			return err
		}
	}
	c.code.ins = append(c.code.ins, in)
	c.code.pos = append(c.code.pos, c.at)
	return nil
}

func (c *compiler) literal(v Value) error {
	if v.ref == nil {
		return c.emit(instr{op: opInt, k: v.n})
	}
	return c.pushed(v, nil)
}

// pushName pushes the name of an entry, to which the code refers.
func (c *compiler) pushName(e *Entry) error { return c.pushed(e.self(), e) }

func (c *compiler) pushed(v Value, e *Entry) error {
	c.code.lits = append(c.code.lits, v)
	return c.emit(instr{op: opLit, n: int32(len(c.code.lits) - 1), entry: e})
}

// here returns the index of the next instruction.
func (c *compiler) here() int { return len(c.code.ins) }

// land makes the forward jump at index at continue here.
func (c *compiler) land(at int) { c.code.ins[at].n = int32(c.here()) }

func (c *compiler) push(word string, at int) {
	c.open = append(c.open, opening{word: word, at: at, pos: c.at})
}

// pop closes the innermost structure, which must be one of those named.
func (c *compiler) pop(openers ...string) (opening, error) {
	if c != nil && len(c.open) > 0 {
		o := c.open[len(c.open)-1]
		for _, w := range openers {
			if o.word == w {
				c.open = c.open[:len(c.open)-1]
				return o, nil
			}
		}
		return o, fmt.Errorf("cannot close the open %s", o.word)
	}
	return opening{}, fmt.Errorf("without %s", openers[0])
}

// compileToken compiles one token.
func (s *Session) compileToken(tok token) error {
	c := s.comp
	c.at = s.stands(tok)
	if c.list != nil {
		return s.listToken(tok)
	}
	if c.head && (tok.quoted || tok.text != "(") {
		c.head = false
	}
	if tok.quoted {
		return c.literal(NewPart(tok.text, s.scan.line))
	}
	if n := c.local(tok.text); n > 0 {
		return c.emit(instr{op: opLocal, n: int32(n), word: localWord})
	}
	if e := s.earlier(tok.text); e != nil {
		return c.emit(instr{op: opCall, entry: e})
	}
	if e := s.dict.find(tok.text); e != nil {
		if def := e.def.Load(); def != nil {
			switch {
			case def.word == nil:
				return s.compileCall(tok.text)
			case def.word.compile != nil:
				return def.word.compile(s, tok)
			case def.word.takes != takesNothing:
				w, err := s.bind(def.word)
				if err != nil {
					return err
				}
				return c.emit(instr{op: opWord, word: w})
			}
			return c.emit(instr{op: def.word.Inline, word: def.word})
		}
	}
	if v, ok, err := ParseLiteral(tok.text); ok {
		if err != nil {
			return err
		}
		return c.literal(v)
	}
	if err := s.dict.unknown(tok.text); err != nil {
		return err
	}
	if checkName(tok.text, `"\\`) != nil { // it can never become a word
		return c.literal(NewPart(tok.text, s.scan.line))
	}
	if err := s.compileCall(tok.text); err != nil {
		return err
	}
	s.compiledUnknown(s.dict.find(tok.text))
	return nil
}

// stands returns the place of a token that is compiled.
func (s *Session) stands(tok token) position {
	if s.comp.code.source == "" {
		return position{int32(s.comp.row), int32(tok.col)}
	}
	return position{int32(s.line), int32(tok.col)}
}

// compileCall compiles a call of the meaning that the name has when the code runs.
func (s *Session) compileCall(name string) error {
	e, err := s.refer(name)
	if err != nil {
		return err
	}
	return s.comp.emit(instr{op: opCall, entry: e})
}

// refer returns the entry of a name for the code that is being compiled.
func (s *Session) refer(name string) (*Entry, error) {
	r, err := s.dict.refer(name)
	if err != nil {
		return nil, err
	}
	s.comp.code.refs = append(s.comp.code.refs, r)
	return r.to, nil
}
