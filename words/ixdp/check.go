// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"fmt"

	"ethertap/dataplane"
	"ethertap/interp"
)

// books are the accounts of all interfaces, which tell where every frame went.
type books struct {
	Closes   bool      `json:"closes"` // every account closes
	Accounts []account `json:"accounts"`
	Hints    []string  `json:"hints"` // why frames are lost, where that is known, and how to fix that
}

type account struct {
	dataplane.Balance
	InterfaceName string `json:"interface_name"`
}

func (w words) books(*interp.Session) (books, error) {
	v, now := books{Closes: true, Hints: w.engine.Advice()}, w.engine.Snapshot(false)
	for _, b := range now.Balances() {
		v.Accounts = append(v.Accounts, account{b, now.Ports[b.Interface].Name})
		v.Closes = v.Closes && b.Difference == 0
	}
	return v, nil
}

// showBooks prints every term of every account and whether the account closes. Hints go to the
// error output.
func showBooks(s *interp.Session, v books) {
	for _, hint := range v.Hints {
		s.Hint(func() string { return hint })
	}
	for _, b := range v.Accounts {
		if b.Name == "rx" {
			s.Printf("%d %s\n", b.Interface, b.InterfaceName)
		}
		row(s, b.Name, b.N)
		for i, t := range b.Terms {
			sign := "+"
			switch {
			case i == 0:
				sign = "="
			case t.Minus:
				sign = "-"
			}
			row(s, sign+" "+t.Name, t.N)
		}
		if b.Difference == 0 {
			row(s, "difference", "0, closes")
			continue
		}
		row(s, "difference", b.Difference)
	}
}

// check returns an error that names the first account that does not close, or nil.
func (v books) check() error {
	for _, b := range v.Accounts {
		if b.Difference != 0 {
			return fmt.Errorf("interface %d: %s does not close: difference %d", b.Interface, b.Name, b.Difference)
		}
	}
	return nil
}
