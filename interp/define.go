// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"strings"
)

// definitionWords returns the words that define compound words, and those that occur only in
// definitions and comments.
func definitionWords() []Word {
	return []Word{
		{Name: "(", Stack: "( - )", Help: "begins a comment that ends with ), even over several lines", compile: compileComment,
			Example: "( not evaluated ) 1 ."},
		{Name: `\`, Stack: "( - )", Help: "begins a comment to the end of the line, as # does", compile: compileLineComment,
			Example: `1 . \ not evaluated`},
		{Name: ".(", Stack: `( "text" - )`, Help: "prints what follows up to ), at once in a definition too", compile: compileSay,
			Example: ".( loading)"},
		{Name: ":", Stack: `( "name" - )`, Help: "begins the definition of a compound word, up to ;", compile: compileColon,
			Example: ": double ( n - n ) 2 * ;\n4 double ."},
		{Name: ":noname", Stack: "( - word )", Help: "begins a definition without a name, up to ;, and leaves what execute takes", compile: compileColon,
			Example: ":noname ( n - n ) 2 * ; double-it !\n4 double-it @ execute ."},
		{Name: ";", Stack: "( - )", Help: "ends a definition begun with :", compile: compileSemicolon,
			Example: ": seven 7 ;\nseven ."},
		{Name: "recurse", Stack: "( - )", Help: "calls the word that is being defined", compile: compileRecurse,
			Example: ": fac ( n - n ) dup 2 < if drop 1 else dup 1 - recurse * then ;\n5 fac ."},
		{Name: "exit", Stack: "( - )", Help: "leaves the definition it stands in, or the program when it stands in none", compile: compileExit,
			Example: ": small ( n - ) dup 9 > if drop exit then . ;\n12 small 3 small"},
		{Name: "[']", Stack: `( "name" - word )`, Help: "' in a definition: the name of a word that exists, for execute", compile: compileTick,
			Example: ": twice ( word - ) dup >r execute r> execute ;\n: quadruple ( n - n ) ['] 2* twice ;\n3 quadruple ."},
	}
}

func compileComment(s *Session, tok token) error {
	s.comment, s.commentAt = true, position{int32(s.line), int32(tok.col)}
	if c := s.comp; c != nil && c.head { // it is the stack comment
		before := s.scan.line[c.from : tok.col-1]
		c.keep(s.scan.line[:tok.col-1])
		if c.lone = strings.HasSuffix(c.source.String(), "\n"); c.lone {
			c.indent = before
		}
		c.from, c.stack = tok.col-1, true
	}
	return nil
}

// compileLineComment is never called, since the scanner takes \ for a comment. The word is in the
// table for its help.
func compileLineComment(s *Session, _ token) error {
	s.scan.pos = len(s.scan.line)
	return nil
}

func compileSay(s *Session, tok token) error {
	text, err := s.scan.take(s.record(tok))
	if err == nil {
		s.Print(text)
	}
	return err
}

func compileColon(s *Session, tok token) error {
	if s.comp != nil {
		return errors.New("definitions do not nest")
	}
	name := noName
	if tok.text == ":" {
		var err error
		if name, err = s.scan.take(s.record(tok)); err != nil {
			return err
		}
		if err := checkUserName(name); err != nil {
			return err
		}
		if _, builtin := s.dict.Word(name); builtin {
			return builtinError(name)
		}
	}
	c := s.newCompiler(strings.Clone(name))
	c.at = position{int32(s.line), int32(tok.col)}
	c.colon, c.head, c.from = true, true, s.scan.pos
	c.push(tok.text, 0)
	s.comp = c
	return nil
}

// noName is the name of a definition without a name, in errors.
const noName = ":noname"

// keep adds the part of a line that belongs to the source of a definition.
func (c *compiler) keep(line string) {
	c.source.WriteString(strings.TrimRight(line[c.from:], blankBytes))
	c.from = len(line)
}

const blankBytes = " \t\v\f\r"

// endLine keeps the rest of a line in the source of the open definition.
func (c *compiler) endLine(line string) error {
	c.row++
	if c.stack { // it goes on in the next line
		c.comment += strings.Trim(line[c.from:], blankBytes) + " "
	} else {
		c.keep(line)
		if !c.lone || !strings.HasSuffix(c.source.String(), "\n") {
			c.source.WriteByte('\n')
		}
		c.lone = false
	}
	c.from = 0
	if c.source.Len()+len(c.comment) > MaxValue {
		return errSource
	}
	return nil
}

// endStack takes the stack comment, which ends at pos.
func (c *compiler) endStack(line string, pos int) {
	c.comment += strings.TrimLeft(line[c.from:pos], blankBytes)
	c.from, c.stack, c.head = pos, false, false
	if rest := strings.TrimLeft(line[pos:], blankBytes); c.lone && rest != "" {
		c.source.WriteString(c.indent)
		c.from, c.lone = len(line)-len(rest), false
	}
}

func compileSemicolon(s *Session, tok token) error {
	if _, err := s.comp.pop(":", noName); err != nil {
		return err
	}
	c := s.comp
	s.comp = nil
	c.keep(s.scan.line[:tok.col-1])
	// If the body begins on a line of its own, it keeps its indentation.
	source := strings.TrimLeft(strings.TrimRight(c.source.String(), blankBytes+"\n"), blankBytes)
	if len(source) > MaxValue {
		return errSource
	}
	code, err := s.finish(c)
	if err != nil {
		return err
	}
	code.inputs = parseInputs(c.comment)
	def := &definition{code: code, source: source, comment: c.comment}
	c.complete(def)
	if code.name == noName {
		def.size += def.weigh()
		return s.Push(hidden(strings.TrimPrefix(source, "\n"), def).self())
	}
	return s.define(code.name, def, Value{})
}

// complete sets the definition that was compiled.
func (c *compiler) complete(def *definition) {
	if c.self != nil {
		c.self.def.Store(def)
	}
	if c.before != nil { // it lives as long as def does
		old := c.before.def.Load()
		def.size += old.size
		if c := old.content(c.before); c != nil {
			def.size += c.load().held()
		}
	}
}

// hidden returns an entry that no name finds; only code and values refer to it.
func hidden(name string, def *definition) *Entry {
	e := &Entry{name: name, hidden: true}
	e.def.Store(def)
	return e
}

// earlier returns an entry for the former meaning of the name that is being defined, or nil if it
// has none. The new definition uses this entry where it uses the name.
func (s *Session) earlier(name string) *Entry {
	c := s.comp
	if name != c.code.name || name == noName {
		return nil
	}
	if c.before == nil {
		e := s.dict.find(name)
		if e == nil {
			return nil
		}
		def := e.def.Load() // once: another session may delete the name meanwhile
		if def == nil || def.word != nil {
			return nil
		}
		c.before = hidden(name, def)
		c.before.cell.swap(e.cell.load())
	}
	return c.before
}

// compileRecurse compiles a call of the definition that contains it, whatever its name means when
// it runs.
func compileRecurse(s *Session, _ token) error {
	c := s.comp
	if c == nil || c.code.name == "" {
		return errors.New("outside a definition")
	}
	if c.self == nil {
		c.self = hidden(c.code.name, nil)
	}
	return c.emit(instr{op: opCall, entry: c.self})
}

func compileExit(s *Session, _ token) error {
	if s.comp == nil {
		return errLeave
	}
	if s.comp.code.name == "" { // in a structure at the prompt
		return s.comp.emit(instr{op: opWord, word: leaveWord})
	}
	return s.comp.leaveCode()
}

// leaveWord is the instruction of exit outside definitions.
var leaveWord = &Word{Name: "exit", Stack: "( - )", Func: func(*Session) error { return errLeave }}

func compileTick(s *Session, tok token) error {
	name, err := s.scan.take(s.record(tok))
	if err != nil {
		return err
	}
	v, err := s.dict.Tick(name)
	if err != nil {
		return err
	}
	if s.comp == nil {
		return s.Push(v)
	}
	e, err := s.refer(name)
	if err != nil {
		return err
	}
	return s.comp.pushName(e)
}

// compileLine compiles a line that defines name, for `!!`.
func (s *Session) compileLine(name, line string) (*definition, error) {
	outer := s.begin(s.source)
	defer s.restore(outer)
	c := s.newCompiler(name)
	c.code.source = "" // places in the line are not places in the source
	s.comp = c
	for l := range strings.SplitSeq(line, "\n") {
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
		c.row++
	}
	if open := s.Open(); open != "" {
		return nil, fmt.Errorf("in the definition of %s: %s is still open at its end", name, open)
	}
	code, err := s.finish(c)
	def := &definition{code: code, source: line}
	c.complete(def)
	return def, err
}

// Define defines a compound word, as `!!` does: line is its source.
func (s *Session) Define(name, line string) error {
	def, err := s.compileLine(name, line)
	if err != nil {
		var e *Error
		if errors.As(err, &e) { // the place is in the line, not in the source that contains it
			err = errors.New(err.Error())
		}
		return err
	}
	return s.define(name, def, Value{})
}
