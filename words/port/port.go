// SPDX-License-Identifier: BSD-3-Clause

// Package port takes interfaces from the stack, for all words that ask for one. It knows
// only the names of the interfaces.
package port

import (
	"fmt"
	"strings"

	"ethertap/interp"
)

// Names are the names of the interfaces, by number; dataplane.Engine has them. Neither method
// waits, not even for an interface that is being attached.
type Names interface {
	PortNames() []string
	PortNamed(name string) (port int, ok bool) // accepts alternative names too
}

// Pop takes an interface from the stack, given by its number or its name, and returns the
// number. The error lists the interfaces that there are.
func Pop(s *interp.Session, ports Names) (int, error) {
	v, err := s.Pop()
	if err != nil {
		return 0, err
	}
	names, asked := ports.PortNames(), interp.Shown(v)
	if n, err := v.Int(); err == nil {
		if n >= 0 && n < int64(len(names)) {
			return int(n), nil
		}
		asked = fmt.Sprint(n)
	} else if name, err := v.Str(); err == nil {
		if i, ok := ports.PortNamed(name); ok {
			return i, nil
		}
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", i, name)
	}
	return 0, fmt.Errorf("there is no interface %s, only %s", asked, strings.Join(names, " and "))
}
