// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The releases of Debian that packages are taken from: the oldest kernel is the stable one of
// Debian 12, the newest is in the backports to Debian 13, which has the rest too.
var releases = []string{"bookworm", "trixie", "trixie-backports"}

// refresh is how long packages are used before newer ones are looked for.
const refresh = 7 * 24 * time.Hour

// debian fetches packages by apt and unpacks them, each set in a directory of its own. Nothing
// is installed: apt works with a list of sources, an index and a state that are kept apart from
// the system's, and believes that no package is there.
type debian struct {
	dir     string // of the cache
	say     func(format string, args ...any)
	updated error // what came of reading the index anew; nil until tried
	tried   bool
	lock    *os.File
}

// A set is packages that are unpacked together.
type set struct {
	name     string         // of its directory
	release  string         // where its packages come from
	packages []string       // wanted
	keep     *regexp.Regexp // which of those that they depend on are unpacked too; nil = all
}

var (
	emulator = set{name: "qemu", release: "trixie", packages: []string{"qemu-system-x86"}}
	tools    = set{name: "tools", release: "trixie", packages: []string{"busybox-static", "bash", "iproute2", "ethtool", "tcpdump",
		"socat", "iputils-ping", "util-linux", "bsdutils", "kmod"}}
	kernelParts = regexp.MustCompile(`^linux-(base|image|binary|modules)-[0-9]`)
)

// openCache makes the directory of the cache, below the user's. Until the process ends nobody
// else takes packages away that are there.
func openCache(say func(format string, args ...any)) (*debian, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("a directory for packages: %w", err)
	}
	d := &debian{dir: filepath.Join(base, "ethertap-guests"), say: say}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	if d.lock, err = os.OpenFile(filepath.Join(d.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	return d, d.hold(unix.LOCK_SH)
}

// hold takes the lock of the cache, in the place of what this process has of it.
func (d *debian) hold(how int) error {
	if unix.Flock(int(d.lock.Fd()), how|unix.LOCK_NB) == nil {
		return nil
	}
	d.say("waiting for another run, which uses the packages in %s", d.dir)
	if err := unix.Flock(int(d.lock.Fd()), how); err != nil {
		return fmt.Errorf("%s: %w", d.lock.Name(), err)
	}
	return nil
}

// get returns the directory of a set with its packages unpacked. Where newer ones cannot be
// had, those of the last time serve.
func (d *debian) get(s set) (string, error) {
	dir := filepath.Join(d.dir, s.name)
	if _, fresh := d.age(dir); fresh {
		return dir, nil
	}
	if err := d.hold(unix.LOCK_EX); err != nil {
		return "", err
	}
	defer d.hold(unix.LOCK_SH)
	have, fresh := d.age(dir)
	if fresh { // another run was first
		return dir, nil
	}
	err := d.fetch(s, dir)
	if err != nil && !have.IsZero() {
		d.say("%s: the packages of %s stay in use: %v", s.name, have.Format(time.DateOnly), err)
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("%w of %s (%s): %w", errNoPackages, s.name, strings.Join(s.packages, ", "), err)
	}
	return dir, nil
}

// errNoPackages says that what a guest needs is neither in the cache nor to be had.
var errNoPackages = errors.New("no packages")

// age tells when the packages of a set were last known to be the newest, if they are there.
func (d *debian) age(dir string) (at time.Time, fresh bool) {
	info, err := os.Stat(filepath.Join(dir, "PACKAGES"))
	if err != nil {
		return at, false
	}
	return info.ModTime(), time.Since(info.ModTime()) < refresh
}

// fetch unpacks the newest packages of a set, or marks those that are there as the newest.
func (d *debian) fetch(s set, dir string) error {
	if err := d.update(); err != nil {
		return err
	}
	wanted, err := d.resolve(s)
	if err != nil {
		return err
	}
	stamp := filepath.Join(dir, "PACKAGES")
	list := strings.Join(wanted, "\n") + "\n"
	if old, err := os.ReadFile(stamp); err == nil && string(old) == list {
		now := time.Now()
		return os.Chtimes(stamp, now, now)
	}
	d.say("%s: fetching %d packages of Debian %s", s.name, len(wanted), s.release)
	work, err := os.MkdirTemp(d.dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	debs, root := filepath.Join(work, "debs"), filepath.Join(work, "root")
	if err := errors.Join(os.Mkdir(debs, 0o755), os.Mkdir(root, 0o755)); err != nil {
		return err
	}
	if _, err := d.apt(debs, append([]string{"apt-get", "download"}, wanted...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) != len(wanted) {
		return fmt.Errorf("apt-get download left %d files for %d packages", len(files), len(wanted))
	}
	for _, file := range files {
		if out, err := exec.Command("dpkg-deb", "-x", file, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", filepath.Base(file), err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "PACKAGES"), []byte(list), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// update reads the index of the releases, once in a run.
func (d *debian) update() error {
	if d.tried {
		return d.updated
	}
	d.tried = true
	d.updated = func() error {
		for _, tool := range []string{"apt-get", "dpkg-deb"} {
			if _, err := exec.LookPath(tool); err != nil {
				return fmt.Errorf("needs Debian's %s: %w", tool, err)
			}
		}
		mirror, err := mirror()
		if err != nil {
			return err
		}
		if err := d.configure(mirror); err != nil {
			return err
		}
		d.say("reading the index of Debian's %s", strings.Join(releases, ", "))
		_, err = d.apt(d.dir, "apt-get", "update", "--error-on=any")
		return err
	}()
	return d.updated
}

// mirror is the address of the archive that the system's own apt uses.
func mirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--no-release-info",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	return mirrorOf(string(out))
}

// plainRelease is a release of Debian's by itself: its backports, its updates and what concerns
// security only may be in other archives.
var plainRelease = regexp.MustCompile(`^(bookworm|trixie|forky|duke|sid|stable|oldstable|testing|unstable)$`)

// mirrorOf finds the archive in lines of address, release and component.
func mirrorOf(lines string) (string, error) {
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 3 && plainRelease.MatchString(f[1]) && f[2] == "main" {
			return f[0], nil
		}
	}
	return "", errors.New("apt has no source of a release of Debian 12 or later, so it is unknown where packages can be had")
}

// configure writes what makes apt use the releases and nothing of the system's but its keys,
// its proxies and its credentials.
func (d *debian) configure(mirror string) error {
	apt := filepath.Join(d.dir, "apt")
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial", "parts"} {
		if err := os.MkdirAll(filepath.Join(apt, dir), 0o755); err != nil {
			return err
		}
	}
	signed := ""
	const keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
	if _, err := os.Stat(keys); err == nil {
		signed = "[signed-by=" + keys + "] "
	}
	var sources strings.Builder
	for _, r := range releases {
		fmt.Fprintf(&sources, "deb %s%s %s main\n", signed, mirror, r)
	}
	config := strings.ReplaceAll(`Dir::Etc::SourceList "@/sources.list";
Dir::Etc::SourceParts "@/parts";
Dir::Etc::Preferences "@/none";
Dir::Etc::PreferencesParts "@/parts";
Dir::State "@/state";
Dir::State::status "@/status";
Dir::Cache "@/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
`, "@", apt)
	return errors.Join(
		os.WriteFile(filepath.Join(apt, "sources.list"), []byte(sources.String()), 0o644),
		os.WriteFile(filepath.Join(apt, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(apt, "apt.conf"), []byte(config), 0o644))
}

// resolve lists the packages of a set as name=version: those wanted and what they need.
func (d *debian) resolve(s set) ([]string, error) {
	out, err := d.apt(d.dir, append([]string{"apt-get", "-s", "-t", s.release, "--no-install-recommends", "install"}, s.packages...)...)
	if err != nil {
		return nil, err
	}
	list := chosen(out, s.keep)
	if len(list) == 0 {
		return nil, fmt.Errorf("none of them is in Debian %s", s.release)
	}
	return list, nil
}

var installation = regexp.MustCompile(`(?m)^Inst (\S+) (?:\[\S+\] )?\((\S+) `)

// chosen reads what apt would install.
func chosen(simulation string, keep *regexp.Regexp) []string {
	var list []string
	for _, m := range installation.FindAllStringSubmatch(simulation, -1) {
		if keep == nil || keep.MatchString(m[1]) {
			list = append(list, m[1]+"="+m[2])
		}
	}
	return list
}

// apt runs one of apt's programs with our configuration and returns what it wrote.
func (d *debian) apt(dir string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(d.dir, "apt", "apt.conf"), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
