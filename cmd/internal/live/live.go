// SPDX-License-Identifier: BSD-3-Clause

// Package live is the terminal view of an ethertap: rates with plots, senders, the TAP queue and
// events, on a screen that changes once a second. It reads the JSON that words print
// (docs/json.md); its caller runs the words. It does not know the dataplane or the protocol of
// control.
//
// Bubble Tea draws the differences between two pictures, at most ten times a second. Keys come from
// the console, which remains the reader of the terminal. Therefore Bubble Tea sends no queries to
// the terminal, whose answers could arrive in the line that is edited afterwards.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"ethertap/interp"
	"ethertap/interp/console"
	"ethertap/lib/keys"
)

// Name is the name of the view in console.Options, and of the word that shows it.
const Name = "live"

// every is the time between two looks.
const every = time.Second

// Show shows the view of an ethertap, which ask asks, until its user leaves it or the terminal is
// closed. Both are no error.
func Show(s *console.Screen, ask Ask) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	return show(s, ask, ticker.C)
}

// show is Show with a look at each tick.
func show(s *console.Screen, ask Ask, ticks <-chan time.Time) error {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	columns, rows := s.Size()
	m := &model{ask: ask, ticks: ticks, state: newState(), style: newStyles(s.Styled()), width: columns, height: rows}
	const drawings = 10 // a second
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(nil), tea.WithOutput(s), tea.WithoutSignalHandler(),
		tea.WithFPS(drawings), tea.WithColorProfile(colorprofile.ANSI), tea.WithWindowSize(columns, rows))
	ended := make(chan error, 1)
	go func() {
		_, err := p.Run()
		s.Over()
		ended <- err
	}()
	go resize(ctx, p, s)
	keysErr := pressed(p, s)
	if keysErr != nil {
		leave() // the terminal is gone or is being closed
	}
	err := <-ended
	switch {
	case errors.Is(keysErr, interp.ErrInterrupted), errors.Is(err, tea.ErrProgramKilled) && errors.Is(keysErr, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", Name, err)
	}
	return nil
}

// pressed sends keys to the program until there are no more.
func pressed(p *tea.Program, s *console.Screen) error {
	for {
		key, _, err := keys.Reader(s.Key).Next(-1)
		if err != nil {
			return err
		}
		if key != "" {
			p.Send(key)
		}
	}
}

// resize tells the program when the size of the screen has changed or the screen has to be drawn
// anew.
func resize(ctx context.Context, p *tea.Program, s *console.Screen) {
	for {
		select {
		case <-s.Changed():
			columns, rows := s.Size()
			p.Send(tea.WindowSizeMsg{Width: columns, Height: rows})
		case <-ctx.Done():
			return
		}
	}
}
