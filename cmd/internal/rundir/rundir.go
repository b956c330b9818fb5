// SPDX-License-Identifier: BSD-3-Clause

// Package rundir keeps the run directory: which instances of which program run,
// what their process ids are, and where their sockets are.
//
// An instance is a pid file held with a lock. The lock, not the number in the
// file, says whether the instance lives: the kernel drops it when the process
// ends in any way, so a stale file is known for certain and removed. The lock
// is an OFD lock (fcntl F_OFD_SETLK), which can be asked for without being
// taken, and which a process cannot lose by closing another descriptor of the
// same file.
//
// All changes of the directory happen under flock on the directory itself.
//
// The package knows no program: it neither speaks over the sockets nor knows
// what an instance does, and it starts nothing.
package rundir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/lib/ownfile"
)

const (
	// defaultDir is the run directory unless Env names another.
	defaultDir = "/run/ethertap"
	// userDir is the run directory of a user who may not use defaultDir, in $XDG_RUNTIME_DIR. Without that it is
	// userDir with the number of the user, in the directory for temporary files.
	userDir = "ethertap"
	// Env is the environment variable that names another run directory.
	Env = "ETHERTAP_RUNDIR"

	dirMode = 0o750 // the group may list instances and reach their sockets
	pidMode = 0o644 // it holds no secret, and the directory protects it

	// maxName keeps the path of a socket below the 108 bytes that fit in a
	// socket address, with room for a long directory.
	maxName = 32
)

// Path returns the run directory in use. It need not exist.
func Path() string { return path(unix.R_OK | unix.X_OK) }

// path returns the run directory: the default one for root and for users who may use it in this way, else one of the user's own.
func path(mode uint32) string {
	if d := os.Getenv(Env); d != "" {
		return d
	}
	if os.Geteuid() == 0 || unix.Access(defaultDir, mode) == nil {
		return defaultDir
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		return filepath.Join(d, userDir)
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d", userDir, os.Geteuid()))
}

// prepare makes the run directory if it is missing, and returns its full path.
func prepare() (dir string, err error) {
	if dir, err = filepath.Abs(path(unix.W_OK | unix.X_OK)); err == nil {
		err = makeDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("run directory: %w", err)
	}
	return dir, nil
}

// Instance is this process in the run directory, from Register to Close.
type Instance struct {
	pid    *os.File // locked while the instance lives
	dir    string
	base   string
	socket string
}

// Register registers this process as the instance of program with that name. It makes the run
// directory if it is missing. It fails if an instance of that name runs. The file and the socket
// of a dead one are removed. The wait for others that change the directory ends with ctx.
func Register(ctx context.Context, program, name string) (*Instance, error) {
	if err := CheckName(program, name); err != nil {
		return nil, err
	}
	dir, err := prepare()
	if err != nil {
		return nil, err
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	defer unlock()

	in := &Instance{dir: dir, base: baseName(program, name)}
	in.socket = filepath.Join(dir, in.base+socketSuffix)
	path := filepath.Join(dir, in.base+pidSuffix)
	switch old, err := readPidFile(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("run directory: %w", err)
	case old.held:
		return nil, taken(program, name, old.pid)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("run directory: stale pid file: %w", err)
		}
	}
	for _, socket := range []string{in.socket, in.AskPath()} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("run directory: stale socket: %w", err)
		}
	}
	if in.pid, err = createPidFile(path); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	return in, nil
}

// Free returns the error with which Register would fail now, or nil.
func Free(ctx context.Context, program, name string) error {
	if err := CheckName(program, name); err != nil {
		return err
	}
	dir, err := prepare()
	if err != nil {
		return err
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	all, err := List(ctx, program)
	if err != nil {
		return err
	}
	for _, in := range all {
		if in.Name == name {
			return taken(program, name, in.PID)
		}
	}
	return nil
}

func taken(program, name string, pid int) error {
	return fmt.Errorf("%s %q is already running as PID %d; choose another --name", program, name, pid)
}

// SocketPath returns the path on which the instance may listen. After Register there is no file
// of that name.
func (in *Instance) SocketPath() string { return in.socket }

// AskPath returns the path on which the instance may listen for those who only ask.
func (in *Instance) AskPath() string { return filepath.Join(in.dir, in.base+askSuffix) }

// Share lets the members of a group list the instances of the run directory and reach the sockets
// that are theirs. The directory has one such group, the last one that was named.
func (in *Instance) Share(group int) error {
	err := errors.Join(os.Chown(in.dir, -1, group), os.Chmod(in.dir, dirMode), in.pid.Chown(-1, group), in.pid.Chmod(pidMode))
	if err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	return nil
}

// Dir returns the run directory.
func (in *Instance) Dir() string { return in.dir }

// Close removes the pid file and the socket and releases the lock. It has to be the last action
// of a program, since Stop takes it for the end. On a nil Instance it does nothing.
func (in *Instance) Close() error {
	if in == nil || in.pid == nil {
		return nil
	}
	// The lock is released last: nobody else can take the name before, so the removed files are
	// our own.
	var failed error
	for _, suffix := range []string{socketSuffix, askSuffix, pidSuffix} {
		err := os.Remove(filepath.Join(in.dir, in.base+suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && failed == nil {
			failed = fmt.Errorf("run directory: %w", err)
		}
	}
	if err := in.pid.Close(); err != nil && failed == nil {
		failed = fmt.Errorf("run directory: %w", err)
	}
	in.pid = nil
	return failed
}

// CheckName returns an error if a name of an instance is not valid. Valid names are names of
// files, from which program and name can be told apart, and whose socket fits in a socket
// address.
func CheckName(program, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%s name %q: 1 to %d characters", program, name, maxName)
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || name[0] == '.' {
		return fmt.Errorf("%s name %q: letters, digits, - _ and . only, and no . in front", program, name)
	}
	return nil
}

const (
	pidSuffix    = ".pid"
	socketSuffix = ".sock"
	askSuffix    = ".ask" // a second socket, which the instance need not have
)

// baseName returns the common part of the file names of an instance. The instance with the name
// of its program is the usual one and has the short form (ethertap.pid); any other is
// ethertap.NAME.pid.
func baseName(program, name string) string {
	if name == program {
		return program
	}
	return program + "." + name
}

// splitBase is the reverse of baseName; ok is false for another program's file.
func splitBase(program, base string) (name string, ok bool) {
	if base == program {
		return program, true
	}
	return strings.CutPrefix(base, program+".")
}

// makeDir creates the directory. It refuses one in which strangers could create files: its owner
// must be root or this user, and others must not have the right to write.
func makeDir(dir string) error {
	switch err := os.Mkdir(dir, dirMode); {
	case err == nil:
		// Mkdir is subject to the umask, but the group needs access.
		return os.Chmod(dir, dirMode)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; create %s or set %s", err, filepath.Dir(dir), Env)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	if found, err := ownfile.Look(dir); err == nil && found.Stranger() {
		return fmt.Errorf("%s: is %v, not of root or us; set %s", dir, &found, Env)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s: not a directory", dir)
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s: belongs to user %d, not to root or us; set %s", dir, st.Uid, Env)
	case st.Mode&unix.S_IWOTH != 0:
		return fmt.Errorf("%s: anybody may write in it; to fix this, run chmod o-w %s, or set %s", dir, dir, Env)
	}
	return nil
}

// lockDir takes the lock under which the directory is changed. It is held for a few system calls
// only, but its holder may have been stopped: the wait ends with ctx.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	const step = 5 * time.Millisecond
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch err {
		case nil:
			return func() { f.Close() }, nil
		case unix.EINTR, unix.EWOULDBLOCK:
		default:
			f.Close()
			return nil, &fs.PathError{Op: "flock", Path: dir, Err: err}
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(step):
		}
	}
}

// createPidFile makes a new file, so that nobody but this process ever locks it for writing, takes
// the lock and writes the pid and the time of start. The directory is locked, so nobody sees an
// incomplete file. Others may read it only then: a lock for reading would keep us from ours.
func createPidFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk)
	if err != nil {
		err = &fs.PathError{Op: "lock", Path: path, Err: err}
	} else {
		_, err = fmt.Fprintf(f, "%d\n%s\n", os.Getpid(), time.Now().Format(time.RFC3339Nano))
	}
	if err == nil {
		err = f.Chmod(pidMode)
	}
	if err != nil {
		os.Remove(path)
		f.Close()
		return nil, err
	}
	return f, nil
}

// pidFile is the content of a pid file, and whether somebody holds it.
type pidFile struct {
	pid     int
	started time.Time
	held    bool
}

// readPidFile reads the file at path once.
func readPidFile(path string) (pidFile, error) {
	f, err := openPidFile(path)
	if err != nil {
		return pidFile{}, err
	}
	defer f.Close()
	return inspect(f)
}

// openPidFile opens a file without following a symbolic link, and without blocking if it is not a
// plain file.
func openPidFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: not a pid file", path)
	}
	return f, nil
}

// inspect reads an open pid file. Its content counts only if the file is held: otherwise it may
// be empty or incomplete, written by a process that was killed meanwhile.
func inspect(f *os.File) (pidFile, error) {
	held, err := isHeld(f)
	if err != nil || !held {
		return pidFile{}, err
	}
	var buf [128]byte
	n, err := f.ReadAt(buf[:], 0)
	if n == 0 {
		return pidFile{}, fmt.Errorf("%s: held, but empty: %w", f.Name(), err)
	}
	first, rest, _ := strings.Cut(string(buf[:n]), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid < 1 { // in a container it may be 1
		return pidFile{}, fmt.Errorf("%s: no pid in it", f.Name())
	}
	// If the time cannot be read, it is zero; nothing depends on it.
	started, _ := time.Parse(time.RFC3339Nano, strings.TrimSpace(rest))
	return pidFile{pid: pid, started: started, held: true}, nil
}

// isHeld checks the lock without taking it. The lock of an instance is one for writing, which only who may
// write the file can take. Whoever may read the file can take one for reading, which says nothing.
func isHeld(f *os.File) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return false, &fs.PathError{Op: "query lock", Path: f.Name(), Err: err}
	}
	return lk.Type == unix.F_WRLCK, nil
}
