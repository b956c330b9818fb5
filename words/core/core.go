// SPDX-License-Identifier: BSD-3-Clause

// Package core is the word set of the language itself: stack, arithmetic,
// variables, printing, data and networking types, files. It knows the VM and the
// embedded library, and no application.
package core

import (
	"slices"

	"ethertap/interp"
	"ethertap/lib"
)

// Set returns the core words.
func Set() interp.Set {
	var words []interp.Word
	for _, table := range [][]interp.Word{
		stackWords, arithmeticWords, variableWords, defineWords, bufferWords, errorWords, stringWords, convertWords, dataWords, rangeWords,
		printWords, timeWords, watchWords, sourceWords, scriptWords, helpWords,
	} {
		words = append(words, table...)
	}
	for i := range words {
		words[i].Asks = !slices.Contains(outside, words[i].Name)
	}
	return interp.Set{
		Name:     "core",
		Help:     "the language: stack, numbers, variables, strings, data, addresses, printing, time, files, help",
		Prefixes: []string{"str.", "data.", "range.", "buffer."},
		Absent:   absent,
		Leads:    map[string]string{"?": "help"},
		Words:    words,
		Names:    loadable,
	}
}

// outside are the words that read files, or what the process was given.
var outside = []string{"load", "load-if-present", "getenv", "argc", "argv"}

// Prelude runs the embedded prelude in a session. It defines compound words in the dictionary of
// the session.
func Prelude(s *interp.Session) error {
	f, err := lib.Files.Open(lib.Prelude)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.Run(lib.Prelude, f)
}
