package tests

import (
	"io"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/words/core"
)

// Every word of ethertap has an example, and it runs.
func TestExamples(t *testing.T) {
	dict, _ := dictionary(t)
	for _, set := range dict.Sets() {
		for _, w := range set.Words {
			s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
			if err := core.Prelude(s); err != nil {
				t.Fatal(err)
			}
			if w.Example == "" {
				t.Errorf("%s has no example", w.Name)
			}
			if err := s.Run(w.Name, strings.NewReader(w.Example)); err != nil {
				t.Error(err)
			}
		}
	}
}

// Every word, on too few values and on values of every type, ends well or leaves
// the stack as it was.
func TestWrongInputs(t *testing.T) {
	values := []interp.Value{
		interp.NewInt(0), interp.NewInt(-1), interp.NewInt(1 << 40), interp.NewString("x y"), interp.NewData(make([]byte, 7)),
		interp.NewMAC([6]byte{1}), interp.NewUint(interp.Uint64, 1<<63),
	}
	dict, _ := dictionary(t)
	for _, set := range dict.Sets() {
		if set.Name == "control" {
			continue // they need a compiler
		}
		for _, w := range set.Words {
			for _, v := range values {
				for n := range 4 {
					s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
					for range n {
						if err := s.Push(v); err != nil {
							t.Fatal(err)
						}
					}
					err := s.Interpret(w.Name)
					if least, _ := w.Inputs(); n < least && err == nil {
						t.Errorf("%s runs on %d values", w.Name, n)
					}
					if err != nil && !s.Left() && s.Depth() != n {
						t.Errorf("%s fails (%v) and leaves %d values of %d", w.Name, err, s.Depth(), n)
					}
				}
			}
		}
	}
}
