// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
)

// Session is one user of the VM: a prompt, a control connection or a script. It has stacks, input
// and output of its own, and shares the dictionary. A session belongs to one goroutine; only
// Interrupt may be called from others.
//
// # Rules for the function of a word
//
// The VM has checked that the inputs named in the stack comment are there, except for the
// optional ones. The function pops its inputs, does its work, and pushes its results after the
// last operation that can fail: if it returns an error, the VM resets the stack pointer, so that
// the user finds the stack as it was before the word.
type Session struct {
	dict *Dict
	in   *input
	out  output
	err  io.Writer

	stack  *[MaxStack]Value // the whole stack; words see stack[base:sp]
	sp     int
	base   int   // of the innermost frame
	frames []int // bases of the outer frames

	rstack *[maxReturn]Value // for >r and r>; a call sees only the values that it put there
	rp     int
	loops  *[maxLoops]doLoop // running do loops, apart from the return stack, so that neither can harm the other
	lp     int

	calls  []call  // running compound words, blocks and sources, the innermost last
	floor  int     // how many of them wait until the running inner loop returns
	saved  []Value // stacks kept by the running words try
	caught error   // by the last try

	sourceState      // position in the current source
	spare       code // empty: memory for the next compiler

	interrupt atomic.Bool   // set by Interrupt, cleared by Interpret
	wake      chan struct{} // holds one: Interrupt was called, for words that wait
	left      bool
	status    int
	unknowns  unknowns
	redefined []string        // names to which the line at the prompt has given another meaning
	hints     []func() string // see Hint
	locals    map[any]any     // values that word sets keep in the session
	mistake   func(error)     // see Survey
}

// call is a running compound word, block or source.
type call struct {
	code   *code
	ip     int32 // of the next instruction
	frames int32 // numbers of open stack frames and of values on the return stack
	rp, lp int32 // and of running loops, when it was called
}

// doLoop is a running do loop.
type doLoop struct{ i, limit int64 }

// NewSession returns a session on a dictionary. Words print to stdout; Report prints errors to
// stderr.
func NewSession(d *Dict, stdin io.Reader, stdout, stderr io.Writer) *Session {
	s := &Session{
		dict: d, in: newInput(stdin), err: stderr,
		wake:  make(chan struct{}, 1),
		stack: new([MaxStack]Value), rstack: new([maxReturn]Value), loops: new([maxLoops]doLoop),
		calls: make([]call, 0, maxNesting),
	}
	s.out = output{w: stdout, stop: &s.interrupt}
	return s
}

// Dict returns the dictionary of the session.
func (s *Session) Dict() *Dict { return s.dict }

// Interrupt stops the running words, as soon as they call a word or loop. It may be called from
// any goroutine.
func (s *Session) Interrupt() {
	s.interrupt.Store(true)
	select {
	case s.wake <- struct{}{}:
	default: // a wake is pending already
	}
}

// Interrupted says whether the running words are to stop. A word that works for long checks it
// now and then and returns ErrInterrupted.
func (s *Session) Interrupted() bool { return s.interrupt.Load() }

// Left says whether the user has left the session, with `bye` for instance.
func (s *Session) Left() bool { return s.left }

// Status returns the exit status that the session asks for, 0 to 255.
func (s *Session) Status() int { return s.status }

// SetStatus sets what Status returns; bits beyond a byte are dropped.
func (s *Session) SetStatus(n int) { s.status = n & 0xff }

// Leave returns the error by which a word leaves the session.
func (s *Session) Leave() error { return errLeave }

// Nesting returns the depth of nested execution: 1 at the prompt and at the top of a script, 2 in
// a word that was called there.
func (s *Session) Nesting() int {
	n := 1
	for i, c := range s.calls {
		if c.code.name != "" || c.code == sourceCode && i > 0 { // blocks do not count as calls
			n++
		}
	}
	return n
}

// Source returns the name of the running file, "" at the prompt.
func (s *Session) Source() string { return s.source }

// Local returns the value that SetLocal has kept in this session under a key, or nil.
func (s *Session) Local(key any) any { return s.locals[key] }

// SetLocal keeps a value of a word set in this session. Keys are of types of the word set's own,
// as for contexts.
func (s *Session) SetLocal(key, value any) {
	if s.locals == nil {
		s.locals = make(map[any]any)
	}
	s.locals[key] = value
}

// Depth returns the number of values in the current stack frame.
func (s *Session) Depth() int { return s.sp - s.base }

// Frames returns the number of open stack frames.
func (s *Session) Frames() int { return len(s.frames) }

// Peek returns the value i places below the top. i must be less than Depth.
func (s *Session) Peek(i int) Value { return s.stack[s.base:s.sp:s.sp][s.Depth()-1-i] }

// Roll moves the value i places below the top to the top. i must be less than Depth.
func (s *Session) Roll(i int) {
	top := s.stack[s.base:s.sp][s.Depth()-1-i:]
	v := top[0]
	copy(top, top[1:])
	top[i] = v
}

// Room returns an error unless the stack has room for one more value. A word that cannot undo its
// work calls it first.
func (s *Session) Room() error {
	if s.sp == MaxStack {
		return errStack
	}
	return nil
}

// RoomFor returns an error unless the stack has room for n more values. A word that pushes more
// values than it takes calls it before it pushes the first one over an input.
func (s *Session) RoomFor(n int) error {
	if n > MaxStack-s.sp {
		return errStack
	}
	return nil
}

// Push puts a value on the stack.
func (s *Session) Push(v Value) error {
	if err := s.Room(); err != nil {
		return err
	}
	if v.ref != nil && len(v.ref.bytes) >= largeValue {
		if len(v.ref.bytes) > MaxValue {
			return errTooLong
		}
		if err := s.dict.memory.room(int64(len(v.ref.bytes))); err != nil {
			return err
		}
	}
	s.stack[s.sp] = v
	s.sp++
	return nil
}

// Pop takes the value on top of the stack.
func (s *Session) Pop() (Value, error) {
	if s.sp == s.base {
		return Value{}, ErrUnderflow
	}
	s.sp--
	return s.stack[s.sp], nil
}

// PopInt takes an integer.
func (s *Session) PopInt() (int64, error) {
	v, err := s.Pop()
	if err != nil {
		return 0, err
	}
	return v.Int()
}

// PopRange takes an integer between lo and hi, both included; what names the number in the error.
func (s *Session) PopRange(what string, lo, hi int64) (int64, error) {
	n, err := s.PopInt()
	if err == nil && (n < lo || n > hi) {
		err = fmt.Errorf("%s %d is not in %d…%d", what, n, lo, hi)
	}
	return n, err
}

// PopString takes a string.
func (s *Session) PopString() (string, error) {
	v, err := s.Pop()
	if err != nil {
		return "", err
	}
	return v.Str()
}

// PopData takes bytes.
func (s *Session) PopData() ([]byte, error) {
	v, err := s.Pop()
	if err != nil {
		return nil, err
	}
	return v.Data()
}

// PopMAC takes an Ethernet address.
func (s *Session) PopMAC() ([6]byte, error) {
	v, err := s.Pop()
	if err != nil {
		return [6]byte{}, err
	}
	return v.MAC()
}

// PopIP takes an IP address.
func (s *Session) PopIP() (netip.Addr, error) {
	v, err := s.Pop()
	if err != nil {
		return netip.Addr{}, err
	}
	return v.IP()
}

// RPush puts a value on the return stack.
func (s *Session) RPush(v Value) error {
	if s.rp == maxReturn {
		return errReturn
	}
	s.rstack[s.rp] = v
	s.rp++
	return nil
}

// returnFloor returns how many values of the return stack belong to the callers of the running
// word.
func (s *Session) returnFloor() int {
	if len(s.calls) == 0 {
		return 0
	}
	return int(s.calls[len(s.calls)-1].rp)
}

// RPeek returns the value on top of the return stack, if the running word put one there.
func (s *Session) RPeek() (Value, error) {
	if s.rp == s.returnFloor() {
		return Value{}, errReturnEmpty
	}
	return s.rstack[s.rp-1], nil
}

// RPop takes the value that RPeek returns.
func (s *Session) RPop() (Value, error) {
	v, err := s.RPeek()
	if err == nil {
		s.rp--
	}
	return v, err
}

var errReturnEmpty = Coded(-6, "return stack underflow: without >r in the same word or line")

// Clear removes the values of the current stack frame.
func (s *Session) Clear() {
	clear(s.stack[s.base:s.sp])
	s.sp = s.base
}

// OpenFrame opens a stack frame, which hides the values on the stack.
func (s *Session) OpenFrame() error {
	if len(s.frames) == maxFrames {
		return errFrames
	}
	s.frames = append(s.frames, s.base)
	s.base = s.sp
	return nil
}

// CloseFrame closes the innermost stack frame that was opened in the running word; its values
// stay.
func (s *Session) CloseFrame() error {
	open := 0
	if len(s.calls) > 0 {
		open = int(s.calls[len(s.calls)-1].frames)
	}
	if len(s.frames) <= open {
		return fmt.Errorf("without {")
	}
	s.closeFrames(len(s.frames) - 1)
	return nil
}

// closeFrames closes frames until n are open.
func (s *Session) closeFrames(n int) {
	if len(s.frames) > n {
		s.base = s.frames[n]
		s.frames = s.frames[:n]
	}
}

// Fetch returns the value of a variable, or the help of a built-in word.
func (s *Session) Fetch(name Value) (Value, error) {
	e, text, err := s.named(name)
	if err != nil {
		return Value{}, err
	}
	if e != nil {
		switch def := e.def.Load(); {
		case def == nil:
		case def.variable:
			return e.cell.load(), nil
		case def.buffer != nil:
			return Value{}, fmt.Errorf("%s is a buffer; b@ and cell@ fetch from it", e.name)
		case def.word != nil:
			return NewString(def.word.Usage()), nil
		case def.value != nil:
			return Value{}, fmt.Errorf("%s is a value; its name alone fetches it", e.name)
		default:
			return NewString(strings.TrimPrefix(def.source, "\n")), nil
		}
	}
	if err := s.dict.unknown(text); err != nil {
		return Value{}, fmt.Errorf("%s: %w", abbreviate(Quote(text)), err)
	}
	return Value{}, fmt.Errorf("no variable %s", abbreviate(Quote(text)))
}

// Store gives a variable a value, and makes the variable if there is none.
func (s *Session) Store(name, value Value) error {
	e, text, err := s.named(name)
	if err != nil {
		return err
	}
	if e != nil && e.def.Load() == isVariable {
		if done, err := s.dict.store(e, isVariable, value); done || err != nil {
			return err
		}
	}
	if e == nil { // nothing is redefined
		return s.dict.define(text, isVariable, value)
	}
	return s.define(text, isVariable, value)
}

// entry returns the entry that a string was looked up as before, if it still has a meaning: a
// deleted entry may have been replaced by another of the same name.
func (v Value) entry() (*Entry, *definition) {
	if v.ref != nil {
		if e := v.ref.entry.Load(); e != nil {
			if def := e.def.Load(); def != nil {
				return e, def
			}
		}
	}
	return nil, nil
}

// named returns the entry of a name, or nil and the text of the name. A string remembers its
// entry, so that `dup @ 1+ over !` looks it up once.
func (s *Session) named(name Value) (*Entry, string, error) {
	if e, _ := name.entry(); e != nil {
		return e, e.name, nil
	}
	text, err := name.Str()
	if err != nil {
		return nil, "", err
	}
	if name.Kind() == KindString {
		return s.look(name), text, nil
	}
	return s.dict.find(text), text, nil
}

// look looks up the entry of a string; nil if there is none.
func (s *Session) look(name Value) *Entry {
	e := s.dict.find(name.ref.bytes)
	if e != nil {
		name.ref.entry.Store(e)
	}
	return e
}
