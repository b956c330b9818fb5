package tests

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ethertap/tests/netlab"
)

// A script is a program like others: its first line names the shell, it has arguments,
// stands in a pipeline, and its exit status is its own.
func TestScriptIsProgram(t *testing.T) {
	rpclsh := netlab.Build(t, "./cmd/rpclsh")
	script := filepath.Join(t.TempDir(), "number-lines")
	text := "#!" + rpclsh + "\n" +
		": number ( - n ) 0 begin read-line while over 1+ 1 argv rot 3 \" \" str.join . 1+ repeat drop ;\n" +
		"number dup 2 > if 9 exit-status then drop\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `printf 'a\nb\nc\n' | "$0" line | tr a-z A-Z; printf 'x\n' | "$0" line; echo $?; printf '1\n2\n3\n' | "$0" line >/dev/null; echo $?`, script)
	out, err := cmd.CombinedOutput()
	if want := "1 LINE A\n2 LINE B\n3 LINE C\n1 line x\n0\n9\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%s and not\n%s", err, out, want)
	}
}

// watch at a pipe prints again and again until it is interrupted; so does anything else
// that waits.
func TestInterruptedShell(t *testing.T) {
	rpclsh := netlab.Build(t, "./cmd/rpclsh")
	for _, c := range []struct{ line, first, err string }{
		{`"\"seen\" ." 10 watch`, "seen", "error: -e:1:17: watch: interrupted\n"},
		{`"seen" . 100000000 ms`, "seen", "error: -e:1:20: ms: interrupted\n"},
		{`"seen" . read-line`, "seen", "error: -e:1:10: read-line: interrupted\n"},
		{`"seen" . begin again`, "seen", "error: -e:1:16: interrupted\n"},
	} {
		cmd := exec.Command(rpclsh, "-e", c.line)
		stdin, err := cmd.StdinPipe() // stays open: nobody writes
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		if !lines.Scan() || lines.Text() != c.first {
			t.Errorf("%s: the first line is %q", c.line, lines.Text())
		}
		if strings.Contains(c.line, "watch") && !(lines.Scan() && lines.Text() == "" && lines.Scan() && lines.Text() == c.first) {
			t.Errorf("%s does not print again: %q", c.line, lines.Text())
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
		}
		err = cmd.Wait()
		stdin.Close()
		if cmd.ProcessState.ExitCode() != 130 || errs.String() != c.err {
			t.Errorf("%s: %v, %q", c.line, err, &errs)
		}
	}
}
