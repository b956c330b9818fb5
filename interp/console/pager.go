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

// defaultPager is what shows long output where PAGER names nothing.
const defaultPager = "less"

// Page implements interp.Terminal: the program that PAGER names gets the terminal until it
// ends. Like git, it has less end at once when the text fits on the screen.
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
	return nil // that it was left before the end of the text is no error
}

// lend gives the terminal to another program: its mode is as that expects, and no key is
// read. What ends the program is called when the terminal is closed. False says that it
// is not ours to lend.
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
	mode.Lflag &^= unix.ISIG // Ctrl-C is the program's, and no signal to us
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
