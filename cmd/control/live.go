// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"ethertap/cmd/internal/live"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/interp/console"
)

// liveView is the view of an instance. It has a connection of its own, beside that of a prompt.
func liveView(in rundir.Info) console.View {
	return func(s *console.Screen) error {
		l := &line{instance: in}
		defer l.close()
		return live.Show(s, l.ask)
	}
}

// watched shows the view of an instance on the terminal.
func watched(in rundir.Info, caught *signalled, stdin io.Reader, stdout, stderr io.Writer) int {
	con := console.New(stdin, stdout, stderr)
	caught.shows(con)
	if con.Terminal() {
		signals.Jobs(con.Suspend, con.Resume)
		signals.Resized(con.Resized)
	}
	if err := con.Show(liveView(in)); err != nil {
		if errors.Is(err, console.ErrNoScreen) {
			err = errors.New("live needs a terminal for its input and output")
		}
		fmt.Fprintf(stderr, "control: %v\n", err)
		return failed
	}
	return ok
}

// line is a connection to an ethertap. It is made again when it was lost, since the ethertap may
// have been restarted.
type line struct {
	instance rundir.Info

	mu     sync.Mutex
	client *console.Client // nil: none
	over   bool            // close was called
}

// ask implements live.Ask.
func (l *line) ask(words string) (string, error) {
	cl, err := l.connected()
	if err != nil {
		return "", err
	}
	var out, errs bytes.Buffer
	r, err := cl.Eval(words, &out, &errs)
	switch {
	case err != nil:
		l.drop(cl)
		return "", err
	case r.Failed:
		return "", errors.New(strings.TrimPrefix(strings.TrimSpace(errs.String()), "error: "))
	}
	return out.String(), nil
}

// connected returns the connection, which it makes if there is none. That may take seconds.
func (l *line) connected() (*console.Client, error) {
	l.mu.Lock()
	cl := l.client
	l.mu.Unlock()
	if cl != nil {
		return cl, nil
	}
	cl, err := dial(l.instance)
	if err != nil {
		return nil, reason(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		cl.Close()
		return nil, net.ErrClosed
	}
	l.client = cl
	return cl, nil
}

// drop closes a connection that is lost. The next ask makes another.
func (l *line) drop(cl *console.Client) {
	cl.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = nil
}

// close closes the connection, which ends an ask that waits for an answer.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.client != nil {
		l.client.Close()
	}
}
