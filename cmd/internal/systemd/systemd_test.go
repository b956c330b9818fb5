// SPDX-License-Identifier: BSD-3-Clause

package systemd

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(Ready); err != nil {
		t.Error("without a manager:", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	for _, name := range []string{path, "@ethertap-test" + path} {
		address := &net.UnixAddr{Name: strings.Replace(name, "@", "\x00", 1), Net: "unixgram"}
		l, err := net.ListenUnixgram("unixgram", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		for _, state := range []string{Ready, Reloading(), Stopping} {
			if err := Notify(state); err != nil {
				t.Error(err)
			}
			l.SetReadDeadline(time.Now().Add(30 * time.Second))
			buf := make([]byte, 100)
			if n, err := l.Read(buf); err != nil || string(buf[:n]) != state {
				t.Errorf("%q, %v; want %q", buf[:n], err, state)
			}
		}
	}
	if !strings.Contains(Reloading(), "\nMONOTONIC_USEC=") {
		t.Error(Reloading())
	}
	t.Setenv("NOTIFY_SOCKET", path+".absent")
	if err := Notify(Ready); err == nil || !strings.HasPrefix(err.Error(), "service manager: ") {
		t.Error("nobody there:", err)
	}
}

func TestJournal(t *testing.T) {
	old := journal
	t.Cleanup(func() { journal = old })
	journal = filepath.Join(t.TempDir(), "stdout")
	if _, err := Journal("collect"); err == nil || !strings.HasPrefix(err.Error(), "journal: ") {
		t.Error("nobody there:", err)
	}
	l, err := net.Listen("unix", journal)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := Journal("collect")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "a line\n"); err != nil {
		t.Error(err)
	}
	f.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(bufio.NewReader(conn))
	if want := "collect\n\n6\n1\n0\n0\n0\na line\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v; want %q", text, err, want)
	}
}
