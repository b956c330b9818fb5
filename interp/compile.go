package interp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// instr is one instruction of compiled code.
type instr struct {
	op    Op
	n     int32 // where to jump; which literal
	k     int64 // integer literal
	word  *Word
	entry *Entry
}

// code is a compiled definition, or a block of control structures at the prompt.
// It is immutable once it runs.
type code struct {
	name   string // "" for a block
	source string // the file that pos are in; "" if it was typed at a prompt
	ins    []instr
	lits   []Value
	pos    []position // of ins, one each

	inputs inputs // what is checked before a call
}

// position is a place in source, from 1.
type position struct{ line, col int32 }

// compiler turns tokens into code, from the opening of a definition or structure
// until everything that is open has been closed.
type compiler struct {
	code    *code
	open    []opening
	colon   bool            // a `:` definition: done at `;`
	source  strings.Builder // of a `:` definition, for those who want to see it
	comment string
	at      position // of the token being compiled
}

// opening is a control structure that waits for its end.
type opening struct {
	word   string // that opened it or stands open now: if, else, begin
	at     int    // of the instruction to mend, or to come back to
	leaves []int  // do and case: jumps to their end
	pos    position
}

// keptRoom bounds the memory that a session keeps for compiling, in instructions.
const keptRoom = 4096

// newCompiler returns a compiler for code of that name. Code grows in memory that
// the session keeps and is copied when it is finished: growing it anew for each
// definition was a third of the time that loading a file takes.
func (s *Session) newCompiler(name string) *compiler {
	c := &compiler{code: &code{name: name, source: s.source, ins: s.room.ins, pos: s.room.pos}}
	s.room = code{} // a compiler inside this one makes its own
	return c
}

// finish ends the code of a compiler and returns it.
func (s *Session) finish(c *compiler) (*code, error) {
	if err := c.emit(instr{op: opReturn}); err != nil {
		return nil, err
	}
	room := code{ins: c.code.ins, pos: c.code.pos}
	c.code.ins, c.code.pos = slices.Clone(room.ins), slices.Clone(room.pos)
	fuse(c.code.ins)
	if cap(room.ins) <= keptRoom {
		clear(room.ins)
		s.room = code{ins: room.ins[:0], pos: room.pos[:0]}
	}
	return c.code, nil
}

// emit appends an instruction.
func (c *compiler) emit(in instr) error {
	if len(c.code.ins) >= MaxCode {
		return errCode
	}
	c.code.ins = append(c.code.ins, in)
	c.code.pos = append(c.code.pos, c.at)
	return nil
}

func (c *compiler) literal(v Value) error {
	if v.ref == nil {
		return c.emit(instr{op: opInt, k: v.n})
	}
	c.code.lits = append(c.code.lits, v)
	return c.emit(instr{op: opLit, n: int32(len(c.code.lits) - 1)})
}

// here is the index of the next instruction.
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
	c.at = position{int32(s.line), int32(tok.col)}
	if c.colon {
		if c.source.Len() > MaxValue {
			return errSource
		}
		if c.source.Len() > 0 {
			c.source.WriteByte(' ')
		}
		if tok.quoted {
			c.source.WriteString(Quote(tok.text))
		} else {
			c.source.WriteString(tok.text)
		}
	}
	if tok.quoted {
		return c.literal(NewString(tok.text))
	}
	if e := s.dict.find(tok.text); e != nil {
		if def := e.def.Load(); def != nil {
			switch {
			case def.word == nil:
				return s.compileCall(tok.text)
			case def.word.compile != nil:
				return def.word.compile(s, tok)
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
	if checkName(tok.text) != nil { // can never become a word
		return c.literal(NewString(tok.text))
	}
	if err := s.compileCall(tok.text); err != nil {
		return err
	}
	s.compiledUnknown(s.dict.find(tok.text))
	return nil
}

// compileCall compiles what the name stands for whenever it runs.
func (s *Session) compileCall(name string) error {
	e, err := s.dict.refer(name)
	if err != nil {
		return err
	}
	return s.comp.emit(instr{op: opCall, entry: e})
}

// compileLine compiles a line that defines name, as `!!` has it.
func (s *Session) compileLine(name, line string) (*definition, error) {
	outer, outerScan, outerComment := s.comp, s.scan, s.comment
	defer func() { s.comp, s.scan, s.comment = outer, outerScan, outerComment }()
	c := s.newCompiler(name)
	c.code.source = "" // places in the line are none in the source
	s.comp, s.comment = c, false
	for _, l := range strings.Split(line, "\n") {
		s.scan = scanner{line: l}
		for {
			tok, ok, err := s.nextToken()
			if err == nil && ok {
				err = s.compileToken(tok)
			}
			if l, ok := err.(*lookalike); ok {
				tok.text, l.shown = "", true
			}
			if err != nil {
				return nil, fmt.Errorf("in the definition of %s: %w", name, fail(tok.text, "", err))
			}
			if !ok {
				break
			}
		}
	}
	if open := s.Open(); open != "" {
		return nil, fmt.Errorf("in the definition of %s: %s is still open at its end", name, open)
	}
	code, err := s.finish(c)
	return &definition{code: code, source: line}, err
}

// Define defines a compound word, as `!!` does: line is its source.
func (s *Session) Define(name, line string) error {
	def, err := s.compileLine(name, line)
	if err != nil {
		var e *Error
		if errors.As(err, &e) { // the place is in the line, not in the source that holds it
			err = errors.New(err.Error())
		}
		return err
	}
	return s.dict.define(name, def, Value{})
}
