// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"ethertap/interp"
	"ethertap/lib"
	"ethertap/words/core"
)

// printed is what a session prints; it stops the session when it holds a text.
type printed struct {
	bytes.Buffer
	text string
	stop func()
}

func (p *printed) Write(b []byte) (int, error) {
	n, err := p.Buffer.Write(b)
	if p.text != "" && strings.Contains(p.String(), p.text) {
		p.stop()
	}
	return n, err
}

// loaded returns a session of ethertap with a file of the library loaded by name.
func loaded(t *testing.T, name string) (*interp.Session, *printed) {
	t.Helper()
	dict, q := dictionary(t)
	p, err := q.NewProducer("library")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	put(t, p, hex.EncodeToString(tcpFrame))
	put(t, p, hex.EncodeToString(arpFrame))
	out := new(printed)
	s := interp.NewSession(dict, strings.NewReader(""), out, out)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Interpret(interp.Quote(name) + " load"); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s, out
}

// Every file of the library loads, says in its first line what it is for, defines words,
// and leaves nothing on the stack.
func TestLibraryLoads(t *testing.T) {
	files, err := fs.Glob(lib.Files, "*.rpcl")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		s, out := loaded(t, strings.TrimSuffix(file, ".rpcl"))
		if out.Len() > 0 || s.Depth() > 0 {
			t.Errorf("%s prints %q and leaves %d values", file, out, s.Depth())
		}
		text, err := fs.ReadFile(lib.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) < 3 || string(text[:2]) != "# " {
			t.Errorf("%s does not begin with a line that says what it is for", file)
		}
		for _, m := range regexp.MustCompile(`(?m)^: (\S+)(.*)$`).FindAllStringSubmatch(string(text), -1) {
			if _, stack, ok := s.Dict().Compound(m[1]); !ok || !strings.HasPrefix(stack, "( ") {
				t.Errorf("%s: %s has no stack comment", file, m[1])
			}
		}
	}
}

// The examples do what they say.
func TestLibraryRuns(t *testing.T) {
	for _, c := range []struct{ file, line, want string }{
		{"record-hosts", "00:23:7d:86:71:ff 50:1e:2d:49:c2:24 0 record-hosts tap.hash.show",
			`^recording until Ctrl-C, or for so many seconds:\n0\nwhat is in .*\n$`},
		{"record-hosts", "record-start if.stats", `(?s)RX tap +enabled.*RX tap +enabled`},
		{"flaky-link", "0 link.wifi 1 link.wifi if.stats", `(?s)fault injection +enabled.*dup probability +100 .*fault injection +enabled`},
		{"flaky-link", "0 link.dsl 0 link.satellite 0 link.cable if.stats", `bitflip probability +200 \(0\.200%\)`},
		{"flaky-link", "0 link.wifi 0 link.good if.stats", `(?s)^[^\n]*\n([^\n]*\n)*  fault injection +disabled`},
		{"flaky-link", "10 0 link.flap", `^$`},
		{"status-report", "report", `^\d{4}-\d\d-\d\d [\d:.]+\n  enp1s0f0 +rx \+0  tx \+0  drop \+0  \n  enp1s0f1 .*\npacket queue `},
		{"show-packets", "next-packet packet.summary .", `^10\.1\.1\.1:8080 > 10\.1\.1\.2:80 vlan 5 tcp PSH ACK 61 bytes\n$`},
		{"show-packets", "next-packet ip-of . . next-packet ip-of . .", `^10\.1\.1\.2\n10\.1\.1\.1\n0\.0\.0\.0\n0\.0\.0\.0\n$`},
	} {
		s, out := loaded(t, c.file)
		if err := s.Interpret(c.line); err != nil {
			t.Errorf("%s: %s: %v", c.file, c.line, err)
		}
		if !regexp.MustCompile(c.want).Match(out.Bytes()) {
			t.Errorf("%s: %s prints\n%s", c.file, c.line, out)
		}
		if s.Depth() > 0 {
			t.Errorf("%s: %s leaves %d values", c.file, c.line, s.Depth())
		}
	}
}

// Those that go on until they are stopped.
func TestLibraryGoesOn(t *testing.T) {
	for _, c := range []struct{ file, line, want string }{
		{"show-packets", "show-packets", "arp request"},
		{"show-packets", `"arp" show-packets-with`, "arp request"},
		{"show-packets", "10.1.1.2-10.1.1.9 show-packets-of", "tcp PSH ACK"},
		{"status-report", "report-every-second", "packet queue"},
	} {
		s, out := loaded(t, c.file)
		out.text, out.stop = c.want, s.Interrupt
		patience := time.AfterFunc(30*time.Second, s.Interrupt)
		err := s.Interpret(c.line)
		patience.Stop()
		if err == nil || !strings.Contains(err.Error(), "interrupted") || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %s: %v, printed\n%s", c.file, c.line, err, out)
		}
	}
}
