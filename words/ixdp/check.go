package ixdp

import (
	"fmt"

	"ethertap/interp"
)

// check prints every term of every account and says whether it closes.
func (w words) check(s *interp.Session) error {
	ports := w.engine.Ports()
	failed := ""
	for _, b := range w.engine.Balances() {
		if b.Name == "rx" {
			s.Printf("%d %s\n", b.Interface, ports[b.Interface].Name)
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
		if failed == "" {
			failed = fmt.Sprintf("interface %d: %s does not close: difference %d", b.Interface, b.Name, b.Difference)
		}
	}
	if failed != "" {
		return fmt.Errorf("%s", failed)
	}
	return nil
}
