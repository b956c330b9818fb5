package console

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ethertap/interp"
)

// Whatever a client sends, the server answers in frames, cuts it in the end, and goes
// on serving others.
func FuzzServer(f *testing.F) {
	line := func(id uint32, text string) []byte { return appendFrame(nil, kindLine, idBytes(id), text) }
	f.Add(line(1, "1 ."))
	f.Add(append(line(1, "1 if"), line(2, "then")...))
	f.Add(append(line(1, "begin 0 until"), appendFrame(nil, kindInterrupt, idBytes(1))...))
	f.Add(append(appendFrame(nil, kindRun, idBytes(7), "x"), appendFrame(nil, kindData, idBytes(7), "1 .\n")...))
	f.Add(appendFrame(nil, kindComplete, idBytes(3), "s"))
	f.Add(appendFrame(nil, kindBye))
	f.Add([]byte{kindLine, 0, 0, 0, 4, 0, 0, 0, 0})
	dict, err := interp.NewDict()
	if err != nil {
		f.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "console-fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	server := NewServer(dict, "fuzz", ServerOptions{ReadTimeout: 50 * time.Millisecond, WriteTimeout: time.Second})
	l, err := Listen(path)
	if err != nil {
		f.Fatal(err)
	}
	go server.Serve(l)
	f.Cleanup(func() { server.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		nc := conn.(*net.UnixConn)
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		go func() {
			nc.Write(b) // may fail: the server may have hung up
			nc.CloseWrite()
		}()
		for first := true; ; first = false {
			fr, err := readFrame(nc)
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("not cut")
				}
				if err != io.EOF && first {
					t.Fatal("not greeted:", err)
				}
				break
			}
			if !bytes.ContainsRune([]byte("HOEMZWB"), rune(fr.kind)) || first && fr.kind != kindHello {
				t.Fatalf("the server says %c", fr.kind)
			}
		}
	})
}
