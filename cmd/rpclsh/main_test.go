// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files are the scripts of the tests, by name.
var files = map[string]string{
	"args.rpcl":   "#!/usr/bin/env rpclsh\nargc . argc 1+ 0 do i argv . loop\n",
	"filter.rpcl": ": lines ( - n )\n  0 begin read-line while str.upper . 1+ repeat drop ;\nlines \"%d lines\" str.format .\n",
	"status.rpcl": "3 exit-status\n1 .\n",
	"bye.rpcl":    "4 exit-status \"leaving\" . bye\n5 .\n",
	"bad.rpcl":    "1 .\n2 +\nnosuch @\n",
	"open.rpcl":   ": f 1\n",
	"outer.rpcl":  "\"inner\" load\n",
	"inner.rpcl":  "\"inner here\" .\n",
	"bytes.rpcl":  "\x00\xff\xfe\n",
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, c := range []struct {
		args   string
		stdin  string
		out    string
		err    string // what standard error holds
		status int
	}{
		{args: "-e 3|-e .", out: "3\n"},
		{args: "-e 1 .|args.rpcl|a|-b|--c=d", out: "1\n3\nargs.rpcl\na\n-b\n--c=d\n"},
		{args: "args.rpcl", out: "0\nargs.rpcl\n"},
		{args: "filter.rpcl", stdin: "one\ntwo\r\nthree", out: "ONE\nTWO\nTHREE\n3 lines\n"},
		{args: "filter.rpcl", out: "0 lines\n"},
		{args: "status.rpcl", out: "1\n", status: 3},
		{args: "bye.rpcl", out: "leaving\n", status: 4},
		{args: "-e 7 exit-status", status: 7},
		{args: "-e 1|-e  dupp", err: "warning: -e:2:2: dupp: no such word; left on the stack as a string; did you mean dup?\n"},
		{args: "-e eth7|-e .", out: "eth7\n"}, // a later line takes it
		{args: "-e quit|-e 1 .", out: ""},
		{args: "bad.rpcl", out: "1\n", err: "error: bad.rpcl:3:8: @: no variable \"nosuch\"\n", status: 1},
		{args: "open.rpcl", err: "error: open.rpcl:1:1: : is not closed at the end of the source\n", status: 1},
		{args: "none.rpcl", err: "error: \"none.rpcl\": no such file or directory\n", status: 1},
		{args: ".", err: "error: .:1:1: is a directory\n", status: 1},
		{args: "bytes.rpcl", err: "error: bytes.rpcl:1:1: ", status: 1},
		{args: "outer.rpcl", out: "inner here\n"},
		{args: "-|x|y", stdin: "argc . 2 argv .\n", out: "2\ny\n"},
		{args: "", stdin: "1 2 + .\nread-line . .\na line\n9 .", out: "3\n-1\na line\n9\n"},
		{args: "", stdin: "1 .\n+\n2 .\n", out: "1\n", err: "error: stdin:2:1: +: stack underflow ( [n1] n2 - sum )\n", status: 1},
		{args: "", stdin: "1 .\n5 exit-status bye\n2 .\n", out: "1\n", status: 5},
		{args: "-i|-e 1 .", stdin: "2 .\n", out: "1\nok 2\nok \n"},
		{args: "-i|-e 6 exit-status", stdin: "2 .\n", out: "ok 2\nok \n", status: 6},
		{args: "-e key . key? .", stdin: "ab", out: "97\n-1\n"},
		{args: "-e key .", err: "error: -e:1:1: key: standard input has ended\n", status: 1},
		{args: "-e 1 if", err: "error: -e:1:3: the line ends while if is open\n", status: 1},
		{args: "--nosuch", err: "rpclsh: unknown flag: --nosuch; rpclsh -h shows usage\n", status: 2},
		{args: "-h", out: usage},
	} {
		var args []string
		if c.args != "" {
			for a := range strings.SplitSeq(c.args, "|") {
				if option, rest, ok := strings.Cut(a, " "); ok && option == "-e" {
					args = append(args, "-e", rest)
				} else {
					args = append(args, a)
				}
			}
		}
		var out, errs bytes.Buffer
		status := run(args, strings.NewReader(c.stdin), &out, &errs)
		if out.String() != c.out || !strings.HasPrefix(errs.String(), c.err) || (c.err == "") != (errs.Len() == 0) || status != c.status {
			t.Errorf("rpclsh %s: status %d\n%s%s\nand not %d\n%s%s", c.args, status, &out, &errs, c.status, c.out, c.err)
		}
	}
}

// A long script runs to its end; a file of garbage ends in one line, soon.
func TestLargeFiles(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("1 2 + drop : w ( - n ) 3 ;\n", 100_000) + "w .\n"
	random := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 10<<20)
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	for _, c := range []struct {
		name, text  string
		out         string
		status, say int // lines of standard error
	}{
		{"long.rpcl", long, "3\n", 0, 0},
		{"garbage.rpcl", string(garbage), "", 1, 1},
		{"oneline.rpcl", strings.Repeat("x", 10<<20), "", 1, 1},
	} {
		file := filepath.Join(dir, c.name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		status := run([]string{file}, strings.NewReader(""), &out, &errs)
		if status != c.status || out.String() != c.out || strings.Count(errs.String(), "\n") != c.say {
			t.Errorf("%s: status %d, %.100q, %.300q", c.name, status, &out, &errs)
		}
	}
}
