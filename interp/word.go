// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"slices"
	"strings"
)

// Word is the record of a built-in word. It contains everything that is known of the word.
type Word struct {
	Name    string               // as typed; see checkName
	Stack   string               // stack comment, "( mac - )"; optional inputs in brackets, what the word takes from the source in quotes
	Help    string               // one sentence, lower case, without a final stop
	Example string               // RPCL source that shows the word; lines may be separated by newlines
	Func    func(*Session) error // what the word does; see Session for the rules
	Inline  Op                   // how the inner loop does it if its inputs are plain; 0: not at all
	Asks    bool                 // it changes nothing but its session and the dictionary, and reads no files: see Set.Asking
	Static  bool                 // in a definition, it takes the name after it at once, not when it runs

	compile    func(*Session, token) error // of a control word: what it does while compiling
	min, max   int                         // numbers of required inputs and of all inputs, from Stack
	inputs     []string                    // their names, the deepest first, and that of what it takes
	takes      taken                       // from the source after it, from Stack
	takesMaybe bool                        // what it takes is optional
}

// Set is a table of words that belong together, and the name prefixes that they reserve. A bare
// token that begins with a reserved prefix and is no word is an error and not a string, because a
// typing error in a language of control must not go unnoticed. The same holds for the words of
// another language.
type Set struct {
	Name     string            // "tap"
	Help     string            // one sentence
	Intro    string            // the overview of help begins with these lines
	Leads    map[string]string // the meaning of tokens with which a line at a prompt may begin
	Prefixes []string
	Shared   []string // prefixes that are reserved, except that users may define names with them, as library files do
	Absent   []Absent
	Words    []Word

	// Names returns names for completion that are not words, such as files: those that begin with
	// prefix, or nil. It is called from any goroutine.
	Names func(d *Dict, prefix string) []string
}

// Absent are words that somebody who knows Forth may type and that do not exist here. Their names
// are errors, unless the user has given them a meaning.
type Absent struct {
	Names string // separated by blanks
	Here  string // what to type instead
	Why   string // the error of the name, instead of one with Here
}

func (a *Absent) error() string {
	if a.Why != "" {
		return a.Why
	}
	return "not in RPCL; here: " + a.Here
}

// Asking returns the set with only those words that ask. The names of the others are errors that say
// why. A dictionary of such sets can be served to those who may know everything and change nothing; it
// completes words alone, since names of files are not theirs to see.
func (s Set) Asking(why string) Set {
	var asking []Word
	missing := Absent{Why: why}
	for _, w := range s.Words {
		if w.Asks {
			asking = append(asking, w)
		} else {
			missing.Names += " " + w.Name
		}
	}
	s.Words, s.Names = asking, nil
	s.Absent = append(slices.Clone(s.Absent), missing)
	return s
}

// Usage returns the word's help: its sentence and its stack comment.
func (w *Word) Usage() string { return w.Help + " " + w.Stack }

// parseStack reads a stack comment and sets the numbers of inputs. Inputs stand left of the
// single dash. Optional ones, in brackets, come first, since they lie deepest. What the word
// takes from the source, in quotes, comes last, since it is put on top.
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

// Inputs returns how many values the word requires, and how many it takes with the optional ones.
func (w *Word) Inputs() (least, most int) { return w.min, w.max }

// checkUserName returns an error if a string cannot be a name: names have 1 to 32 printable ASCII
// characters without white space, double quote and backslash, and do not read as a literal or a
// comment.
func checkUserName(name string) error {
	if err := checkName(name, `"\`); err != nil {
		return err
	}
	if _, ok, _ := ParseLiteral(name); ok || name[0] == '#' || name == "(" {
		return fmt.Errorf("%s cannot be a name: it reads as something else", Quote(name))
	}
	return nil
}

// checkName checks the length and the characters of a name. Names of built-in words may have
// characters that are forbidden in others.
func checkName(name, forbidden string) error {
	if name == "" {
		return fmt.Errorf("a name cannot be empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("name %s is longer than %d characters", abbreviate(Quote(name)), maxName)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte(forbidden, c) >= 0 {
			return fmt.Errorf("name %s has a character that names cannot have; they are printable ASCII without blanks, \" and \\", Quote(name))
		}
	}
	return nil
}
