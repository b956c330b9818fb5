// Package port takes interfaces from the stack, for all sets of words that ask for one.
package port

import (
	"fmt"
	"strings"

	"ethertap/dataplane"
	"ethertap/interp"
)

// Pop takes an interface of the engine, by its number or by its name, and returns the
// number. The error lists the interfaces that there are.
func Pop(s *interp.Session, e *dataplane.Engine) (int, error) {
	v, err := s.Pop()
	if err != nil {
		return 0, err
	}
	asked := interp.Shown(v)
	if n, err := v.Int(); err == nil {
		if n >= 0 && n < int64(len(e.Ports())) {
			return int(n), nil
		}
		asked = fmt.Sprint(n)
	} else if name, err := v.Str(); err == nil {
		if i, ok := e.PortNamed(name); ok {
			return i, nil
		}
	}
	var list []string
	for _, p := range e.Ports() {
		list = append(list, fmt.Sprintf("%d %s", p.Index, p.Name))
	}
	return 0, fmt.Errorf("there is no interface %s, only %s", asked, strings.Join(list, " and "))
}
