// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
	"ethertap/tests/vt"
)

const (
	// eachKind is how many look at the page, and how many at the terminal view.
	eachKind = 5
	// aimViewed is what is left of the rate when ten look.
	aimViewed = 0.98
	// lookTime is how long viewers look at least: all views change once a second.
	lookTime = 2 * time.Second
)

// viewed compares a bridge that ten look at with one that nobody looks at, at a rate that it carries. The viewers' own
// programs are part of it: they have the cores that are left.
func viewed(t testing.TB, during time.Duration) []rounds.Row {
	during = max(during, lookTime)
	socket := filepath.Join(os.TempDir(), instance()+".http")
	var rows []rounds.Row
	for _, r := range []struct {
		name    string
		kpps    int
		options []string
	}{
		{"fast path at 1000 kpps of 64 bytes", 1000, []string{"--fastpath"}},
		{"threads at 300 kpps of 64 bytes", 300, nil},
	} {
		d := answering(ethertap(r.name, 1, append(r.options, "--http", socket)))
		measured := func(name string, look bool) rounds.Contender {
			d := d
			d.name = name
			return contender(t, d, func(t testing.TB, l *wire.Lab, p *netlab.Process) (float64, error) {
				if look {
					if err := viewers(t, l, p, socket); err != nil {
						return 0, err
					}
				} else {
					time.Sleep(warm)
				}
				rate := float64(r.kpps) * 1000
				n := int(rate * during.Seconds())
				perSecond, arrived, err := l.Offer(l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64, Rate: rate}), n)
				return perSecond * float64(arrived) / float64(n) / 1000, err
			})
		}
		rows = append(rows, rounds.Row{Name: r.name + ", ten viewers", Unit: "kpps", More: true, Ours: measured("ten viewers", true), Peers: []rounds.Peer{
			{Contender: measured("nobody looks", false), Aim: aimViewed}}})
	}
	return rows
}

// viewers lets ten look at an ethertap until the test ends. Each has seen something when viewers returns.
func viewers(t testing.TB, l *wire.Lab, p *netlab.Process, socket string) error {
	first := make(chan error, 2*eachKind)
	for range eachKind {
		if err := lookAtPage(t, socket, first); err != nil {
			return err
		}
		if err := lookAtTerminal(t, l, p, first); err != nil {
			return err
		}
	}
	for range 2 * eachKind {
		select {
		case err := <-first:
			if err != nil {
				return err
			}
		case <-time.After(startTime):
			return errors.New("a viewer sees nothing")
		}
	}
	return nil
}

// lookAtPage reads the changes of the page.
func lookAtPage(t testing.TB, socket string, first chan<- error) error {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	a, err := c.Get("http://localhost/events")
	if err != nil {
		return err
	}
	t.Cleanup(func() { a.Body.Close() })
	go func() {
		in, seen := bufio.NewScanner(a.Body), false
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			if !seen && strings.HasPrefix(in.Text(), "data: ") {
				seen = true
				first <- nil
			}
		}
		if !seen {
			first <- fmt.Errorf("the page of %s ended: %w", socket, in.Err())
		}
	}()
	return nil
}

// lookAtTerminal shows the terminal view.
func lookAtTerminal(t testing.TB, l *wire.Lab, p *netlab.Process, first chan<- error) error {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID()))
	if err != nil {
		return err
	}
	pty := vt.Open(t, 100, 30, func(rune) int { return 1 }, nil)
	cmd := l.Dut.Command(netlab.Build(t, "./cmd/control"), "--name", instance(), "ethertap", "live")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	for _, v := range bytes.Split(environment, []byte{0}) {
		if bytes.HasPrefix(v, []byte("XDG_RUNTIME_DIR=")) { // where its socket is
			cmd.Env = append(cmd.Env, string(v))
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pty.Slave, pty.Slave, pty.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); pty.Wake() }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	go func() {
		over := func() bool { return len(ended) > 0 }
		pty.UntilOr(over, "the overview", func(v *vt.Screen) bool { return strings.Contains(v.String(), "frames/s") })
		if over() {
			err := <-ended
			ended <- err
			first <- fmt.Errorf("control ethertap live ended: %v", err)
			return
		}
		first <- nil
	}()
	return nil
}
