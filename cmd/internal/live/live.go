// Package live is the terminal view of an ethertap: rates with plots, who sends, how full the TAP
// queue is, and what happens, on a screen that changes once a second. It reads the JSON that
// words print (docs/json.md), by whatever way its caller reaches an ethertap, and knows neither the
// dataplane nor the protocol of control.
//
// Bubble Tea draws: what changed, at most ten times a second. Keys come from the console, which
// stays the reader of the terminal; so Bubble Tea asks the terminal nothing, whose answers would
// stand in the line that is edited afterwards.
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
)

// Name is the view's among those of a console, and the word's that shows it.
const Name = "live"

// every is the time between two looks.
const every = time.Second

// Show shows the view of the ethertap that ask reaches until its user leaves it, which is no error.
func Show(s *console.Screen, ask Ask) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	return show(s, ask, ticker.C)
}

// show shows the view until it is left, with a look at each tick.
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
		leave() // the terminal is gone, or is to be given back
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

// pressed hands keys to the program until there are no more.
func pressed(p *tea.Program, s *console.Screen) error {
	for {
		key, err := nextKey(s)
		if err != nil {
			return err
		}
		if key != "" {
			p.Send(key)
		}
	}
}

// resize tells the program whenever the screen has another size, or is to be drawn anew.
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
