// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/rundir"
	"ethertap/interp"
	"ethertap/interp/console"
)

// The tests start this binary again as the instances to be controlled: they have
// to be processes of their own, since stop signals them.
const instanceEnv = "ETHERTAP_TEST_INSTANCE"

func TestMain(m *testing.M) {
	if what := os.Getenv(instanceEnv); what != "" {
		os.Exit(instance(what))
	}
	os.Exit(m.Run())
}

// instance is a program in the background: "program name [deaf]".
func instance(what string) int {
	f := strings.Fields(what)
	if f[1] == "PID" {
		f[1] = fmt.Sprint(os.Getpid())
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	in, err := rundir.Register(context.Background(), f[0], f[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer in.Close()
	dict, err := interp.NewDict(interp.Set{Name: "test", Help: "words for tests", Words: []interp.Word{
		{Name: ".", Stack: "( item - )", Help: "prints", Func: func(s *interp.Session) error {
			v, err := s.Pop()
			if err == nil {
				s.Print(v.Source() + "\n")
			}
			return err
		}},
		{Name: "bye", Stack: "( - )", Help: "leaves", Func: func(s *interp.Session) error { return s.Leave() }},
	}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	server := console.NewServer(dict, f[1], console.ServerOptions{})
	if f[0] == "ethertap" {
		l, err := console.Listen(in.SocketPath(), console.OwnGroup)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		go server.Serve(l)
		defer server.Close()
	}
	fmt.Println("ready")
	for {
		<-signals
		if len(f) < 3 {
			return 0
		}
	}
}

// start runs an instance until the test ends, and returns its PID.
func start(t *testing.T, what string) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), instanceEnv+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("instance %s: %q, %v", what, line, err)
	}
	return cmd.Process.Pid
}

// control runs the program and compares all that comes of it.
func control(t *testing.T, args, stdin string, status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	var in io.Reader = strings.NewReader(stdin)
	split := strings.Split(args, "|")
	got := run(slices.DeleteFunc(split, func(s string) bool { return s == "" }), in, &out, &errs)
	if got != status || out.String() != stdout || errs.String() != stderr {
		t.Errorf("control %s: status %d, %q, %q; want %d, %q, %q", args, got, out.String(), errs.String(), status, stdout, stderr)
	}
}

func ownRunDir(t *testing.T) {
	t.Helper()
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "run"))
}

func TestNothingRuns(t *testing.T) {
	ownRunDir(t)
	control(t, "collect|status", "", 1, "no collect running\n", "")
	control(t, "collect|stop", "", 1, "", "no collect running\n")
	control(t, "ethertap", "", 1, "", "no ethertap running\n")
	control(t, "ethertap|-e|1 .", "", 1, "", "no ethertap running\n")
	control(t, "ethertap|status|--name|lab", "", 1, "no ethertap lab running\n", "")
}

func TestPrompt(t *testing.T) {
	ownRunDir(t)
	pid := start(t, "ethertap ethertap")
	control(t, "ethertap|status", "", 0, fmt.Sprintf("ethertap PID %d running\n", pid), "")
	control(t, "ethertap|-e|1 2 .|-e|.", "", 0, "2\n1\n", "")
	control(t, "-e|1 . .|-e|2 .|ethertap", "", 1, "1\n", "error: -e:1:5: .: stack underflow ( item - )\n")
	control(t, "ethertap|-e|1|-e|nosuch", "", 0, "", "warning: -e:2:1: nosuch: no such word; left on the stack as a string\n")
	control(t, "ethertap", "1 .\nnosuch\n", 0, "1\n", "warning: stdin:2:1: nosuch: no such word; left on the stack as a string\n")
	control(t, "ethertap|-e|1 if", "", 1, "", "error: -e:1:3: if is not closed at the end of the source\n")
	control(t, "ethertap|-e|1 .|-e|bye|-e|2 .", "", 0, "1\n", "")
	control(t, "ethertap", "1 if\n2 .\nthen\n", 0, "2\n", "")
	control(t, "ethertap", "1 .\n.\n2 .\n", 1, "1\n", "error: stdin:2:1: .: stack underflow ( item - )\n")
	control(t, "ethertap|stop", "", 0, fmt.Sprintf("shutdown of ethertap PID %d complete\n", pid), "")
	control(t, "ethertap|status", "", 1, "no ethertap running\n", "")
}

func TestSeveral(t *testing.T) {
	ownRunDir(t)
	a := start(t, "ethertap lab")
	b := start(t, "ethertap wan")
	control(t, "ethertap|status", "", 0, fmt.Sprintf("ethertap PID %d running (lab)\nethertap PID %d running (wan)\n", a, b), "")
	control(t, "ethertap|-e|1 .", "", 1, "", "control: several ethertap running (lab, wan): choose with --name\n")
	control(t, "ethertap|stop", "", 1, "", "control: several ethertap running (lab, wan): choose with --name, or stop --all\n")
	control(t, "ethertap|--name|wan|-e|1 .", "", 0, "1\n", "")
	control(t, fmt.Sprintf("ethertap|--name|%d|status", a), "", 0, fmt.Sprintf("ethertap PID %d running (lab)\n", a), "")
	control(t, "ethertap|--name|lab|stop", "", 0, fmt.Sprintf("shutdown of ethertap PID %d complete\n", a), "")
	c := start(t, "collect PID")
	d := start(t, "collect PID")
	control(t, "collect|status", "", 0, fmt.Sprintf("collect PID %d running\ncollect PID %d running\n", c, d), "")
	control(t, fmt.Sprintf("collect|stop|--name|%d", d), "", 0, fmt.Sprintf("shutdown of collect PID %d complete\n", d), "")
	control(t, "collect|stop", "", 0, fmt.Sprintf("shutdown of collect PID %d complete\n", c), "")
	control(t, "ethertap|stop|--all", "", 0, fmt.Sprintf("shutdown of ethertap PID %d complete\n", b), "")
}

func TestDoesNotStop(t *testing.T) {
	ownRunDir(t)
	pid := start(t, "collect PID deaf")
	control(t, "collect|stop|--timeout|0", "", 1, "", fmt.Sprintf("control: collect PID %d still running after 0s\n", pid))
	control(t, "collect|status", "", 0, fmt.Sprintf("collect PID %d running\n", pid), "")
}

// An instance that does not listen, as one that is just starting.
func TestNoSocket(t *testing.T) {
	ownRunDir(t)
	in, err := rundir.Register(t.Context(), "ethertap", "ethertap")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	control(t, "ethertap|-e|1 .", "", 1, "", fmt.Sprintf("control: ethertap PID %d: it takes no connections; it may be starting or stopping\n", os.Getpid()))
}

func TestUsage(t *testing.T) {
	ownRunDir(t)
	control(t, "-h", "", 0, usage, "")
	if n := strings.Count(usage, "\n"); n > 24 {
		t.Errorf("usage has %d lines", n)
	}
	control(t, "--version", "", 0, "control "+about.Version+"\n", "")
	control(t, "ethertap|-c", "", 0, "EtherTAP control, "+about.Copyright+"\n", "")
	for args, why := range map[string]string{
		"":                                "no program named (ethertap or collect)",
		"tcpdump":                         "tcpdump: no such program (ethertap or collect)",
		"ethertap|start":                  "start: no such action (status, stop, restart, reload or live)",
		"ethertap|rotate":                 "rotate: no such action (status, stop, restart, reload or live)",
		"collect|reload":                  "reload: no such action (status, stop, restart or rotate)",
		"ethertap|status|--kill":          "--kill goes with stop and restart",
		"ethertap|stop|now":               "now: one argument too many",
		"collect":                         "collect has no prompt: status, stop, restart or rotate",
		"ethertap|status|-e|1 .":          "--eval does not go with status",
		"ethertap|live|-e|1 .":            "--eval does not go with live",
		"ethertap|live|--all":             "--all goes with stop, restart, reload and rotate",
		"ethertap|--all":                  "--all goes with stop, restart, reload and rotate",
		"ethertap|stop|--all|--name|x":    "--all does not go with --name",
		"ethertap|status|--name=":         "--name is empty",
		"ethertap|stop|--timeout|-1":      "--timeout -1: 0 to 86400 seconds",
		"ethertap|stop|--timeout|9999999": "--timeout 9999999: 0 to 86400 seconds",
		"ethertap|--frob":                 "unknown flag: --frob",
	} {
		control(t, args, "", 2, "", "control: "+why+"; control -h shows usage\n")
	}
}
