// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func init() {
	// Under nohup SIGHUP is ignored, and so would it be by the programs under test; a signal that
	// is caught is the default again in them.
	if testing.Testing() {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
}

// Process is a running program whose output is kept. It is ended when the test
// ends: by SIGTERM, then SIGKILL, and it dies with the test process too.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended and all output is in

	mu      sync.Mutex
	out     bytes.Buffer // both in the order of arrival
	stdout  bytes.Buffer
	stderr  bytes.Buffer
	changed chan struct{} // closed and renewed with every output
}

// Start runs a program inside the namespace.
func (n *Namespace) Start(name string, args ...string) *Process {
	n.t.Helper()
	return StartProcess(n.t, n.Command(name, args...))
}

// StartProcess runs a command with its standard streams in the hands of the
// test; it must not have any yet.
func StartProcess(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	p.stdin = stdin
	cmd.Stdout = outputWriter{p, &p.stdout}
	cmd.Stderr = outputWriter{p, &p.stderr}
	// A daemon may keep the output open after its parent has gone.
	cmd.WaitDelay = time.Second
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	go func() {
		// How it ended is read from the ProcessState.
		_ = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s: %s\n%s", cmd, cmd.ProcessState, p.Output())
		}
	})
	return p
}

// end stops the process for good.
func (p *Process) end() {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if p.Signal(sig) != nil {
			break
		}
		select {
		case <-p.done:
			return
		case <-time.After(5 * time.Second):
		}
	}
	<-p.done
}

// outputWriter keeps output and wakes those who wait for it.
type outputWriter struct {
	p    *Process
	into *bytes.Buffer
}

func (w outputWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.into.Write(b)
	w.p.out.Write(b)
	close(w.p.changed)
	w.p.changed = make(chan struct{})
	return len(b), nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Write writes to the standard input.
func (p *Process) Write(b []byte) (int, error) { return p.stdin.Write(b) }

// CloseInput ends the standard input.
func (p *Process) CloseInput() error { return p.stdin.Close() }

// Signal sends a signal; os.ErrProcessDone when there is nobody to get it.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stdout is what has been written to the standard output so far.
func (p *Process) Stdout() string { return p.text(&p.stdout) }

// Stderr is what has been written to the standard error so far.
func (p *Process) Stderr() string { return p.text(&p.stderr) }

// Output is Stdout and Stderr mixed as they came.
func (p *Process) Output() string { return p.text(&p.out) }

func (p *Process) text(b *bytes.Buffer) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return b.String()
}

// WaitOutput waits until the output contains the text. It is an error when the
// time is over or the process ends without it.
func (p *Process) WaitOutput(text string, atMost time.Duration) error {
	timeout := time.After(atMost)
	for {
		ended := false
		select {
		case <-p.done:
			ended = true // before the output is looked at the last time
		default:
		}
		p.mu.Lock()
		found, changed := strings.Contains(p.out.String(), text), p.changed
		p.mu.Unlock()
		switch {
		case found:
			return nil
		case ended:
			return fmt.Errorf("%s: ended (%s) without writing %q, but %q", p.cmd, p.cmd.ProcessState, text, p.Output())
		}
		select {
		case <-changed:
		case <-p.done:
		case <-timeout:
			return fmt.Errorf("%s: did not write %q within %s, but %q", p.cmd, text, atMost, p.Output())
		}
	}
}

// Wait waits for the end and returns the exit status, -1 when a signal killed
// the process. It is an error when the time is over first.
func (p *Process) Wait(atMost time.Duration) (status int, err error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(atMost):
		return 0, fmt.Errorf("%s: still running after %s", p.cmd, atMost)
	}
}

// Run runs a command to its end and returns what it wrote and its exit status.
// It ends the test when the command cannot be started or takes longer than a
// minute.
func Run(t testing.TB, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	p := StartProcess(t, cmd)
	if err := p.CloseInput(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatalf("%s: %v", cmd, err)
	}
	status, err := p.Wait(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return p.Stdout(), p.Stderr(), status
}
