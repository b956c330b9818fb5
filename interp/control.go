package interp

import "errors"

// controlWords returns the words that the compiler itself knows. They work at the
// prompt too: a structure there is compiled until it is closed, then run once.
func controlWords() Set {
	return Set{
		Name: "control",
		Help: "control structures, definitions, comments",
		Words: []Word{
			{Name: "(", Stack: "( - )", Help: "begins a comment that ends with )", compile: compileComment,
				Example: "( not evaluated ) 1 ."},
			{Name: ":", Stack: "( - )", Help: "begins the definition of a compound word, up to ;", compile: compileColon,
				Example: ": double ( n - n ) 2 * ;\n4 double ."},
			{Name: ";", Stack: "( - )", Help: "ends a definition begun with :", compile: compileSemicolon,
				Example: ": seven 7 ;\nseven ."},
			{Name: "if", Stack: "( flag - )", Help: "runs what follows, up to else or then, if the flag is not 0", compile: compileIf,
				Example: "1 if \"yes\" . then"},
			{Name: "else", Stack: "( - )", Help: "begins what runs when the flag of if is 0", compile: compileElse,
				Example: "0 if \"yes\" else \"no\" then ."},
			{Name: "then", Stack: "( - )", Help: "ends if", compile: compileThen,
				Example: "1 if \"yes\" . then"},
			{Name: "begin", Stack: "( - )", Help: "begins a loop, up to until", compile: compileBegin,
				Example: "3 begin dup . 1 - dup 0= until drop"},
			{Name: "until", Stack: "( flag - )", Help: "goes back to begin if the flag is 0", compile: compileUntil,
				Example: "3 begin dup . 1 - dup 0= until drop"},
			{Name: "exit", Stack: "( - )", Help: "leaves the definition it stands in, or the program when it stands in none", compile: compileExit,
				Example: ": small ( n - ) dup 9 > if drop exit then . ;\n12 small 3 small"},
		},
	}
}

// block returns the compiler at work; at the prompt it starts one.
func (s *Session) block(tok token) *compiler {
	if s.comp == nil {
		s.comp = &compiler{code: &code{}, at: position{int32(s.line), int32(tok.col)}}
	}
	return s.comp
}

// record returns the record of the control word being compiled, for its errors.
func (s *Session) record(tok token) *Word {
	w, _ := s.dict.Word(tok.text)
	return w
}

func compileComment(s *Session, tok token) error {
	s.comment, s.commentAt = true, position{int32(s.line), int32(tok.col)}
	return nil
}

func compileColon(s *Session, tok token) error {
	if s.comp != nil {
		return errors.New("definitions do not nest")
	}
	name, ok, err := s.scan.next()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the name of the word is missing")
	}
	if err := CheckName(name.text); err != nil {
		return err
	}
	if _, builtin := s.dict.Word(name.text); builtin {
		return builtinError(name.text)
	}
	c := s.block(tok)
	c.colon = true
	c.code.name = name.text
	c.push(":", 0)
	c.comment = s.scan.stackComment()
	return nil
}

func compileSemicolon(s *Session, _ token) error {
	if _, err := s.comp.pop(":"); err != nil {
		return err
	}
	c := s.comp
	s.comp = nil
	code, err := c.finish()
	if err != nil {
		return err
	}
	source := c.source.String()
	source = source[:max(0, len(source)-len(" ;"))]
	return s.dict.define(code.name, &definition{code: code, source: source, comment: c.comment}, Value{})
}

func compileIf(s *Session, tok token) error {
	c := s.block(tok)
	c.push("if", c.here())
	return c.emit(instr{op: opJumpZero, word: s.record(tok)})
}

func compileElse(s *Session, _ token) error {
	c := s.comp
	o, err := c.pop("if")
	if err != nil {
		return err
	}
	c.push("else", c.here())
	if err := c.emit(instr{op: opJump}); err != nil {
		return err
	}
	c.land(o.at)
	return nil
}

func compileThen(s *Session, _ token) error {
	o, err := s.comp.pop("if", "else")
	if err == nil {
		s.comp.land(o.at)
	}
	return err
}

func compileBegin(s *Session, tok token) error {
	c := s.block(tok)
	c.push("begin", c.here())
	return nil
}

func compileUntil(s *Session, tok token) error {
	o, err := s.comp.pop("begin")
	if err != nil {
		return err
	}
	return s.comp.emit(instr{op: opJumpZero, n: int32(o.at), word: s.record(tok)})
}

func compileExit(s *Session, _ token) error {
	if s.comp == nil {
		return errLeave
	}
	if s.comp.code.name == "" { // in a structure at the prompt
		return s.comp.emit(instr{op: opWord, word: leaveWord})
	}
	return s.comp.emit(instr{op: opReturn})
}

// leaveWord is what exit becomes outside definitions.
var leaveWord = &Word{Name: "exit", Stack: "( - )", Func: func(*Session) error { return errLeave }}
