// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A session is one call of this program: what its guests have in common.
type session struct {
	options
	work   string // a directory that goes with it
	root   string // of the module
	commit string // of what is built
	stderr io.Writer

	cache       *debian
	qemu, tools string
	kernels     map[string]kernel

	choice      sync.Mutex // of what follows
	accelerator []string
}

// A guest is a row that is being run.
type guest struct {
	*session
	row   row
	out   io.Writer     // what came of its tests goes there
	limit time.Duration // then it is ended
}

// prepare fetches packages and builds tests and programs.
func (s *session) prepare(picked []row) (err error) {
	if s.root, err = root(); err != nil {
		return err
	}
	s.commit = commit(s.root)
	if s.cache, err = openCache(s.say); err != nil {
		return err
	}
	if s.qemu, err = s.cache.get(emulator); err != nil {
		return err
	}
	if s.tools, err = s.cache.get(tools); err != nil {
		return err
	}
	s.kernels = map[string]kernel{}
	packages := map[string]bool{}
	for _, r := range picked {
		for _, run := range r.runs {
			packages[run.pkg] = true
		}
		if _, ok := s.kernels[r.kernel.name]; ok {
			continue
		}
		dir, err := s.cache.get(r.kernel)
		if err != nil {
			return err
		}
		if s.kernels[r.kernel.name], err = openKernel(dir, s.tools); err != nil {
			return err
		}
	}
	return s.build(packages)
}

// build makes the test binaries and the programs.
func (s *session) build(packages map[string]bool) error {
	s.say("building the tests of %d packages and the programs", len(packages))
	for pkg := range packages {
		if err := s.goBuild("test", "-c", "-ldflags=-s -w", "-o", s.built(pkg), "./"+pkg); err != nil {
			return err
		}
	}
	return s.goBuild("build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(s.work, "programs")+"/",
		"./cmd/ethertap", "./cmd/collect", "./cmd/control", "./cmd/rpclsh")
}

func (s *session) goBuild(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// image writes the root file system of the guest.
func (g *guest) image(k kernel) (name string, err error) {
	file, err := os.Create(filepath.Join(g.work, g.row.name+".cpio"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	a := newArchive(file)
	if err := system(a, g.tools); err != nil {
		return "", err
	}
	if err := k.load(a, g.tools, modules); err != nil {
		return "", err
	}
	a.file("run-tests", 0o644, g.script())
	for _, run := range g.row.runs {
		a.copy(path.Join("tests", filepath.Base(g.built(run.pkg))), g.built(run.pkg))
	}
	programs, err := filepath.Glob(filepath.Join(g.work, "programs", "*"))
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		a.copy("usr/bin/"+filepath.Base(p), p)
	}
	if err := g.sources(a); err != nil {
		return "", err
	}
	return file.Name(), a.close()
}

// sources puts the files of the tree in: tests read some.
func (s *session) sources(a *archive) error {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = s.root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Stat(filepath.Join(s.root, name)); err == nil && info.Mode().IsRegular() {
			a.copy(path.Join("ethertap", name), filepath.Join(s.root, name))
		}
	}
	return nil
}

// script is what the guest does once it is up.
func (g *guest) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "export ETHERTAP_PROGRAMS=/usr/bin NETLAB_MODE=%s NETLAB_DEVICE=%s GOTRACEBACK=all\n", g.row.mode, quoted(properties(g.row.nic)))
	if g.plant {
		fmt.Fprintf(&b, "echo %s >/dev/kmsg\n", quoted(planted))
	}
	for _, run := range g.row.runs {
		fmt.Fprintf(&b, "cd /ethertap/%s\necho '@test ethertap/%[1]s'\n", run.pkg)
		fmt.Fprintf(&b, "/tests/%s -test.v=test2json -test.parallel=1 -test.count=%d -test.timeout=%s -test.run=%s\n", filepath.Base(g.built(run.pkg)),
			g.count, g.limit*4/5, quoted(cmp.Or(g.only, "^("+strings.Join(run.tests, "|")+")$")))
		b.WriteString("echo \"@exit $?\"\n")
	}
	return b.String()
}

// planted is what -plant has a kernel say, at the level of its warnings.
const planted = "<4>WARNING: CPU: 0 PID: 1 at planted.c:1 planted+0x0/0x0"

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// run runs the guest to its end.
func (g *guest) run(ctx context.Context) (*report, error) {
	k := g.kernels[g.row.kernel.name]
	initrd, err := g.image(k)
	if err != nil {
		return nil, err
	}
	if !g.keep {
		defer os.Remove(initrd)
	}
	dir := filepath.Join(g.work, g.row.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	accelerator, err := g.choose(dir, k, initrd)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(g.out, "=== row %s\n", g.row.name)
	now := time.Now()
	for try := 1; ; try++ {
		l := &listener{out: g.out, verbose: g.verbose, at: time.Now(), report: &report{Row: g.row.name, Driver: cmp.Or(g.row.nic, "veth"), Mode: g.row.mode,
			Date: now.Format(time.DateOnly), Commit: g.commit, Tests: map[string]outcome{}, started: now}}
		m, err := start(g.qemu, dir, accelerator, k, initrd, g.row.nic)
		if err != nil {
			return nil, err
		}
		err = g.await(ctx, m, l)
		if err == nil && l.report.Kernel == "" && try < starts {
			g.say("    %s: the guest did not come up; it is started again", g.row.name)
			continue
		}
		for _, line := range complaints(m.console) {
			l.report.Faults = append(l.report.Faults, kernelSays+line)
		}
		return l.report, err
	}
}

// choose finds out, once, in which way guests run.
func (s *session) choose(dir string, k kernel, initrd string) ([]string, error) {
	s.choice.Lock()
	defer s.choice.Unlock()
	if s.accelerator != nil {
		return s.accelerator, nil
	}
	way, how, err := chooseAccelerator(s.qemu, dir, k, initrd)
	if err == nil {
		s.accelerator = way
		s.say("guests run by %s", how)
	}
	return way, err
}

// starts is how often a guest is started that ends before its first word. QEMU's emulation with
// a thread for each processor runs a stale instruction now and then while a kernel changes its
// own code, which they do most at their start ("Oops: int3").
const starts = 3

// await waits until the guest has ended, or ends it when it hangs.
func (g *guest) await(ctx context.Context, m *machine, l *listener) error {
	heard := make(chan error, 1)
	go func() { heard <- l.listen(m.results) }()
	progress := time.NewTicker(20 * time.Second)
	defer progress.Stop()
	limit := time.After(g.limit)
	fault := ""
	for {
		select {
		case err := <-heard:
			l.mu.Lock()
			ended := l.ended
			l.mu.Unlock()
			if what, _ := l.state(); fault == "" && !ended {
				fault = "the guest ended during " + what
			}
			if fault != "" {
				l.report.Faults = append(l.report.Faults, fault)
				l.mu.Lock()
				l.abandonLocked(fault)
				l.mu.Unlock()
				g.lastWords(m)
			}
			return errors.Join(err, m.stop())
		case <-progress.C:
			what, quiet := l.state()
			l.mu.Lock()
			count := l.count
			l.mu.Unlock()
			g.say("    … %s: %s (%d tests before it)", g.row.name, what, count)
			if quiet > g.quiet && fault == "" {
				fault = fmt.Sprintf("the guest was ended: it said nothing for %v, in %s", quiet.Round(time.Second), what)
				m.kill()
			}
		case <-limit:
			what, _ := l.state()
			fault = fmt.Sprintf("the guest was ended: it took longer than %v, in %s", g.limit, what)
			m.kill()
		case <-ctx.Done():
			return errors.Join(errors.New("interrupted"), m.stop())
		}
	}
}

// lastWords prints what is known of a guest that did not end by itself.
func (g *guest) lastWords(m *machine) {
	if said := m.trouble(); said != "" {
		fmt.Fprintln(g.out, "    the emulator says:", said)
	}
	console, err := os.ReadFile(m.console)
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(console)), "\n")
	for _, line := range lines[max(0, len(lines)-15):] {
		fmt.Fprintln(g.out, "    console:", strings.TrimRight(line, "\r"))
	}
}

// kernelSays begins a fault of a row that the kernel has told of.
const kernelSays = "the kernel says: "

// complaint is a line with which a kernel says that something is wrong with itself.
var complaint = regexp.MustCompile(`WARNING:|BUG:|Oops|Call Trace|general protection|[kK]ernel panic|KASAN|UBSAN|refcount_t|hung task|blocked for more than|detected stalls|self-detected stall|list_(add|del) corruption`)

// complaints are such lines in what a kernel said.
func complaints(console string) []string {
	text, err := os.ReadFile(console)
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); complaint.MatchString(line) && !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	return list
}

// conclude says what came of a row, and whether it is good.
func (g *guest) conclude(r *report) bool {
	counts := map[string]int{}
	for name, o := range r.Tests {
		if !strings.Contains(name[strings.Index(name, " "):], "/") { // no subtest
			counts[o.Result]++
		}
	}
	for _, f := range r.Faults {
		fmt.Fprintf(g.out, "    %s\n", f)
	}
	word, good := "ok  ", len(r.Faults) == 0 && counts["fail"] == 0 && counts["pass"] > 0
	if !good {
		word = "FAIL"
	}
	if slow := r.slowest(5); slow != "" {
		fmt.Fprintf(g.out, "    slowest: %s\n", slow)
	}
	fmt.Fprintf(g.out, "%s\trow %s\t%d passed, %d skipped, %d failed\t%.0fs\n", word, r.Row, counts["pass"], counts["skip"], counts["fail"],
		time.Since(r.started).Seconds())
	return good
}

// slowest names the tests that took longest, at most n.
func (r *report) slowest(n int) string {
	var names []string
	for name := range r.Tests {
		if !strings.Contains(name[strings.Index(name, " "):], "/") { // no subtest
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(r.Tests[b].Seconds, r.Tests[a].Seconds) })
	var list []string
	for _, name := range names[:min(n, len(names))] {
		list = append(list, fmt.Sprintf("%s %.1f s", name[strings.Index(name, " ")+1:], r.Tests[name].Seconds))
	}
	return strings.Join(list, ", ")
}

// rest leaves those tests of a row out that a report of the same tree has; had is nil when there is
// none. The row may have nothing left to run.
func rest(r row, dir, commit string) (left row, had *report, err error) {
	b, err := os.ReadFile(filepath.Join(dir, r.name+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil, nil
	}
	had = new(report)
	if err == nil {
		err = json.Unmarshal(b, had)
	}
	if err != nil || had.Commit != commit {
		return r, nil, err
	}
	left = r
	left.runs = nil
	for _, run := range r.runs {
		run.tests = slices.DeleteFunc(slices.Clone(run.tests), func(name string) bool {
			o, ok := had.Tests["ethertap/"+run.pkg+" "+name]
			return ok && o.Result != "fail"
		})
		if len(run.tests) > 0 {
			left.runs = append(left.runs, run)
		}
	}
	return left, had, nil
}

// add adds what an earlier part of the row has shown to a report. What the kernel complained of then
// stays a fault; that the guest was ended is none any more.
func (r *report) add(had *report) {
	if had == nil {
		return
	}
	r.started = r.started.Add(-time.Duration(had.Seconds * float64(time.Second)))
	for name, o := range had.Tests {
		if _, ok := r.Tests[name]; !ok {
			r.Tests[name] = o
		}
	}
	for _, fault := range had.Faults {
		if strings.HasPrefix(fault, kernelSays) && !slices.Contains(r.Faults, fault) {
			r.Faults = append(r.Faults, fault)
		}
	}
}

// save writes a report into a directory, by the name of its row.
func (r *report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Row+".json"), append(b, '\n'), 0o644)
}
