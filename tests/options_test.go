// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ethertap/tests/netlab"
)

// manuals are the manuals of the programs.
var manuals = map[string]string{
	"ethertap": "../cmd/ethertap/ethertap.8", "collect": "../cmd/collect/collect.1",
	"control": "../cmd/control/control.1", "recall": "../cmd/recall/recall.1", "rpclsh": "../cmd/rpclsh/rpclsh.1",
}

// option is how the usage names it: "-q|--queue <q>", "--stay".
var option = regexp.MustCompile(`(?:-([a-z])\|)?--([a-z][a-z_-]*)`)

// optionsOf reads a program's usage.
func optionsOf(t *testing.T, program string) (long, short []string) {
	t.Helper()
	out, errs, status := netlab.Run(t, exec.Command(netlab.Build(t, "./cmd/"+program), "--help"))
	if status != 0 || errs != "" {
		t.Fatalf("%s --help: status %d, %q", program, status, errs)
	}
	if n := strings.Count(out, "\n"); n > 34 {
		t.Errorf("%s --help has %d lines", program, n)
	}
	_, table, ok := strings.Cut(out, "options:\n")
	if !ok {
		t.Fatalf("%s --help has no options:\n%s", program, out)
	}
	for _, m := range option.FindAllStringSubmatch(table, -1) {
		long = append(long, m[2])
		if m[1] != "" {
			short = append(short, m[1])
		}
	}
	return long, short
}

// Every option of the usage is one of the program's, stands in its manual page and in
// the completion of three shells; and the completions have no others.
func TestOptionsAreDocumented(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	bash, zsh, fish := read("../cmd/dist/completion/ethertap.bash"), read("../cmd/dist/completion/_ethertap"), read("../cmd/dist/completion/ethertap.fish")
	for program, path := range manuals {
		long, short := optionsOf(t, program)
		manual := strings.NewReplacer(`\-`, "-", `Fl -`, "-").Replace(read(path))
		bashWords := regexp.MustCompile(`(?m)^\t` + program + `:-\*\) words="(.*)"`).FindStringSubmatch(bash)
		if bashWords == nil {
			t.Fatalf("bash: no options of %s", program)
		}
		offered := append(strings.Fields(bashWords[1]), "-h", "--help", "-v", "--version", "-c", "--copyright")
		_, zshPart, _ := strings.Cut(zsh, "\n"+program+")\n")
		zshPart, _, _ = strings.Cut(zshPart, "\n\t;;")
		zshPart += zsh[:strings.Index(zsh, "case $service")]
		fishPart := strings.ReplaceAll(fish, "complete -c $program ", "complete -c "+program+" ")
		for _, o := range long {
			if !strings.Contains(manual, "-"+o) {
				t.Errorf("%s: --%s is not in its manual page", program, o)
			}
			if !slices.Contains(offered, "--"+o) {
				t.Errorf("%s: bash does not complete --%s", program, o)
			}
			if !regexp.MustCompile(`--` + o + `[[}]`).MatchString(zshPart) {
				t.Errorf("%s: zsh does not complete --%s", program, o)
			}
			if !regexp.MustCompile(`(?m)^ *complete -c ` + program + ` (?:-s . )?-l ` + o + ` `).MatchString(fishPart) {
				t.Errorf("%s: fish does not complete --%s", program, o)
			}
			_, errs, _ := netlab.Run(t, exec.Command(netlab.Build(t, "./cmd/"+program), "--"+o, "-h"))
			if strings.Contains(errs, "unknown flag") {
				t.Errorf("%s: --%s is in the usage and unknown", program, o)
			}
		}
		for _, o := range offered {
			name, isLong := strings.CutPrefix(o, "--")
			if isLong && !slices.Contains(long, name) || !isLong && !slices.Contains(short, strings.TrimPrefix(o, "-")) && !strings.HasPrefix(o, "$") {
				t.Errorf("%s: bash completes %s, which the usage does not have", program, o)
			}
		}
		for _, m := range regexp.MustCompile(`--([a-z][a-z_-]*)[[}]`).FindAllStringSubmatch(zshPart, -1) {
			if !slices.Contains(long, m[1]) {
				t.Errorf("%s: zsh completes --%s, which the usage does not have", program, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^complete -c `+program+` (?:-s . )?-l (\S+) `).FindAllStringSubmatch(fishPart, -1) {
			if !slices.Contains(long, m[1]) {
				t.Errorf("%s: fish completes --%s, which the usage does not have", program, m[1])
			}
		}
	}
}

// The shells themselves take the files, and complete.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../cmd/dist/completion")
	if err != nil {
		t.Fatal(err)
	}
	rpclsh := netlab.Build(t, "./cmd/rpclsh")
	for _, c := range []struct {
		shell  string
		args   []string
		offers []string
	}{
		{"bash", []string{"-c", `. ` + dir + `/ethertap.bash; COMP_WORDS=(collect --fo) COMP_CWORD=1; _ethertap_complete; echo "${COMPREPLY[@]}"; COMP_WORDS=(control collect r) COMP_CWORD=2; _ethertap_complete; echo "${COMPREPLY[@]}"; COMP_WORDS=(control ethertap -e "'1 str.le") COMP_CWORD=3; _ethertap_complete; echo "[${COMPREPLY[@]}]"`},
			[]string{"--format", "restart rotate", "[1 str.len]"}},
		{"zsh", []string{"-n", dir + "/_ethertap"}, nil},
		{"fish", []string{"-c", "source " + dir + "/ethertap.fish; complete -C 'collect --form'; complete -C 'collect --format pcap'; complete -C 'control collect r'; complete -C \"control ethertap -e '1 str.le\""},
			[]string{"--format", "pcap-ns", "rotate", "1 str.len\t"}},
	} {
		cmd := exec.Command(netlab.RequireTool(t, c.shell), c.args...)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(rpclsh)+":"+os.Getenv("PATH")) // says which words there are
		out, errs, status := netlab.Run(t, cmd)
		if status != 0 || errs != "" {
			t.Errorf("%s: status %d, %s%s", c.shell, status, out, errs)
		}
		for _, want := range c.offers {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not offer %s: %q", c.shell, want, out)
			}
		}
	}
}

// endsBySignal is the paragraph about signals, the same in all manuals.
const endsBySignal = "SIGINT, SIGTERM, and SIGHUP from a terminal that is gone end ethertap and collect in good order: everything is written and restored, and the status is 0. " +
	"If a signal cuts something short (a line, a script, a wait, a start in the background), the status is 128 plus the number of the signal: 130 for SIGINT, 143 for SIGTERM. " +
	"A further signal within a second of the first counts as the same one; a later signal ends the program at once."

// The manual pages are without fault to their own checker, and say the same of signals.
func TestManualPages(t *testing.T) {
	t.Parallel()
	mandoc := netlab.RequireTool(t, "mandoc")
	for program, path := range manuals {
		out, errs, _ := netlab.Run(t, exec.Command(mandoc, "-T", "lint", "-W", "warning", path))
		if out+errs != "" {
			t.Errorf("%s: %s%s", program, out, errs)
		}
		out, _, status := netlab.Run(t, exec.Command(mandoc, "-T", "utf8", path))
		text := strings.Join(strings.Fields(regexp.MustCompile(`.\x08`).ReplaceAllString(out, "")), " ")
		if status != 0 || !strings.Contains(text, "EXIT STATUS") || !strings.Contains(text, endsBySignal) {
			t.Errorf("%s: status %d, %.100s", program, status, out)
		}
	}
}

// The sample of the configuration loads, as it is and with every line in force.
func TestSampleConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, err := os.ReadFile("../cmd/dist/ethertap.rpcl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	inForce := 0
	for i, line := range lines {
		// Prose begins with a capital letter or goes on with a line of prose.
		if code, ok := strings.CutPrefix(line, "# "); ok && i > 8 && regexp.MustCompile(`^[-0-9a-f:]+ `).MatchString(code) {
			lines[i] = code
			inForce++
		}
	}
	if inForce < 6 {
		t.Fatalf("%d lines of the sample were found", inForce)
	}
	config := filepath.Join(r.dir, "sample.rpcl")
	writeFile(t, config, strings.Join(lines, "\n"))
	for _, c := range []string{"../cmd/dist/ethertap.rpcl", config} {
		abs, err := filepath.Abs(c)
		if err != nil {
			t.Fatal(err)
		}
		r.daemon("--config", abs)
		want := "disabled"
		if c == config {
			want = "enabled"
		}
		if got := r.stat(0, "RX tap"); got != want {
			t.Errorf("%s: RX tap %s", c, got)
		}
		r.must(r.control, "ethertap", "stop")
	}
}

// binaries is the directory with the programs as built for the tests.
func binaries(t *testing.T) (dir string) {
	t.Helper()
	for program := range manuals {
		dir = filepath.Dir(netlab.Build(t, "./cmd/"+program))
	}
	return dir
}

// The package has everything where Debian wants it, for root, and its scripts pass.
func TestPackage(t *testing.T) {
	t.Parallel()
	dpkg := netlab.RequireTool(t, "dpkg-deb")
	file := filepath.Join(t.TempDir(), "ethertap.deb")
	cmd := exec.Command("sh", "../cmd/dist/deb.sh", "v1.2.3-4-gabcdef", file)
	cmd.Env = append(os.Environ(), "BINARIES="+binaries(t), "DEBFLAGS=-Znone") // compressing takes a minute on a busy machine
	if out, errs, status := netlab.Run(t, cmd); status != 0 {
		t.Fatalf("deb.sh: %s%s", out, errs)
	}
	info, _, _ := netlab.Run(t, exec.Command(dpkg, "--info", file))
	for _, want := range []string{"Package: ethertap", "Version: 1.2.3+4+gabcdef", "Installed-Size: ", "postinst", "prerm", "postrm", "conffiles", "md5sums"} {
		if !strings.Contains(info, want) {
			t.Errorf("the package's description lacks %q:\n%s", want, info)
		}
	}
	list, _, _ := netlab.Run(t, exec.Command(dpkg, "--contents", file))
	for _, want := range []string{
		"-rwxr-xr-x root/root ./usr/sbin/ethertap", "-rwxr-xr-x root/root ./usr/bin/collect", "-rwxr-xr-x root/root ./usr/bin/control", "-rwxr-xr-x root/root ./usr/bin/recall", "-rwxr-xr-x root/root ./usr/bin/rpclsh",
		"-rw-r--r-- root/root ./etc/ethertap.rpcl", "-rw-r--r-- root/root ./etc/default/ethertap", "-rw-r--r-- root/root ./etc/logrotate.d/ethertap",
		"-rw-r--r-- root/root ./usr/lib/systemd/system/ethertap.service", "-rw-r--r-- root/root ./usr/lib/systemd/system/ethertap-collect.service", "-rw-r--r-- root/root ./usr/lib/systemd/system/ethertap-collect@.service", "-rw-r--r-- root/root ./usr/share/ethertap/ethertap-collect.env",
		"./usr/share/man/man8/ethertap.8.gz", "./usr/share/man/man1/collect.1.gz", "./usr/share/man/man1/control.1.gz", "./usr/share/man/man1/recall.1.gz", "./usr/share/man/man1/rpclsh.1.gz",
		"./usr/share/bash-completion/completions/ethertap", "./usr/share/bash-completion/completions/collect -> ethertap", "./usr/share/zsh/vendor-completions/_ethertap",
		"./usr/share/fish/vendor_completions.d/ethertap.fish", "./usr/share/fish/vendor_completions.d/control.fish -> ethertap.fish",
		"./usr/include/ethertap_queue.h", "./usr/share/doc/ethertap/copyright", "/wireshark/extcap/collect -> ../../../../bin/collect",
	} {
		// size and date stand between owner and name
		owner, name, both := strings.Cut(want, " ./")
		pattern := regexp.QuoteMeta(want)
		if both {
			pattern = regexp.QuoteMeta(owner) + ` .* \./` + regexp.QuoteMeta(name)
		}
		if !regexp.MustCompile(`(?m)` + pattern + `$`).MatchString(list) {
			t.Errorf("the package lacks %s:\n%s", want, list)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
		if !strings.Contains(line, "root/root") || strings.Contains(line, "./usr/local") {
			t.Errorf("in the package: %s", line)
		}
	}
	root := t.TempDir()
	if _, errs, status := netlab.Run(t, exec.Command(dpkg, "--raw-extract", file, root)); status != 0 {
		t.Fatal(errs)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if _, errs, status := netlab.Run(t, exec.Command("sh", "-n", filepath.Join(root, "DEBIAN", script))); status != 0 {
			t.Errorf("%s: %s", script, errs)
		}
	}
	if out, _, _ := netlab.Run(t, exec.Command(filepath.Join(root, "usr/bin/collect"), "--version")); out != "collect dev\n" {
		t.Errorf("its collect is %q", out)
	}
	unit, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/ethertap.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/sbin/ethertap --stay ") || strings.Contains(string(unit), "@PREFIX") {
		t.Errorf("the unit: %s, %v", unit, err)
	}
}

// Installing under a directory of one's own, and uninstalling, leaves the files of
// others and a configuration that was changed.
func TestInstallAndUninstall(t *testing.T) {
	t.Parallel()
	dest := t.TempDir()
	run := func(target string) {
		t.Helper()
		cmd := exec.Command("make", "-s", "--no-print-directory", "-C", "..", target, "DESTDIR="+dest, "PREFIX=/opt/tap", "BINARIES="+binaries(t))
		if out, errs, status := netlab.Run(t, cmd); status != 0 {
			t.Fatalf("make %s: %s%s", target, out, errs)
		}
	}
	config := filepath.Join(dest, "etc/ethertap.rpcl")
	run("install-files")
	unit, err := os.ReadFile(filepath.Join(dest, "opt/tap/lib/systemd/system/ethertap.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart=/opt/tap/sbin/ethertap ") {
		t.Errorf("the unit: %s, %v", unit, err)
	}
	writeFile(t, config, "0 tap.rx.enable\n")
	run("install-files")
	if b, err := os.ReadFile(config); string(b) != "0 tap.rx.enable\n" {
		t.Errorf("the configuration became %q, %v", b, err)
	}
	other := filepath.Join(dest, "opt/tap/bin/other")
	writeFile(t, other, "")
	run("uninstall")
	var left []string
	err = filepath.WalkDir(dest, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if err != nil || !slices.Equal(left, []string{config, other}) {
		t.Errorf("left: %v", fmt.Sprint(left, err))
	}
}
