// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// defaultPager shows long output if PAGER names no program.
const defaultPager = "less"

// Page implements interp.Terminal: the program that PAGER names gets the terminal until it ends.
// As with git, less ends at once if the text fits on the screen.
func (t *terminal) Page(text string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !t.lend(cancel) {
		_, err := t.screen.WriteString(text)
		return err
	}
	defer t.takeBack()
	cmd := exec.CommandContext(ctx, "sh", "-c", cmp.Or(os.Getenv("PAGER"), defaultPager))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), t.screen, t.screen
	cmd.Env = os.Environ()
	if os.Getenv("LESS") == "" {
		cmd.Env = append(cmd.Env, "LESS=FRX")
	}
	cmd.WaitDelay = time.Second // a child of the shell may outlive it
	err := cmd.Run()
	const notFound, notExecutable = 127, 126
	switch code := cmd.ProcessState.ExitCode(); {
	case cmd.ProcessState == nil, code == notFound, code == notExecutable:
		return fmt.Errorf("pager %s: %w", cmd.Args[2], err)
	}
	return nil // leaving it before the end of the text is not an error
}

// lend gives the terminal to another program: it sets the mode that programs expect, and reads no
// keys. end, which ends the program, is called when the terminal is closed. lend returns false if
// the terminal is not ours.
func (t *terminal) lend(end func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started || t.closed || t.away || t.eof || t.lent != nil {
		return false
	}
	t.lent = end
	t.rouse()
	for !t.resting && !t.eof {
		t.cond.Wait()
	}
	t.bracket(false)
	mode := t.saved
	mode.Lflag &^= unix.ISIG // Ctrl-C belongs to the program, and sends us no signal
	unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, &mode)
	return true
}

// takeBack ends what lend began.
func (t *terminal) takeBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lent = nil
	if t.closed || t.background() {
		return
	}
	unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.mode(t.saved))
	t.bracket(true)
	t.rouse()
}
