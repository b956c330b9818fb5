// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"encoding/json"

	"ethertap/lib/predicate"
)

// Filter chooses frames by a predicate. It is a plain value, which can be compared with ==.
// The zero value chooses nothing: it is no filter.
type Filter struct {
	Source string         // what the user wrote: the name of a word, or an expression
	Tree   predicate.Expr // what that meant when it was written; nil: there is no filter
}

// MarshalJSON implements json.Marshaler: an object with source and printed tree, both "" if there
// is no filter.
func (f Filter) MarshalJSON() ([]byte, error) {
	text := struct {
		Source string `json:"source"`
		Tree   string `json:"tree"`
	}{Source: f.Source}
	if f.Tree != nil {
		text.Tree = predicate.Text(f.Tree)
	}
	return json.Marshal(text)
}

// Filters says whether a filter is asked about the frames received on an interface, of so many.
func (p *Policy) Filters(port, ports int) bool {
	if p.DropFilter.Tree != nil || p.FaultFilter.Tree != nil && p.Ports[port].Fault.Enabled {
		return true
	}
	for i := range p.Taps {
		t, out := &p.Taps[i], ports-1-port
		if t.RX[port] && t.RXFilter[port].Tree != nil || t.TX[out] && t.TXFilter[out].Tree != nil {
			return true
		}
	}
	return false
}
