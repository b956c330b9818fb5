// SPDX-License-Identifier: BSD-3-Clause

// Guest runs the project's tests in virtual machines, over the kernels that people have and
// the drivers that no machine of ours has: `make guest-test`, or `make guest-test ROW=virtio`
// for one row of the matrix (matrix.go). Emulator and kernels are packages of Debian that
// are unpacked below the user's cache directory and never installed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
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
	total   time.Duration
	save    string
	into    string
	shown   bool
	maybe   bool
	keep    bool
	resume  bool
	jobs    int
	count   int
	plant   bool
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
	flags.DurationVar(&o.total, "total", 24*time.Hour, "the last guest is ended after so long, and no further one is started")
	flags.StringVar(&o.save, "save", "", "a directory for what came of each row, as JSON")
	flags.StringVar(&o.into, "into", "", "a document whose table is filled with what -save has; no guest runs")
	flags.BoolVar(&o.shown, "features", false, "run only the tests of the table in docs/requirements.md")
	flags.BoolVar(&o.maybe, "if-possible", false, "say so, and do not fail, where the packages cannot be had")
	flags.BoolVar(&o.keep, "keep", false, "keep the files of the guests, and say where they are")
	flags.BoolVar(&o.resume, "resume", false, "leave out the tests that -save has of this commit already, and add the others to them")
	flags.BoolVar(&o.plant, "plant", false, "have each guest's kernel warn of something: every row must fail")
	flags.IntVar(&o.count, "count", 1, "run each test so often")
	flags.IntVar(&o.jobs, "j", 2, "number of guests that run at a time; they wait for links more than they compute")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.jobs < 1 {
		fmt.Fprintf(stderr, "guest: -j %d: give at least 1\n", o.jobs)
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

// runRows runs a guest for each row, some at a time, and returns how many rows failed.
func runRows(o options, stdout, stderr io.Writer) (failed int, err error) {
	end := time.Now().Add(o.total)
	picked, err := pick(o.rows, o.pkg)
	if err != nil {
		return 0, err
	}
	if o.shown {
		for i := range picked {
			picked[i].runs = onLinks
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
	had := map[string]*report{}
	if o.resume {
		dir, err := root()
		if err != nil {
			return 0, err
		}
		for i, r := range picked {
			if picked[i], had[r.name], err = rest(r, o.save, commit(dir)); err != nil {
				return 0, err
			}
		}
		picked = slices.DeleteFunc(picked, func(r row) bool { return len(r.runs) == 0 })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	s := &session{options: o, work: work, stderr: stderr}
	if err := s.prepare(picked); err != nil {
		return 0, err
	}
	next := make(chan row, len(picked))
	for _, r := range picked {
		next <- r
	}
	close(next)
	var mu sync.Mutex // of failed, err and stdout
	var guests sync.WaitGroup
	for range o.jobs {
		guests.Go(func() {
			for r := range next {
				if ctx.Err() != nil {
					return
				}
				g := &guest{session: s, row: r, out: stdout}
				var lines bytes.Buffer
				if o.jobs > 1 && len(picked) > 1 { // those of a row stay together
					g.out = &lines
				}
				good, e := g.attempt(ctx, end, had[r.name])
				mu.Lock()
				if _, e2 := lines.WriteTo(stdout); e == nil {
					e = e2
				}
				if !good {
					failed++
				}
				if e != nil {
					err = errors.Join(err, fmt.Errorf("row %s: %w", r.name, e))
					giveUp()
				}
				mu.Unlock()
			}
		})
	}
	guests.Wait()
	return failed, err
}

// attempt runs a row unless it is too late for that, says what came of it and saves it.
func (g *guest) attempt(ctx context.Context, end time.Time, had *report) (good bool, err error) {
	if g.limit = min(g.options.limit, time.Until(end)); g.limit < time.Minute {
		g.say("row %s is not run: the time is over", g.row.name)
		return false, nil
	}
	rep, err := g.run(ctx)
	if err != nil {
		return false, err
	}
	rep.add(had)
	rep.Seconds = time.Since(rep.started).Seconds()
	good = g.conclude(rep)
	if g.save != "" && g.only == "" && g.pkg == "" && g.count == 1 && !g.plant { // what a part of a row has shown takes no cells away
		err = rep.save(g.save)
	}
	return good, err
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
