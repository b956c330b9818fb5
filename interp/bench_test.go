// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"fmt"
	"testing"
)

// BenchmarkWords runs b.N rounds of a loop inside the VM for each word, so that a round is a few
// words and no line is read.
func BenchmarkWords(b *testing.B) {
	for _, c := range []struct{ name, define, round string }{
		{"loop", "", ""},
		{"arithmetic", "", "dup 3 * 7 and drop"},
		{"call", ": id ;", "id id"},
		{"variable", "5 v !", "v @ v !"},
		{"typed", ": id ( mac - mac ) ;", "00:00:00:00:00:01 id drop"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, _ := session(b)
			if err := s.Interpret(c.define); err != nil {
				b.Fatal(err)
			}
			if err := s.Interpret(fmt.Sprintf(": bench begin %s 1 - dup 0= until drop ;", c.round)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := s.Interpret(fmt.Sprintf("%d bench", b.N)); err != nil {
				b.Fatal(err)
			}
		})
	}
}
