// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"slices"
	"strings"
)

// inputs are the inputs of a compound word, by its stack comment. They are checked before the
// word runs, like those of a built-in word, so that a word that changes much does not fail
// half-way for lack of an input.
type inputs struct {
	comment string // "( n mac - )", for errors; "" if there is none
	least   int    // how many are required
	types   []typed

	// The inner loop looks at these two, and calls checkInputs unless everything is plain:
	enough int // values; out of reach if a type requires more than an integer
	plain  int // values on top that are integers
}

// typed is an input whose name is that of a type.
type typed struct {
	name  string // as in the comment
	place int    // from the top, which is 0
	fits  func(Value) error
}

// inputTypes are the names that say of which type an input has to be, or to which it has to
// convert; digits may follow. Inputs of other names may be anything.
var inputTypes = map[string]struct {
	fits     func(Value) error
	integers bool // every integer is valid
}{
	"n":        {isInt, true},
	"u":        {isInt, true},
	"num":      {isInt, true},
	"number":   {isInt, true},
	"string":   {func(v Value) error { _, err := v.Str(); return err }, true},
	"data":     {isData, false},
	"packet":   {isData, false},
	"mac":      {func(v Value) error { _, err := v.MAC(); return err }, false},
	"macrange": {func(v Value) error { _, _, err := v.MACRange(); return err }, false},
	"ip":       {isIP, false},
	"ip4":      {isIP, false},
	"iprange":  {func(v Value) error { _, _, err := v.IPRange(); return err }, false},
}

func isInt(v Value) error  { _, err := v.Int(); return err }
func isData(v Value) error { _, err := v.Data(); return err }
func isIP(v Value) error   { _, err := v.IP(); return err }

// parseInputs reads a stack comment in the forms that users write, among them those of Forth. A
// comment that has no dash, or several, is not a stack comment, and requires nothing.
func parseInputs(comment string) inputs {
	f := strings.Fields(comment)
	dash := slices.IndexFunc(f, isDash)
	if dash < 1 || slices.ContainsFunc(f[dash+1:], isDash) {
		return inputs{}
	}
	in := inputs{comment: strings.Join(f, " ")}
	names := f[1:dash]
	if i := slices.IndexFunc(names, isOtherStack); i >= 0 {
		names = names[:i]
	}
	if slices.Contains(names, "|") { // either these or those: the shorter alternative is required
		in.least = len(names)
		for alternative := range strings.SplitSeq(" "+strings.Join(names, " ")+" ", " | ") {
			in.least = min(in.least, demanded(strings.Fields(alternative)))
		}
		in.enough = in.least
		return in
	}
	in.least = demanded(names)
	in.enough = in.least
	place := 0
	for _, name := range slices.Backward(names) {
		switch {
		case isParsed(name):
			continue
		case isMany(name):
			return in // nobody knows where the others lie
		}
		bare := strings.Trim(name, "[]")
		if t, ok := inputTypes[strings.TrimRight(bare, "0123456789")]; ok {
			in.types = append(in.types, typed{bare, place, t.fits})
			in.plain = place + 1
			if !t.integers || strings.HasPrefix(name, "[") {
				in.enough = MaxStack + 1
			}
		}
		place++
	}
	return in
}

func isDash(s string) bool { return s == "-" || s == "--" }

// isOtherStack says whether inputs that follow are not on the data stack: `R:`.
func isOtherStack(s string) bool { return len(s) == 2 && s[1] == ':' && s[0] >= 'A' && s[0] <= 'Z' }

// isParsed says whether an input is taken from the line: `"name"`, `<name>`.
func isParsed(s string) bool { return s[0] == '"' || s[0] == '<' && len(s) > 2 }

// isMany says whether an input stands for any number of values: `part…`, `...`, `i*x`.
func isMany(s string) bool {
	return strings.Contains(s, "…") || strings.Contains(s, "...") || len(s) > 1 && s[1] == '*'
}

// demanded counts the required inputs.
func demanded(names []string) (n int) {
	for i, name := range names {
		switch {
		case name == "…" || name == "...": // of x1 … xn there may be none
			n = 0
		case i > 0 && (names[i-1] == "…" || names[i-1] == "...") && i < len(names)-1:
		case !isParsed(name) && !isMany(name) && name[0] != '[':
			n++
		}
	}
	return n
}

// checkInputs checks the stack for the inputs of a compound word.
func (s *Session) checkInputs(c *code) error { return c.inputs.check(s.Depth(), s.Peek) }

// check checks a stack of that depth; peek returns the value that lies so many places below the
// top.
func (in *inputs) check(depth int, peek func(int) Value) error {
	if depth < in.least {
		return ErrUnderflow
	}
	for _, t := range in.types {
		if t.place >= depth {
			continue // it is optional
		}
		if err := t.fits(peek(t.place)); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}
