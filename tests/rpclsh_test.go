// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bufio"
	"bytes"
	"fmt"
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

// What asks for more memory than ulimit grants ends in an error, as anything else does.
func TestLimitedMemory(t *testing.T) {
	rpclsh := netlab.Build(t, "./cmd/rpclsh")
	shell := func(kilobytes int, line string) (status int, errs string) {
		cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -v %d && exec "$0" -e "$1"`, kilobytes), rpclsh, line)
		var b bytes.Buffer
		cmd.Stderr = &b
		cmd.Run()
		return cmd.ProcessState.ExitCode(), b.String()
	}
	const name = `dup "n" swap str.cat`
	for line, want := range map[string]string{
		`: w 0 begin 1+ ` + name + ` "x" 65000 str.repeat swap ! again ; w`:                                                          "the dictionary would hold more than",
		`: w 0 begin 1+ ` + name + ` 1000000 swap buffer again ; w`:                                                                  "the dictionary would hold more than",
		`: w 0 begin 1+ ` + name + ` "dup drop " 6000 str.repeat swap !! again ; w`:                                                  "the dictionary would hold more than",
		`: w 0 begin 1+ ":noname " "1 drop " 6000 str.repeat str.cat " ; \"n" str.cat over str.cat "\" !" str.cat execute again ; w`: "the dictionary would hold more than",
		`: w 4000 0 do "y" 60000 str.repeat i str.cat loop ; : v 4000 0 do "z" 60000 str.repeat i str.cat >r loop w ; v`:             "out of memory",
		`: w 4000 0 do "y" 60000 str.repeat drop loop ; 20 0 do w loop 1 0 /`:                                                        "division by zero", // nothing stays
	} {
		status, errs := shell(2000000, line)
		if status != 1 || !strings.HasPrefix(errs, "error: -e:1:") || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %.300s", line, status, errs)
		}
	}
}
