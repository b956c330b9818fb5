package interp

import (
	"fmt"
	"strings"
)

// Word is the record of a built-in word; everything that is known of it stands here.
type Word struct {
	Name    string               // as typed; see CheckName
	Stack   string               // stack comment, "( mac - )"; optional inputs in brackets, what is taken from the source in quotes
	Help    string               // one sentence, lower case, without a final stop
	Example string               // RPCL source that shows the word; lines may be separated by newlines
	Func    func(*Session) error // what it does; see Session for the rules
	Inline  Op                   // how the inner loop does it when its inputs are plain; 0 is not at all
	Static  bool                 // a definition takes the name that follows, not the line that runs it

	compile    func(*Session, token) error // control words: what they do while compiling
	min, max   int                         // inputs demanded and inputs named, from Stack
	inputs     []string                    // their names, the deepest first, and that of what it takes
	takes      taken                       // from the source behind it, from Stack
	takesMaybe bool                        // what it takes may be missing
}

// Set is a table of words that belong together, with the name prefixes that they
// reserve: a bare token that begins with one and is no word is an error, not a
// string, because in a language of control a typing error must not pass silently.
// The same holds for the words of another language that would be taken for strings.
type Set struct {
	Name     string            // "tap"
	Help     string            // one sentence
	Intro    string            // lines that the overview of help begins with
	Leads    map[string]string // what tokens stand for that a line at a prompt begins with
	Prefixes []string
	Shared   []string // prefixes that are reserved, but names with them may be defined, as library files do
	Absent   []Absent
	Words    []Word

	// Names returns what strings in source may name besides words, like files: those that
	// begin with prefix. For completion; nil if there is nothing. Calls come from any goroutine.
	Names func(d *Dict, prefix string) []string
}

// Absent are words that somebody who knows Forth may type and that are not there. The
// name of one is an error, unless the user has given it a meaning.
type Absent struct {
	Names string // separated by blanks
	Here  string // what one types instead
}

// Usage returns the word's help: its sentence and its stack comment.
func (w *Word) Usage() string { return w.Help + " " + w.Stack }

// parseStack reads a stack comment and sets the arity. Inputs stand left of the
// single dash; those in brackets are optional and come first, since they lie deepest.
// What the word takes from the source, in quotes, comes last, since it is put on top.
func (w *Word) parseStack() error {
	w.min, w.max, w.inputs, w.takes, w.takesMaybe = 0, 0, nil, takesNothing, false
	f := strings.Fields(w.Stack)
	if len(f) < 3 || f[0] != "(" || f[len(f)-1] != ")" {
		return fmt.Errorf("%s: stack comment %q is not of the form ( a - b )", w.Name, w.Stack)
	}
	dash := -1
	for i, s := range f[1 : len(f)-1] {
		optional := strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]")
		switch {
		case s == "-" && dash >= 0:
			return fmt.Errorf("%s: stack comment %q has two dashes", w.Name, w.Stack)
		case s == "-":
			dash = i
		case dash >= 0:
			continue
		case w.takes != takesNothing:
			return fmt.Errorf("%s: stack comment %q has an input above what is taken from the source", w.Name, w.Stack)
		case takes[strings.Trim(s, "[]")] != takesNothing:
			w.takes, w.takesMaybe = takes[strings.Trim(s, "[]")], optional
		case optional && w.min > 0:
			return fmt.Errorf("%s: stack comment %q has an optional input above one that is not", w.Name, w.Stack)
		case optional:
			w.max++
		default:
			w.min++
			w.max++
		}
		if s != "-" {
			w.inputs = append(w.inputs, strings.Trim(s, `[]"`))
		}
	}
	if dash < 0 {
		return fmt.Errorf("%s: stack comment %q has no dash", w.Name, w.Stack)
	}
	return nil
}

// Inputs returns how many values the word demands, and how many it takes when its
// optional ones are there.
func (w *Word) Inputs() (least, most int) { return w.min, w.max }

// CheckName reports why a string cannot be a name: names have 1 to 32 printable
// ASCII characters without white space, double quote and backslash, and do not
// read as a literal or a comment.
func CheckName(name string) error {
	if err := checkName(name, `"\`); err != nil {
		return err
	}
	if _, ok, _ := ParseLiteral(name); ok || name[0] == '#' || name == "(" {
		return fmt.Errorf("%s cannot be a name: it reads as something else", Quote(name))
	}
	return nil
}

// checkName checks the length and the characters of a name. Names of built-in words
// may have those that are forbidden to others.
func checkName(name, forbidden string) error {
	if name == "" {
		return fmt.Errorf("a name cannot be empty")
	}
	if len(name) > MaxName {
		return fmt.Errorf("name %s is longer than %d characters", abbreviate(Quote(name)), MaxName)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte(forbidden, c) >= 0 {
			return fmt.Errorf("name %s has a character that names cannot have; they are printable ASCII without blanks, \" and \\", Quote(name))
		}
	}
	return nil
}
