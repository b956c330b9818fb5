// SPDX-License-Identifier: BSD-3-Clause

// Package report makes words in pairs: a word that shows values to a person, and its twin, which
// prints the same values as one line of JSON. It does not know what the values are.
package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ethertap/interp"
)

// Schema is the version of the JSON that the words print, the key "schema" of each line. It grows
// when a key disappears or changes its meaning, not when one is added.
const Schema = 1

// Source identifies the program that prints.
type Source struct {
	Instance string // the name of the running program as control and ps show it; the key "instance" of each line
}

// head holds the keys with which every line begins.
type head struct {
	Schema   int       `json:"schema"`
	Instance string    `json:"instance"`
	Time     time.Time `json:"time"` // when the values were read; RFC 3339 with nanoseconds and zone
}

// Pair is a word that shows values, and its twin. Both read the values with Get; only the way
// they print them differs.
type Pair[T any] struct {
	Name, Stack, Help, Example string // of the word that shows; Example calls it once

	Get   func(*interp.Session) (T, error) // takes the inputs from the stack; T is a struct
	Text  func(*interp.Session, T)         // prints for a person
	Check func(T) error                    // nil, or returns an error for values that are wrong; it is called after printing
}

// Words returns the word and its twin.
func (p Pair[T]) Words(from Source) []interp.Word {
	twin := TwinName(p.Name)
	return []interp.Word{
		{Name: p.Name, Stack: p.Stack, Help: p.Help, Example: p.Example, Asks: true, Func: p.function(func(s *interp.Session, v T) error {
			p.Text(s, v)
			return nil
		})},
		{Name: twin, Asks: true, Stack: p.Stack, Help: "print what " + p.Name + " shows as one line of JSON", Example: replaceLast(p.Example, p.Name, twin),
			Func: p.function(func(s *interp.Session, v T) error { return from.print(s, v) })},
	}
}

// function makes the function of a word, given how it prints.
func (p Pair[T]) function(print func(*interp.Session, T) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		v, err := p.Get(s)
		if err != nil {
			return err
		}
		if err := print(s, v); err != nil || p.Check == nil {
			return err
		}
		return p.Check(v)
	}
}

// TwinName returns the name of a word's twin: `if.list.json` for `if.list`, and `tap.hash.json`
// for `tap.hash.show`.
func TwinName(name string) string { return strings.TrimSuffix(name, ".show") + ".json" }

func replaceLast(text, old, new string) string {
	i := strings.LastIndex(text, old)
	if i < 0 {
		return text
	}
	return text[:i] + new + text[i+len(old):]
}

// Flat is one JSON object with the keys of several values, in their order.
type Flat []any

// MarshalJSON implements json.Marshaler.
func (f Flat) MarshalJSON() ([]byte, error) {
	all := []byte{'{'}
	for _, v := range f {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if len(b) <= len("{}") {
			continue
		}
		if len(all) > 1 {
			all = append(all, ',')
		}
		all = append(all, b[1:len(b)-1]...)
	}
	return append(all, '}'), nil
}

// print writes the head and the keys of a struct as one object on a line.
func (from Source) print(s *interp.Session, v any) error {
	line, err := json.Marshal(Flat{head{Schema, from.Instance, time.Now()}, v})
	if err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	s.Print(string(line) + "\n")
	return nil
}
