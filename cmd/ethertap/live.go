// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"ethertap/cmd/internal/live"
	"ethertap/interp"
	"ethertap/interp/console"
)

// liveWord shows the view at the terminal of the session: here, or at the control that is connected.
func (p *program) liveWord() interp.Word {
	return interp.Word{
		Name: live.Name, Stack: "( - )", Asks: true,
		Help: "show rates, senders, the TAP queue and events on the whole screen, until q is pressed", Example: live.Name,
		Func: func(s *interp.Session) error {
			err := s.View(live.Name)
			if errors.Is(err, interp.ErrNoTerminal) || errors.Is(err, console.ErrNoScreen) {
				return errors.New("needs a terminal; type at one: " + controlling(p.name) + " live")
			}
			return err
		},
	}
}

// liveView is the view of this ethertap. It has a session of its own.
func (p *program) liveView(s *console.Screen) error {
	var out bytes.Buffer
	session := interp.NewSession(p.dict, strings.NewReader(""), &out, io.Discard)
	return live.Show(s, func(line string) (string, error) {
		out.Reset()
		err := session.Interpret(line)
		session.Flush()
		return out.String(), err
	})
}
