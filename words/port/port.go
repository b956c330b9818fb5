// Package port takes interfaces from the stack, for all sets of words that ask for one.
package port

import (
	"fmt"
	"strings"

	"ethertap/dataplane"
	"ethertap/interp"
)

// Pop takes an interface of the engine, by its number or by its name, and returns the
// number. It waits for no interface that is being attached. The error lists the interfaces that there are.
func Pop(s *interp.Session, e *dataplane.Engine) (int, error) {
	v, err := s.Pop()
	if err != nil {
		return 0, err
	}
	names, asked := e.PortNames(), interp.Shown(v)
	if n, err := v.Int(); err == nil {
		if n >= 0 && n < int64(len(names)) {
			return int(n), nil
		}
		asked = fmt.Sprint(n)
	} else if name, err := v.Str(); err == nil {
		if i, ok := e.PortNamed(name); ok {
			return i, nil
		}
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", i, name)
	}
	return 0, fmt.Errorf("there is no interface %s, only %s", asked, strings.Join(names, " and "))
}
