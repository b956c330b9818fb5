package tests

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// watch at a prompt on a terminal, here and through control: it draws again and again
// in the same place until a key, and the prompt is there afterwards.
func TestWatchOnTerminal(t *testing.T) {
	t.Run("rpclsh", func(t *testing.T) {
		watchOnTerminal(t, exec.Command(netlab.Build(t, "./cmd/rpclsh")))
	})
	t.Run("control", func(t *testing.T) {
		r := newRig(t)
		r.daemon()
		watchOnTerminal(t, r.command(r.control, "ethertap"))
	})
}

func watchOnTerminal(t *testing.T, program *exec.Cmd) {
	t.Helper()
	script := netlab.RequireTool(t, "script") // gives the program a terminal
	var quoted []string
	for _, a := range program.Args {
		quoted = append(quoted, "'"+a+"'")
	}
	cmd := exec.Command(script, "-qefc", "stty cols 60 rows 10; "+strings.Join(quoted, " "), os.DevNull)
	cmd.Env = append(os.Environ(), program.Env...)
	cmd.Env = append(cmd.Env, "TERM=xterm", "HOME="+t.TempDir())
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen := make(chan []byte, 1024)
	cmd.Stdout = writes(screen)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	patience := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer patience.Stop()
	var seen strings.Builder
	expect := func(want string) {
		t.Helper()
		for !strings.Contains(seen.String(), want) {
			select {
			case b := <-screen:
				seen.Write(b)
			case <-time.After(30 * time.Second):
				t.Fatalf("no %q on the screen: %q", want, seen.String())
			}
		}
		_, rest, _ := strings.Cut(seen.String(), want)
		seen.Reset()
		seen.WriteString(rest)
	}
	press := func(text string) {
		t.Helper()
		if _, err := keys.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	expect("ok ")
	press("0 n !\r")
	expect("ok ")
	press(`"n @ \"beat %d\" str.format . 1 n +!" 10 watch` + "\r")
	expect("\x1b[H\x1b[J")     // the screen is cleared once
	expect("every 10ms: n @")  // the line is above
	expect("beat 0\x1b[K")     // and what it prints below
	expect("\x1b[H")           // drawn in the same place
	expect("beat 1\x1b[K\r\n") // with what was there before cleared
	expect("\x1b[J")
	press("q")
	expect("ok ")
	press("\"still\" \"here\" str.cat .\r")
	expect("stillhere")
	expect("ok ")
	press("\x04")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %q", err, seen.String())
	}
}

// writes hands what is written to a channel.
type writes chan<- []byte

func (w writes) Write(p []byte) (int, error) {
	w <- append([]byte(nil), p...)
	return len(p), nil
}
