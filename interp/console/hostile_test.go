// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"errors"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/need"
)

// Whatever one client does, the others are served.
func TestServerHostile(t *testing.T) {
	path, _, _ := startServer(t, ServerOptions{ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond})
	good := dial(t, path)
	garbage := make([]byte, 100000)
	rand.New(rand.NewSource(1)).Read(garbage)
	header := func(kind byte, n uint32) []byte {
		return []byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	line := func(id uint32, text string) []byte { return appendFrame(nil, kindLine, idBytes(id), text) }
	for name, send := range map[string][]byte{
		"garbage":        garbage,
		"zeroes":         make([]byte, 100),
		"too long":       header(kindLine, maxPayload+1),
		"huge":           header(kindLine, 1<<32-1),
		"unfinished":     append(header(kindLine, 1000), "half"...),
		"header cut":     {kindLine, 0},
		"no id":          header(kindLine, 0),
		"id 0":           line(0, "1 ."),
		"two at once":    append(line(1, "begin 0 until"), line(2, "1 .")...),
		"unwanted data":  append(line(1, "begin 0 until"), appendFrame(nil, kindData, idBytes(1), "x")...),
		"server's frame": header(kindResult, 0),
	} {
		t.Run(name, func(t *testing.T) {
			nc := rawDial(t, path)
			nc.Write(send) // it may fail half way, since the server may have hung up
			nc.SetReadDeadline(time.Now().Add(patience))
			said := ""
			for {
				f, err := readFrame(nc)
				if err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("not cut")
					}
					break
				}
				if f.kind == kindGoodbye {
					said = string(f.payload)
				}
			}
			if name != "garbage" && said == "" { // closing with unread input may lose it
				t.Error("cut without a word")
			}
			want(t, good, "1 .", "1\n", "", Result{})
		})
	}
	t.Run("does not read", func(t *testing.T) {
		nc := rawDial(t, path)
		nc.Write(line(1, "flood"))
		want(t, good, "1 .", "1\n", "", Result{})
		// After the server has disconnected, the rest of its output stays readable; then the end
		// comes.
		for end := time.Now().Add(patience); ; {
			var pfd = []unix.PollFd{{Fd: fdOf(t, nc), Events: unix.POLLRDHUP}}
			unix.Poll(pfd, 100)
			if pfd[0].Revents&(unix.POLLRDHUP|unix.POLLHUP) != 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("a client that does not read is not cut")
			}
		}
	})
	t.Run("leaves while a word loops", func(t *testing.T) {
		cl := dial(t, path)
		result := begin(t, cl, "begin 0 until")
		cl.Close()
		<-result
		want(t, good, "1 .", "1\n", "", Result{})
	})
	t.Run("floods", func(t *testing.T) {
		nc := rawDial(t, path)
		flood := bytes.Repeat(appendFrame(nil, kindComplete, idBytes(1), ""), 20000)
		nc.SetWriteDeadline(time.Now().Add(patience))
		if _, err := nc.Write(flood); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("not cut")
		}
		want(t, good, "1 .", "1\n", "", Result{})
	})
}

func fdOf(t *testing.T, nc *net.UnixConn) (fd int32) {
	t.Helper()
	rc, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(f uintptr) { fd = int32(f) })
	return fd
}

// Another user is refused even if somebody has opened the socket to all.
func TestServerStranger(t *testing.T) {
	need.Root(t) // to become another user
	const nobody, nogroup = 65534, 65533
	path, _, _ := startServer(t, ServerOptions{})
	for d := filepath.Dir(path); d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(path, 0, nogroup); err != nil {
		t.Fatal(err)
	}
	connect := func() (*Client, error) {
		type dialed struct {
			cl  *Client
			err error
		}
		c := make(chan dialed)
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); e != 0 {
				c <- dialed{nil, e}
				return
			}
			// Changing the user has made the process undumpable, so that nobody may read its
			// /proc.
			if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0); e != 0 {
				c <- dialed{nil, e}
				return
			}
			cl, err := Dial(path)
			c <- dialed{cl, err}
		}()
		d := <-c
		return d.cl, d.err
	}
	if _, err := connect(); !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "run as root") {
		t.Errorf("mode 0660: %v", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(); err == nil || !strings.Contains(err.Error(), "user 65534") {
		t.Errorf("mode 0666: %v", err)
	}
	want(t, dial(t, path), "1 .", "1\n", "", Result{})
}
