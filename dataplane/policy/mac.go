// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MACs is a set of addresses in the order of insertion: their bytes, one after the other. It is a
// plain value, which can be compared with == and is never modified. The zero value is the empty
// set. A search takes time proportional to the number of addresses; code that has to be fast
// makes a table of them.
type MACs string

// Len returns the number of addresses.
func (s MACs) Len() int { return len(s) / len(MAC{}) }

// at returns the i-th address.
func (s MACs) at(i int) MAC { return MAC([]byte(s[i*len(MAC{}) : (i+1)*len(MAC{})])) }

// All returns the addresses in the order of insertion; nil if there are none.
func (s MACs) All() []MAC {
	var list []MAC
	for i := range s.Len() {
		list = append(list, s.at(i))
	}
	return list
}

// Has says whether an address is in the set.
func (s MACs) Has(m MAC) bool { return s.index(m) >= 0 }

func (s MACs) index(m MAC) int {
	for rest, at := string(s), 0; ; {
		i := strings.Index(rest, string(m[:]))
		if i < 0 {
			return -1
		}
		if (at+i)%len(m) == 0 {
			return (at + i) / len(m)
		}
		rest, at = rest[i+1:], at+i+1 // it lies across two addresses
	}
}

// With returns the set with addresses added; those present stay where they are.
func (s MACs) With(macs ...MAC) MACs {
	if len(macs) == 1 && s.Has(macs[0]) {
		return s
	}
	seen := make(map[MAC]bool, s.Len()+len(macs))
	if len(macs) > 1 {
		for i := range s.Len() {
			seen[s.at(i)] = true
		}
	}
	b := append(make([]byte, 0, len(s)+len(macs)*len(MAC{})), s...)
	for _, m := range macs {
		if !seen[m] {
			seen[m] = true
			b = append(b, m[:]...)
		}
	}
	return MACs(b)
}

// Without returns the set with addresses removed; absent ones are ignored.
func (s MACs) Without(macs ...MAC) MACs {
	out := make(map[MAC]bool, len(macs))
	for _, m := range macs {
		out[m] = true
	}
	b := make([]byte, 0, len(s))
	for i := range s.Len() {
		if m := s.at(i); !out[m] {
			b = append(b, m[:]...)
		}
	}
	return MACs(b)
}

// MarshalJSON implements json.Marshaler: a list of texts, [] when it is empty.
func (s MACs) MarshalJSON() ([]byte, error) {
	list := s.All()
	if list == nil {
		list = []MAC{}
	}
	return json.Marshal(list)
}

// String returns the addresses with blanks between them, for people.
func (s MACs) String() string {
	var b strings.Builder
	for i := range s.Len() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.at(i).String())
	}
	return b.String()
}
