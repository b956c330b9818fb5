package main

import (
	"cmp"
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
	"time"
)

// A session is one call of this program: what its guests have in common.
type session struct {
	options
	work           string // a directory that goes with it
	root           string // of the module
	stdout, stderr io.Writer
	interrupted    chan os.Signal

	cache       *debian
	qemu, tools string
	kernels     map[string]kernel
	accelerator []string
}

// prepare fetches packages and builds tests and programs.
func (s *session) prepare(picked []row) (err error) {
	if s.root, err = root(); err != nil {
		return err
	}
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

// image writes the root file system of a row's guest.
func (s *session) image(r row, k kernel) (name string, err error) {
	file, err := os.Create(filepath.Join(s.work, r.name+".cpio"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	a := newArchive(file)
	if err := system(a, s.tools); err != nil {
		return "", err
	}
	if err := k.load(a, s.tools, modules); err != nil {
		return "", err
	}
	a.file("run-tests", 0o644, s.script(r))
	for _, run := range r.runs {
		a.copy(path.Join("tests", filepath.Base(s.built(run.pkg))), s.built(run.pkg))
	}
	programs, err := filepath.Glob(filepath.Join(s.work, "programs", "*"))
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		a.copy("usr/bin/"+filepath.Base(p), p)
	}
	if err := s.sources(a); err != nil {
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
func (s *session) script(r row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "export ETHERTAP_PROGRAMS=/usr/bin NETLAB_MODE=%s NETLAB_DEVICE=%s GOTRACEBACK=all\n", r.mode, quoted(properties(r.nic)))
	for _, run := range r.runs {
		fmt.Fprintf(&b, "cd /ethertap/%s\necho '@test ethertap/%[1]s'\n", run.pkg)
		fmt.Fprintf(&b, "/tests/%s -test.v=test2json -test.parallel=1 -test.timeout=%s -test.run=%s -test.skip=%s\n", filepath.Base(s.built(run.pkg)),
			s.limit*4/5, quoted(cmp.Or(s.only, run.only)), quoted(run.skip))
		b.WriteString("echo \"@exit $?\"\n")
	}
	return b.String()
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// run runs the guest of a row to its end.
func (s *session) run(r row) (*report, error) {
	k := s.kernels[r.kernel.name]
	initrd, err := s.image(r, k)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.work, r.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if s.accelerator == nil {
		var how string
		if s.accelerator, how, err = chooseAccelerator(s.qemu, dir, k, initrd); err != nil {
			return nil, err
		}
		s.say("guests run by %s", how)
	}
	fmt.Fprintf(s.stdout, "=== row %s\n", r.name)
	now := time.Now()
	for try := 1; ; try++ {
		l := &listener{out: s.stdout, verbose: s.verbose, at: time.Now(), report: &report{Row: r.name, Driver: cmp.Or(r.nic, "veth"), Mode: r.mode,
			Date: now.Format(time.DateOnly), Commit: commit(s.root), Tests: map[string]outcome{}, started: now}}
		m, err := start(s.qemu, dir, s.accelerator, k, initrd, r.nic)
		if err != nil {
			return nil, err
		}
		err = s.await(m, l)
		if err == nil && l.report.Kernel == "" && try < starts {
			s.say("    the guest did not come up; it is started again")
			continue
		}
		for _, line := range complaints(m.console) {
			l.report.Faults = append(l.report.Faults, kernelSays+line)
		}
		return l.report, err
	}
}

// starts is how often a guest is started that ends before its first word. QEMU's emulation with
// a thread for each processor runs a stale instruction now and then while a kernel changes its
// own code, which they do most at their start ("Oops: int3").
const starts = 3

// await waits until the guest has ended, or ends it when it hangs.
func (s *session) await(m *machine, l *listener) error {
	heard := make(chan error, 1)
	go func() { heard <- l.listen(m.results) }()
	progress := time.NewTicker(20 * time.Second)
	defer progress.Stop()
	limit := time.After(s.limit)
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
				s.lastWords(m)
			}
			return errors.Join(err, m.stop())
		case <-progress.C:
			what, quiet := l.state()
			l.mu.Lock()
			count := l.count
			l.mu.Unlock()
			s.say("    … %s (%d tests before it)", what, count)
			if quiet > s.quiet && fault == "" {
				fault = fmt.Sprintf("the guest was ended: it said nothing for %v, in %s", quiet.Round(time.Second), what)
				m.kill()
			}
		case <-limit:
			what, _ := l.state()
			fault = fmt.Sprintf("the guest was ended: it took longer than %v, in %s", s.limit, what)
			m.kill()
		case <-s.interrupted:
			return errors.Join(errors.New("interrupted"), m.stop())
		}
	}
}

// lastWords prints what is known of a guest that did not end by itself.
func (s *session) lastWords(m *machine) {
	if said := m.trouble(); said != "" {
		fmt.Fprintln(s.stdout, "    the emulator says:", said)
	}
	console, err := os.ReadFile(m.console)
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(console)), "\n")
	for _, line := range lines[max(0, len(lines)-15):] {
		fmt.Fprintln(s.stdout, "    console:", strings.TrimRight(line, "\r"))
	}
}

// kernelSays begins a fault of a row that the kernel has told of.
const kernelSays = "the kernel says: "

// complaint is a line with which a kernel says that something is wrong with itself.
var complaint = regexp.MustCompile(`WARNING: CPU|WARNING: possible|WARNING: .* at .*\.c|BUG:|Oops|general protection|kernel panic|Kernel panic|KASAN|UBSAN|refcount_t|hung task|blocked for more than|detected stalls|self-detected stall|list_(add|del) corruption`)

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
func (s *session) conclude(r *report) bool {
	counts := map[string]int{}
	for name, o := range r.Tests {
		if !strings.Contains(name, "/Test") && !strings.Contains(strings.TrimPrefix(name, name[:strings.Index(name, " ")]), "/") {
			counts[o.Result]++
		}
	}
	for _, f := range r.Faults {
		fmt.Fprintf(s.stdout, "    %s\n", f)
	}
	word, good := "ok  ", len(r.Faults) == 0 && counts["fail"] == 0 && counts["pass"] > 0
	if !good {
		word = "FAIL"
	}
	fmt.Fprintf(s.stdout, "%s\trow %s\t%d passed, %d skipped, %d failed\t%.0fs\n", word, r.Row, counts["pass"], counts["skip"], counts["fail"],
		time.Since(r.started).Seconds())
	return good
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
