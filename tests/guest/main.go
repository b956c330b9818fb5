// Guest runs the project's tests in virtual machines, over the kernels that people have and
// the drivers that no machine of ours has: `make guest-test`, or `make guest-test ROW=virtio`
// for one row of the matrix (matrix.go). Emulator and kernels are packages of Debian that
// are unpacked below the user's cache directory and never installed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	rows    string
	only    string
	pkg     string
	verbose bool
	quiet   time.Duration
	limit   time.Duration
	save    string
	into    string
	shown   bool
	maybe   bool
	keep    bool
}

func command(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("guest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.rows, "row", "", "rows to run, separated by commas; all when empty")
	flags.StringVar(&o.only, "run", "", "run only these tests, in all packages of a row that have some")
	flags.StringVar(&o.pkg, "pkg", "", "run only the tests of this package, such as dataplane/fastpath")
	flags.BoolVar(&o.verbose, "v", false, "print what tests print, also when they pass")
	flags.DurationVar(&o.quiet, "quiet", 3*time.Minute, "a guest that says nothing for so long is ended")
	flags.DurationVar(&o.limit, "limit", 15*time.Minute, "a guest that takes longer is ended")
	flags.StringVar(&o.save, "save", "", "a directory for what came of each row, as JSON")
	flags.StringVar(&o.into, "into", "", "a document whose table is filled with what -save has; no guest runs")
	flags.BoolVar(&o.shown, "features", false, "run only the tests of the table in docs/requirements.md")
	flags.BoolVar(&o.maybe, "if-possible", false, "say so, and do not fail, where the packages cannot be had")
	flags.BoolVar(&o.keep, "keep", false, "keep the files of the guests, and say where they are")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.into != "" {
		if err := fill(o.into, o.save); err != nil {
			fmt.Fprintln(stderr, "guest:", err)
			return 1
		}
		return 0
	}
	failed, err := runRows(o, stdout, stderr)
	if o.maybe && errors.Is(err, errNoPackages) {
		fmt.Fprintln(stdout, "guest: not run:", err)
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "guest:", err)
		return 1
	}
	if failed > 0 {
		return 1
	}
	return 0
}

// runRows runs one guest after the other and returns how many rows failed.
func runRows(o options, stdout, stderr io.Writer) (failed int, err error) {
	picked, err := pick(o.rows, o.pkg)
	if err != nil {
		return 0, err
	}
	if o.shown {
		for i := range picked {
			picked[i].runs = onLinks()
		}
	}
	if runtime.GOARCH != "amd64" {
		return 0, fmt.Errorf("guests are those of amd64, and this machine is %s", runtime.GOARCH)
	}
	work, err := os.MkdirTemp("", "ethertap-guest-")
	if err != nil {
		return 0, err
	}
	if o.keep {
		fmt.Fprintln(stderr, "files of the guests:", work)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	}
	s := &session{options: o, work: work, stdout: stdout, stderr: stderr, interrupted: make(chan os.Signal, 1)}
	signal.Notify(s.interrupted, os.Interrupt, syscall.SIGTERM)
	if err := s.prepare(picked); err != nil {
		return 0, err
	}
	for _, r := range picked {
		rep, err := s.run(r)
		if err != nil {
			return failed, fmt.Errorf("row %s: %w", r.name, err)
		}
		if !s.conclude(rep) {
			failed++
		}
		if o.save != "" {
			if err := rep.save(o.save); err != nil {
				return failed, err
			}
		}
	}
	return failed, nil
}

// root is the top of the module.
func root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// commit names the commit of the tree, and says when it has changes besides.
func commit(dir string) string {
	cmd := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// say prints progress.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.stderr, format+"\n", args...)
}

// built is the test binary of a package.
func (s *session) built(pkg string) string {
	return filepath.Join(s.work, "tests", strings.ReplaceAll(pkg, "/", "-")+".test")
}
