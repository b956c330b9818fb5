// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
)

// successor is a daemon that replaces another one: the same program, arguments and environment,
// in the same directory, namespaces and root, with the same user, limits, CPUs, priority and
// umask. All of these are read while the other runs. control is its parent, and not the daemon
// itself, since a daemon that hangs has to be restarted too.
type successor struct {
	title      string
	pid        int
	exe        string
	args, env  []string
	dir        string
	root       string // "" is the root of the namespace
	namespaces []namespace
	credential *syscall.Credential // nil: as this process
	ambient    []uintptr
	limits     map[int]unix.Rlimit
	cpus       unix.CPUSet
	nice       int
	umask      int
}

// namespace is a namespace of the daemon that differs from ours, held open.
type namespace struct {
	name string
	kind int
	file *os.File
}

// kinds are the namespaces in which a child can be started. Those of users, processes and time
// cannot be entered here; a daemon in such a namespace of its own is refused or not found.
var kinds = []struct {
	name string
	kind int
}{{"net", unix.CLONE_NEWNET}, {"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"cgroup", unix.CLONE_NEWCGROUP}, {"mnt", unix.CLONE_NEWNS}}

// limited are the limits that are passed on, by their names in /proc. The limit of open files is
// not among them, since every Go program raises it for itself.
var limited = map[string]int{
	"Max locked memory": unix.RLIMIT_MEMLOCK, "Max core file size": unix.RLIMIT_CORE, "Max file size": unix.RLIMIT_FSIZE,
	"Max processes": unix.RLIMIT_NPROC, "Max realtime priority": unix.RLIMIT_RTPRIO, "Max nice priority": unix.RLIMIT_NICE,
}

// successorOf reads how a daemon was started, and its environment.
func successorOf(in rundir.Info) (_ *successor, err error) {
	s := &successor{title: title(in), pid: in.PID, limits: make(map[int]unix.Rlimit)}
	defer func() {
		if err != nil {
			s.close()
			err = fmt.Errorf("%s: %w", s.title, err)
		}
	}()
	proc := fmt.Sprintf("/proc/%d/", in.PID)
	line, err := os.ReadFile(proc + "cmdline")
	if err != nil {
		return nil, err
	}
	environ, err := os.ReadFile(proc + "environ")
	if err != nil {
		return nil, err
	}
	if s.exe, err = os.Readlink(proc + "exe"); err != nil {
		return nil, err
	}
	s.exe = strings.TrimSuffix(s.exe, " (deleted)") // after an upgrade this is the new program
	fields := func(b []byte) []string { return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00") }
	s.args = fields(line)
	detached := false
	for _, e := range fields(environ) {
		if value, ok := strings.CutPrefix(e, detach.Env+"="); ok {
			_, s.dir, detached = strings.Cut(value, ":")
			continue
		}
		s.env = append(s.env, e)
	}
	if !detached {
		return nil, errors.New("runs in the foreground; whoever started it has to restart it (systemctl restart, if systemd did)")
	}
	if s.root, err = os.Readlink(proc + "root"); err != nil {
		return nil, err
	}
	if s.root == "/" {
		s.root = ""
	}
	if err := s.holdNamespaces(proc); err != nil {
		return nil, err
	}
	if err := s.readStatus(proc); err != nil {
		return nil, err
	}
	if err := s.readLimits(proc); err != nil {
		return nil, err
	}
	if err := unix.SchedGetaffinity(in.PID, &s.cpus); err != nil {
		return nil, err
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, in.PID)
	s.nice = 20 - nice // in the form of the system call
	return s, err
}

// holdNamespaces opens the namespaces that differ from ours, so that they stay when the daemon
// has ended.
func (s *successor) holdNamespaces(proc string) error {
	same := func(name string) (bool, error) {
		theirs, err := os.Stat(proc + "ns/" + name)
		if err != nil {
			return false, err
		}
		ours, err := os.Stat("/proc/thread-self/ns/" + name)
		return err == nil && os.SameFile(theirs, ours), err
	}
	if ok, err := same("user"); err != nil || !ok {
		return errors.Join(err, errors.New("it runs in a user namespace of its own; it has to be restarted there"))
	}
	for _, k := range kinds {
		if ok, err := same(k.name); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(proc + "ns/" + k.name)
		if err != nil {
			return err
		}
		s.namespaces = append(s.namespaces, namespace{k.name, k.kind, f})
	}
	return nil
}

// readStatus reads user, groups, capabilities and umask.
func (s *successor) readStatus(proc string) error {
	b, err := os.ReadFile(proc + "status")
	if err != nil {
		return err
	}
	numbers := func(name string, base int) (list []uint64) {
		_, rest, _ := strings.Cut(string(b), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		for _, field := range strings.Fields(line) {
			if n, err := strconv.ParseUint(field, base, 64); err == nil {
				list = append(list, n)
			}
		}
		return list
	}
	uid, gid, groups, mask, ambient := numbers("Uid", 10), numbers("Gid", 10), numbers("Groups", 10), numbers("Umask", 8), numbers("CapAmb", 16)
	if len(uid) < 2 || len(gid) < 2 || len(mask) != 1 {
		return fmt.Errorf("%sstatus does not say who it is", proc)
	}
	s.umask = int(mask[0])
	ours, err := unix.Getgroups()
	if err != nil {
		return err
	}
	var theirs []int
	var all []uint32
	for _, g := range groups {
		theirs, all = append(theirs, int(g)), append(all, uint32(g))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	if int(uid[1]) != unix.Geteuid() || int(gid[1]) != unix.Getegid() || !slices.Equal(slices.Compact(ours), slices.Compact(theirs)) {
		s.credential = &syscall.Credential{Uid: uint32(uid[1]), Gid: uint32(gid[1]), Groups: all}
	}
	for _, bits := range ambient {
		for c := range 64 {
			if bits>>c&1 == 1 {
				s.ambient = append(s.ambient, uintptr(c))
			}
		}
	}
	return nil
}

// readLimits reads the limits from /proc, since the system call needs a capability.
func (s *successor) readLimits(proc string) error {
	b, err := os.ReadFile(proc + "limits")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		for name, resource := range limited {
			rest, ok := strings.CutPrefix(line, name)
			values := strings.Fields(rest)
			if !ok || len(values) < 2 {
				continue
			}
			var l unix.Rlimit
			for i, to := range []*uint64{&l.Cur, &l.Max} {
				if *to = math.MaxUint64; values[i] == "unlimited" { // RLIM_INFINITY
					continue
				}
				if *to, err = strconv.ParseUint(values[i], 10, 64); err != nil {
					return fmt.Errorf("%slimits: %w", proc, err)
				}
			}
			s.limits[resource] = l
		}
	}
	return nil
}

func (s *successor) close() {
	for _, n := range s.namespaces {
		n.file.Close()
	}
}

// command is the program with its arguments, after additional ones.
func (s *successor) command(stdout, stderr io.Writer, more ...string) *exec.Cmd {
	args := append([]string{s.args[0]}, more...)
	return &exec.Cmd{
		Path: s.exe, Args: append(args, s.args[1:]...), Env: s.env, Dir: s.dir, Stdout: stdout, Stderr: stderr,
		// control decides what signals do to it, including those for its process group.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Chroot: s.root, Credential: s.credential, AmbientCaps: s.ambient},
	}
}

// check is the program with its arguments, told to print what would keep it from starting.
func (s *successor) check(stderr io.Writer) *exec.Cmd {
	cmd := s.command(io.Discard, stderr, "--check")
	cmd.Env = append(slices.Clone(cmd.Env), fmt.Sprintf("%s=%d", detach.Replaces, s.pid))
	return cmd
}

// start starts a command in the environment of the daemon.
func (s *successor) start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with this function, and with it what it entered
		err := s.enter()
		if err == nil {
			if _, gone := os.Stat(cmd.Path); gone != nil && s.root == "" {
				if path, err := exec.LookPath(s.args[0]); err == nil {
					cmd.Path = path
				}
			}
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

// enter moves the calling thread, and so the processes that it starts, into the environment of
// the daemon.
func (s *successor) enter() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // directory and umask belong to the thread from now on
		return fmt.Errorf("unshare: %w", err)
	}
	unix.Umask(s.umask)
	for _, n := range s.namespaces {
		if err := unix.Setns(int(n.file.Fd()), n.kind); err != nil {
			hint := ""
			if err == unix.EPERM {
				hint = "; run as root"
			}
			return fmt.Errorf("its namespace (%s): %w%s", n.name, err, hint)
		}
	}
	if err := unix.SchedSetaffinity(0, &s.cpus); err != nil {
		return fmt.Errorf("its CPUs: %w", err)
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || 20-nice != s.nice {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, s.nice); err != nil {
			return fmt.Errorf("its priority: %w", err)
		}
	}
	for resource, l := range s.limits {
		var ours unix.Rlimit
		if err := unix.Prlimit(0, resource, nil, &ours); err == nil && ours == l {
			continue
		}
		// Without the right to raise a limit ours has to suffice; the check shows whether it
		// does.
		if err := unix.Prlimit(0, resource, &l, nil); err != nil && err != unix.EPERM {
			return fmt.Errorf("its limits: %w", err)
		}
	}
	return nil
}
