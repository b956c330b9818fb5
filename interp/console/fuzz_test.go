// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ethertap/interp"
	"ethertap/tests/vt"
)

// Whatever a client sends, the server answers in frames, disconnects it in the end, and goes on
// serving others.
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
	l, err := Listen(path, OwnGroup)
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
			nc.Write(b) // it may fail, since the server may have hung up
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

// Whatever is typed or pasted, the prompt goes on, and the screen shows the line as it would be
// drawn on an empty screen.
func FuzzEditor(f *testing.F) {
	for _, s := range []string{
		"1 2 .\r", "\x1b[A\x1b[B\x1b[C\x1b[D\x01x\x05y\x0b\x19", "0 tap.\t\t", "\x12a\x13\x07", "1 if\r\x03",
		pasteStart + ": two\n 2 else\n;\n" + pasteEnd, pasteStart + "1\t2", pasteStart + "a\x7fb" + pasteEnd, "日本😀e\u0301" + left + left + "\x7f",
		strings.Repeat("1234567890 ", 50) + "\x01" + left, "\xff\xc3\x1b[", "\x1b[200~\x1b[200~\x1b[201~\x1b[201~", "a\x14b\x17\x08\x1bb\x1bf\x1bd",
		"begin 0 until\r\x03", "\"\t", "\x0c\x0c", "\x04", "x\x04",
	} {
		f.Add([]byte(s), uint8(40), uint8(6))
	}
	f.Fuzz(func(t *testing.T, keys []byte, columns, rows uint8) {
		if len(keys) > 4000 { // the kernel's queue holds no more
			return
		}
		cols, height := max(int(columns), minWidth), max(int(rows), 3)
		p := startPrompt(t, cols, "xterm", "")
		p.Patience = 8 * time.Second // a fuzzer takes more for a hang
		p.Resize(cols, height)
		p.con.Resized()
		p.Type(string(keys))
		// This ends a paste, running words, a search, a line and open structures.
		p.Type(pasteEnd + "\x03\x03\x03")
		const alive = "clear \"ali\" type \"ve\" type"
		p.Type(alive + "\r")
		p.UntilOr(func() bool { return len(p.status) > 0 }, "alive", func(v *vt.Screen) bool { return strings.Contains(v.Text(0), "\nalive\nok") })
		if len(p.status) > 0 { // the keys left the prompt
			return
		}
		// This removes the keys that enter the line.
		edited := strings.NewReplacer("\r", "", "\n", "", "\x03", "", "\x04", "").Replace(string(keys))
		p.Type(edited + pasteEnd + "\x05\x05") // an escape before takes one
		const mark = "qqqq"
		p.Type(mark)
		join := strings.NewReplacer("\n", "", " ", "")
		p.UntilOr(func() bool { return len(p.status) > 0 }, "marked", func(v *vt.Screen) bool {
			return strings.HasSuffix(join.Replace(sides.ReplaceAllString(v.String(), "")), mark)
		})
		e := p.con.tty.ed
		e.view.mu.Lock()
		defer e.view.mu.Unlock()
		fresh := vt.New(cols, height, runeWidth)
		w := &view{w: vtWriter{fresh}, size: e.view.size, styled: true, line: e.view.line, pos: e.view.pos, hint: e.view.hint,
			prompt: e.view.prompt, side: e.view.side, on: true, windowed: e.view.windowed, top: e.view.top}
		w.drawLocked()
		p.Until("as drawn anew: "+fresh.String(), func(v *vt.Screen) bool { return strings.HasSuffix(v.String(), fresh.String()) })
	})
}
