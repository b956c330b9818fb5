package signals

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	c := Catch(role == "daemon")
	fmt.Println("up")
	for {
		select {
		case <-c.Hangup:
			fmt.Println("hangup")
		case s := <-c.Stop:
			fmt.Println("stop:", s)
			if role == "hangs" {
				select {}
			}
			c.Release()
			os.Exit(0)
		}
	}
}

// start starts it, with a controlling terminal if there is a slave.
func start(t *testing.T, role string, slave *os.File, wrap ...string) (*exec.Cmd, func(want string)) {
	t.Helper()
	args := append(wrap, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
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

func TestSignals(t *testing.T) {
	cmd, expect := start(t, "plain", nil)
	for range 3 {
		cmd.Process.Signal(unix.SIGHUP)
		expect("hangup")
	}
	cmd.Process.Signal(unix.SIGPIPE) // ignored
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	cmd, expect = start(t, "hangs", nil)
	cmd.Process.Signal(unix.SIGINT)
	expect("stop: interrupt")
	cmd.Process.Signal(unix.SIGINT) // the second one is not caught
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "interrupt") {
		t.Error("the second signal:", err)
	}
}

// With nohup a hangup is nothing in the foreground, and asks a daemon as ever.
func TestNohup(t *testing.T) {
	cmd, expect := start(t, "plain", nil, "nohup")
	cmd.Process.Signal(unix.SIGHUP)
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	cmd.Wait()
	cmd, expect = start(t, "daemon", nil, "nohup")
	cmd.Process.Signal(unix.SIGHUP)
	expect("hangup")
	cmd.Process.Signal(unix.SIGTERM)
	expect("stop: terminated")
	cmd.Wait()
}

// While the terminal is there SIGHUP asks; when it is gone it ends.
func TestTerminalGone(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd, expect := start(t, "plain", slave)
	slave.Close()
	cmd.Process.Signal(unix.SIGHUP)
	expect("hangup")
	master.Close()
	expect("stop: hangup")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
