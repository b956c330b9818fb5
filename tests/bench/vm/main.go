// SPDX-License-Identifier: BSD-3-Clause

// Command vm measures RPCL beside other interpreters: gforth, Lua 5.4 and python3
// as the machine has them, and the Go-hosted gopher-lua, Starlark and Tengo. Each
// program of programs/ is written in every language, must give the same result in
// all, and is timed by the CPU time of its process while it runs: loading and
// compiling are left out. It is a module of its own, so that the peers are no
// dependencies of EtherTAP.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/d5/tengo/v2"
	"github.com/d5/tengo/v2/stdlib"
	lua "github.com/yuin/gopher-lua"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"golang.org/x/sys/unix"

	"ethertap/interp"
	"ethertap/tests/bench/rounds"
	"ethertap/words/core"
)

// results are what the programs compute.
var results = []struct{ program, result string }{
	{"loop", "0"},
	{"arithmetic", "39668"},
	{"fib", "832040"},
	{"sieve", "78498"},
	{"strings", "889000"},
	{"dictionary", "1000250000"},
}

// external are the interpreters that run as processes; they print milliseconds
// and result.
var external = []struct {
	name, suffix string
	aim          float64
	command      []string
}{
	{"gforth", ".fs", 2.5, []string{"gforth", "PROGRAM", "programs/run.fs"}},
	{"lua5.4", ".lua", 1.2, []string{"lua5.4", "programs/run.lua", "PROGRAM"}},
	{"python3", ".py", 1, []string{"python3", "programs/run.py", "PROGRAM"}},
}

// hosted are the interpreters written in Go.
var hosted = []struct {
	name, suffix string
	run          func(file, source string) (time.Duration, string, error)
}{
	{"gopher-lua", ".lua", runLua},
	{"starlark", ".star", runStarlark},
	{"tengo", ".tengo", runTengo},
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("rounds", 7, "counted rounds")
	only := f.String("only", "", "this program alone")
	save := f.String("save", "", "directory for the measurements, as text for benchstat")
	if err := f.Parse(args); err != nil {
		return 2
	}
	var rows []rounds.Row
	for _, r := range results {
		if *only == "" || *only == r.program {
			rows = append(rows, row(r.program, r.result))
		}
	}
	debug.SetGCPercent(400) // as our programs do while they have little data; the other hosted ones have it too
	measured, err := rounds.Measure(rows, rounds.Options{Rounds: *n, Warm: 1, Progress: stderr})
	if err == nil {
		err = rounds.Report(stdout, *save, "vm", measured)
	}
	if err != nil {
		fmt.Fprintln(stderr, "vm:", err)
		return 1
	}
	return 0
}

func row(program, result string) rounds.Row {
	file := filepath.Join("programs", program)
	r := rounds.Row{Name: program, Unit: "ms", Ours: rounds.Contender{Name: "rpcl", Run: inside(file+".rpcl", result, runRPCL)}}
	for _, x := range external {
		r.Peers = append(r.Peers, rounds.Peer{Contender: rounds.Contender{Name: x.name, Run: outside(x.command, file+x.suffix, result)}, Aim: x.aim})
	}
	for _, x := range hosted {
		r.Peers = append(r.Peers, rounds.Peer{Contender: rounds.Contender{Name: x.name, Run: inside(file+x.suffix, result, x.run)}, Aim: 1})
	}
	return r
}

// inside measures an interpreter in this process, with the garbage of the one
// before it collected first.
func inside(file, result string, run func(file, source string) (time.Duration, string, error)) func() (float64, error) {
	return func() (float64, error) {
		source, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		runtime.GC()
		took, got, err := run(file, string(source))
		if err == nil && got != result {
			err = fmt.Errorf("computes %s, not %s", got, result)
		}
		return took.Seconds() * 1000, err
	}
}

// outside measures an interpreter as a process.
func outside(command []string, file, result string) func() (float64, error) {
	return func() (float64, error) {
		var args []string
		for _, a := range command {
			args = append(args, strings.ReplaceAll(a, "PROGRAM", file))
		}
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			return 0, err
		}
		var ms float64
		var got string
		if _, err := fmt.Sscan(string(out), &ms, &got); err != nil {
			return 0, fmt.Errorf("printed %q: %w", out, err)
		}
		if got != result {
			return 0, fmt.Errorf("computes %s, not %s", got, result)
		}
		return ms, nil
	}
}

// cpu returns the CPU time of this process.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func runRPCL(file, source string) (time.Duration, string, error) {
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		return 0, "", err
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	if err := core.Prelude(s); err != nil {
		return 0, "", err
	}
	if err := s.Run(file, strings.NewReader(source)); err != nil {
		return 0, "", err
	}
	start := cpu()
	err = s.Interpret("bench")
	took := cpu() - start
	if err == nil {
		err = s.Interpret(".")
	}
	return took, strings.TrimSpace(out.String()), err
}

func runLua(file, _ string) (time.Duration, string, error) {
	l := lua.NewState()
	defer l.Close()
	if err := l.DoFile(file); err != nil {
		return 0, "", err
	}
	start := cpu()
	err := l.CallByParam(lua.P{Fn: l.Get(-1), NRet: 1, Protect: true})
	took := cpu() - start
	if err != nil {
		return 0, "", err
	}
	return took, fmt.Sprintf("%.0f", float64(l.ToNumber(-1))), nil
}

func runStarlark(file, source string) (time.Duration, string, error) {
	thread := &starlark.Thread{Name: "bench"}
	options := &syntax.FileOptions{Recursion: true}
	globals, err := starlark.ExecFileOptions(options, thread, file, source, nil)
	if err != nil {
		return 0, "", err
	}
	start := cpu()
	v, err := starlark.Call(thread, globals["bench"], nil, nil)
	took := cpu() - start
	if err != nil {
		return 0, "", err
	}
	return took, v.String(), nil
}

func runTengo(_, source string) (time.Duration, string, error) {
	script := tengo.NewScript([]byte(source + "\nresult := bench()\n"))
	modules := stdlib.GetModuleMap()
	modules.AddBuiltinModule("make", map[string]tengo.Object{"make": &tengo.UserFunction{Name: "make", Value: makeArray}})
	script.SetImports(modules)
	compiled, err := script.Compile()
	if err != nil {
		return 0, "", err
	}
	start := cpu()
	err = compiled.Run()
	took := cpu() - start
	if err != nil {
		return 0, "", err
	}
	return took, fmt.Sprint(compiled.Get("result").Value()), nil
}

// makeArray gives Tengo an array of so many true, which it cannot make by itself
// but one by one.
func makeArray(args ...tengo.Object) (tengo.Object, error) {
	n, ok := tengo.ToInt(args[0])
	if !ok {
		return nil, tengo.ErrInvalidArgumentType{Name: "size", Expected: "int", Found: args[0].TypeName()}
	}
	a := &tengo.Array{Value: make([]tengo.Object, n)}
	for i := range a.Value {
		a.Value[i] = tengo.TrueValue
	}
	return a, nil
}
