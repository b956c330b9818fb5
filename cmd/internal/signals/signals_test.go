// SPDX-License-Identifier: BSD-3-Clause

package signals

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the program that catches signals and says what it makes of them.
const roleEnv = "SIGNALS_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		// Under nohup SIGHUP is ignored, and so would it be by the children; what is
		// caught here has its default action there.
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
		os.Exit(m.Run())
	}
	if role == "shell" || role == "prompt" {
		shell(role == "prompt")
	}
	if role == "hangs" {
		sameWish = time.Millisecond
	} else {
		sameWish = time.Hour // however slow the machine is
	}
	c := Catch(role == "daemon")
	fmt.Println("up")
	for {
		select {
		case <-c.Hangup:
			fmt.Println("hangup")
		case s := <-c.Stop:
			if <-c.Context().Done(); By(c.Context()) != s {
				fmt.Println("the context is ended by", By(c.Context()))
			}
			fmt.Println("stop:", s)
			if role == "hangs" {
				select {}
			}
			bufio.NewReader(os.Stdin).ReadString('\n') // the end takes its time
			fmt.Println("end")
			os.Exit(0)
		}
	}
}

// shell runs something until it is interrupted: a line of standard input ends it, and
// then it fails.
func shell(prompt bool) {
	sameWish, patience = time.Hour, time.Hour
	running, gone := make(chan struct{}, 8), make(chan struct{})
	s := &Shell{
		Interrupt: func() bool {
			fmt.Println("interrupted")
			running <- struct{}{}
			return true
		},
		Leave: func() {
			fmt.Println("left")
			close(gone) // now the program ends by itself too
			runtime.Gosched()
		},
		Interactive: func() bool { return prompt },
	}
	end := CatchShell(s)
	fmt.Println("up")
	for going := true; going; going = prompt {
		select {
		case <-running:
		case <-gone:
			end()
			os.Exit(7)
		}
	}
	bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(s.Status(1))
}

// start starts it, with a controlling terminal if there is a slave.
func start(t *testing.T, role string, slave *os.File, wrap ...string) (*exec.Cmd, func(want string)) {
	t.Helper()
	args := append(wrap, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdin = input(t)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	if slave != nil {
		cmd.Stdin = slave
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: slave != nil}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	expect := func(want string) {
		t.Helper()
		line, err := r.ReadString('\n')
		if line != want+"\n" && !(want == "" && err == io.EOF) {
			t.Fatalf("it says %q, %v; want %q", line, err, want)
		}
	}
	expect("up")
	return cmd, expect
}

// writers are, by test, the other ends of input.
var writers sync.Map

// input is a pipe that stays open until the test has ended.
func input(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	writers.Store(t.Name(), w)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r
}

// goOn lets the program started last go on.
func goOn(t *testing.T) {
	t.Helper()
	w, _ := writers.Load(t.Name())
	if _, err := w.(*os.File).WriteString("\n"); err != nil {
		t.Fatal(err)
	}
}

func TestSignals(t *testing.T) {
	cmd, expect := start(t, "plain", nil)
	for range 3 {
		cmd.Process.Signal(unix.SIGHUP)
		expect("hangup")
	}
	cmd.Process.Signal(unix.SIGPIPE) // ignored
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	for range 3 { // the same wish: the end is not disturbed
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Process.Signal(unix.SIGINT)
		cmd.Process.Signal(unix.SIGHUP)
	}
	goOn(t)
	expect("end")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A signal that comes later kills a program whose end hangs.
func TestImpatience(t *testing.T) {
	cmd, expect := start(t, "hangs", nil)
	cmd.Process.Signal(unix.SIGINT)
	expect("stop: interrupt")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for again := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-again.C: // until it is later
			cmd.Process.Signal(unix.SIGINT)
			continue
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "interrupt") {
				t.Error("the later signal:", err)
			}
		}
		break
	}
}

// A shell stops what runs on SIGINT and ends with its status; on the others it leaves.
func TestShell(t *testing.T) {
	for _, c := range []struct {
		role    string
		signals []unix.Signal
		says    []string
		status  int
	}{
		{"shell", []unix.Signal{unix.SIGINT}, []string{"interrupted"}, 130},
		{"shell", []unix.Signal{unix.SIGINT, unix.SIGINT, unix.SIGTERM}, []string{"interrupted"}, 130},
		{"shell", []unix.Signal{unix.SIGTERM}, []string{"left"}, 143},
		{"shell", []unix.Signal{unix.SIGHUP}, []string{"left"}, 129},
		{"prompt", []unix.Signal{unix.SIGINT, unix.SIGINT, unix.SIGTERM}, []string{"interrupted", "interrupted", "left"}, 143},
	} {
		cmd, expect := start(t, c.role, nil)
		for i, sig := range c.signals {
			cmd.Process.Signal(sig)
			if i < len(c.says) {
				expect(c.says[i])
			}
		}
		if c.status == 130 {
			goOn(t)
		}
		expect("")
		if cmd.Wait(); cmd.ProcessState.ExitCode() != c.status {
			t.Errorf("%s, %v: %v, not %d", c.role, c.signals, cmd.ProcessState, c.status)
		}
	}
	cmd, expect := start(t, "shell", nil, "nohup")
	cmd.Process.Signal(unix.SIGHUP)
	cmd.Process.Signal(unix.SIGTERM)
	expect("left")
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 143 {
		t.Error("under nohup:", cmd.ProcessState)
	}
}

// With nohup a hangup is nothing in the foreground, and asks a daemon as ever.
func TestNohup(t *testing.T) {
	cmd, expect := start(t, "plain", nil, "nohup")
	cmd.Process.Signal(unix.SIGHUP)
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	goOn(t)
	expect("end")
	cmd.Wait()
	cmd, expect = start(t, "daemon", nil, "nohup")
	cmd.Process.Signal(unix.SIGHUP)
	expect("hangup")
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	goOn(t)
	expect("end")
	cmd.Wait()
}

// While the terminal is there SIGHUP asks; when it is gone it ends.
func TestTerminalGone(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd, expect := start(t, "plain", slave)
	slave.Close()
	cmd.Process.Signal(unix.SIGHUP)
	expect("hangup")
	master.Close()
	expect("stop: hangup")
	expect("end")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
