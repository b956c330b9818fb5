// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/tests/need"
)

// Two users who are not trusted.
const stranger, other = 65533, 65532

// openToAll is a directory as /dev/shm is.
func openToAll(t *testing.T) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a stranger puts under the queue's name gives way to a queue of ours, and is
// not written to: neither itself nor what it leads to.
func TestStrangersGiveWay(t *testing.T) {
	for what, plant := range map[string]func(t *testing.T, dir, path string){
		"a file": func(t *testing.T, _, path string) {
			must(t, os.WriteFile(path, []byte("planted"), 0o666))
		},
		"a large file": func(t *testing.T, _, path string) {
			must(t, os.WriteFile(path, nil, 0o666))
			must(t, os.Truncate(path, 1<<40))
		},
		"a queue": func(t *testing.T, dir, path string) {
			q := openTest(t, filepath.Base(path), Options{Slots: MinSlots, dir: dir}) // with the locks that it holds
			producer(t, q)
		},
		"a symbolic link": func(t *testing.T, dir, path string) {
			must(t, os.WriteFile(filepath.Join(dir, "target"), []byte("precious"), 0o600))
			must(t, os.Symlink(filepath.Join(dir, "target"), path))
		},
		"a hard link to a file": func(t *testing.T, dir, path string) { // of root: links may be unprotected
			must(t, os.WriteFile(filepath.Join(dir, "target"), []byte("precious"), 0o600))
			must(t, os.Link(filepath.Join(dir, "target"), path))
		},
		"a directory":      func(t *testing.T, _, path string) { must(t, os.Mkdir(path, 0o777)) },
		"a full directory": func(t *testing.T, _, path string) { must(t, os.MkdirAll(filepath.Join(path, "kept"), 0o777)) },
		"a FIFO":           func(t *testing.T, _, path string) { must(t, unix.Mkfifo(path, 0o666)) },
		"a socket": func(t *testing.T, _, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			must(t, err)
			l.SetUnlinkOnClose(false)
			t.Cleanup(func() { l.Close() })
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := openToAll(t)
			path := filepath.Join(dir, "queue")
			plant(t, dir, path)
			whose := fmt.Sprintf("user %d", stranger)
			if strings.Contains(what, "hard") {
				whose = "user 0 (root)"
			} else {
				must(t, os.Lchown(path, stranger, stranger))
			}
			for _, o := range []Options{{NoCreate: true, Repair: true, dir: dir}, {dir: dir}} { // the second might be root's shell, on the queue of another user's ethertap
				if _, err := Open("queue", o); !errors.Is(err, ErrForeign) || !errors.Is(err, ErrStrange) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("without leave to make one: %v", err)
				}
			}
			var said []string
			q := openTest(t, "queue", Options{Slots: MinSlots, Repair: true, dir: dir, Logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
			producer(t, q)
			kind := strings.NewReplacer("large ", "", "full ", "", "a queue", "a file").Replace(what)
			want := fmt.Sprintf("queue queue is made anew, in the place of %s of %s", kind, whose)
			if len(said) != 1 || !strings.HasPrefix(said[0], want) {
				t.Errorf("said %q, want %q", said, want)
			}
			var st unix.Stat_t
			must(t, unix.Lstat(path, &st))
			if st.Uid != 0 || st.Mode != unix.S_IFREG|0o600 || st.Nlink != 1 {
				t.Errorf("the queue: uid %d, mode %o, %d links", st.Uid, st.Mode, st.Nlink)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "target")); err == nil && string(b) != "precious" {
				t.Errorf("the target holds %.20q", b)
			}
			again := openTest(t, "queue", Options{dir: dir})
			if st := status(t, again); st.Slots != MinSlots || st.Deleted {
				t.Errorf("opened again: %+v", st)
			}
			hidden, _ := filepath.Glob(filepath.Join(dir, ".queue.*"))
			switch {
			case what == "a full directory":
				if len(hidden) != 1 || !strings.HasSuffix(said[0], ", which is called "+hidden[0]+" now") {
					t.Errorf("%q is left, said %q", hidden, said)
				} else if _, err := os.Stat(filepath.Join(hidden[0], "kept")); err != nil {
					t.Error(err)
				}
			case hidden != nil:
				t.Errorf("%q is left", hidden)
			}
		})
	}
}

// Of several who find a stranger's file at the same time one makes the queue, and all have it.
func TestStrangersAndARace(t *testing.T) {
	for round := range 20 {
		dir := openToAll(t)
		path := filepath.Join(dir, "queue")
		must(t, os.WriteFile(path, nil, 0o666))
		must(t, os.Chown(path, stranger, stranger))
		queues := make(chan *Queue)
		for range 8 {
			go func() {
				q, err := Open("queue", Options{Slots: MinSlots, Repair: true, dir: dir})
				if err != nil {
					t.Error(err)
				}
				queues <- q
			}()
		}
		for range 8 {
			if q := <-queues; q != nil {
				if !named(q.fd, path) {
					t.Errorf("round %d: one has a queue without a name", round)
				}
				defer q.Close()
			}
		}
		if hidden, _ := filepath.Glob(filepath.Join(dir, ".queue.*")); hidden != nil {
			t.Errorf("%q is left", hidden)
		}
	}
}

// Where not everybody may create files, what stands there is as somebody wants it.
func TestStrangersInADirectoryOfOurs(t *testing.T) {
	dir := openToAll(t)
	must(t, os.Chmod(dir, 0o775))
	path := filepath.Join(dir, "queue")
	must(t, os.WriteFile(path, []byte("theirs"), 0o666))
	must(t, os.Chown(path, stranger, stranger))
	if _, err := Open("queue", Options{Repair: true, dir: dir}); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "theirs" {
		t.Errorf("%q, %v", b, err)
	}
}

// Root's queue and those of other users are safe from who is not root, who is told why.
func TestStrangersThemselves(t *testing.T) {
	dir := openToAll(t)
	must(t, os.Chmod(filepath.Dir(dir), 0o711))
	openTest(t, "roots", Options{Slots: MinSlots, dir: dir})
	must(t, os.WriteFile(filepath.Join(dir, "others"), []byte("theirs"), 0o666))
	must(t, os.Chown(filepath.Join(dir, "others"), other, other))
	program := filepath.Join(dir, "program") // the test's own stands where nobody else may read
	b, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(program, b, 0o755))
	for name, want := range map[string]string{
		"roots":  "queue roots: permission denied",
		"others": fmt.Sprintf("queue others: not a queue of EtherTAP: %s is a file of user %d, which we may not replace: operation not permitted", filepath.Join(dir, "others"), other),
		"theirs": "opened",
	} {
		cmd := exec.Command(program, "-test.run=^TestStrangersChild$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "SHM_STRANGER="+dir+"/"+name)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "it says: "+want+"\n") {
			t.Errorf("%s: %v, %s; want %q", name, err, out, want)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, "theirs")); err != nil || st.Sys().(*syscall.Stat_t).Uid != stranger {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestStrangersChild is what TestStrangersThemselves runs as another user.
func TestStrangersChild(t *testing.T) {
	path := os.Getenv("SHM_STRANGER")
	if path == "" {
		t.Skip("a part of TestStrangersThemselves")
	}
	q, err := Open(filepath.Base(path), Options{Slots: MinSlots, Repair: true, dir: filepath.Dir(path)})
	if err != nil {
		fmt.Printf("it says: %v\n", err)
		return
	}
	q.Close()
	fmt.Printf("it says: opened\n")
}
