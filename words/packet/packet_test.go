// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/interp"
)

var update = flag.Bool("update", false, "write what the views show now into testdata")

// packets reads testdata/packets.txt: each line has a name and the hexadecimal digits of a
// packet.
func packets(t testing.TB) (all map[string][]byte, order []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "packets.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all = map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		all[name] = unhex(t, digits)
		order = append(order, name)
	}
	return all, order
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", digits, err)
	}
	return b
}

// The views of all samples are those in testdata/views.txt.
func TestViews(t *testing.T) {
	all, order := packets(t)
	var got strings.Builder
	for _, name := range order {
		got.WriteString("== " + name + ": " + summary(all[name]) + "\n" + show(all[name]) + "\n")
	}
	file := filepath.Join("testdata", "views.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		g, w := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
		i := 0
		for i < min(len(g), len(w)) && g[i] == w[i] {
			i++
		}
		t.Errorf("%s:%d: the view shows %q (go test -update, read the diff)", file, i+1, strings.Join(g[i:min(i+1, len(g))], ""))
	}
}

// Each flag of a DNS message is shown by its own name.
func TestFlagsOfDNS(t *testing.T) {
	for flag, want := range map[string]string{"0400": "authoritative", "0200": "truncated", "0100": "recursion desired", "0080": "recursion available"} {
		b := unhex(t, "020000000002 020000000001 0800"+
			"4500 0028 0000 0000 4011 0000 0a000001 0a000002"+
			"c000 0035 0014 0000"+
			"0007 "+flag+" 0000 0000 0000 0000")
		got := show(b)
		for _, name := range []string{"authoritative", "truncated", "recursion desired", "recursion available"} {
			if strings.Contains(got, name) != (name == want) {
				t.Errorf("flag %s: %s", flag, got)
			}
		}
	}
}

// session returns a session that has only the words of packets.
func session(t testing.TB) (*interp.Session, *bytes.Buffer) {
	dict, err := interp.NewDict(Set())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return interp.NewSession(dict, strings.NewReader(""), &out, &out), &out
}

// Every word on every sample, whole and cut at every length, leaves a value or an error.
func TestCutPackets(t *testing.T) {
	all, _ := packets(t)
	s, out := session(t)
	for name, b := range all {
		for n := range len(b) + 1 {
			callAll(t, s, b[:n])
			if strings.Contains(out.String(), "\x1b") {
				t.Fatalf("%s: a control character reaches the terminal", name)
			}
			out.Reset()
		}
	}
}

func callAll(t testing.TB, s *interp.Session, b []byte) {
	for _, w := range Set().Words {
		s.Clear()
		if err := s.Push(interp.NewData(b)); err != nil {
			t.Fatal(err)
		}
		if w.Name == "packet.has" {
			if err := s.Push(interp.NewString("tcp")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Interpret(w.Name); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: an error of more than one line: %q", w.Name, err)
		}
	}
}

func FuzzPacket(f *testing.F) {
	all, _ := packets(f)
	for _, b := range all {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > interp.MaxValue {
			return
		}
		s, _ := session(t)
		callAll(t, s, b)
		if err := agree(b); err != nil {
			t.Error(err)
		}
	})
}

func TestFields(t *testing.T) {
	all, _ := packets(t)
	s, out := session(t)
	for _, c := range []struct{ packet, word, want string }{
		{"tcp", "packet.src", "00:00:5e:00:53:02"}, {"tcp", "packet.dst", "00:00:5e:00:53:01"},
		{"tcp", "packet.etype", "2048"}, {"tcp", "packet.vlan", "5"}, {"tcp", "packet.ip.src", "10.1.1.1"},
		{"tcp", "packet.ip.dst", "10.1.1.2"}, {"tcp", "packet.ip.proto", "6"}, {"tcp", "packet.ip.ttl", "64"},
		{"tcp", "packet.sport", "8080"}, {"tcp", "packet.dport", "80"}, {"tcp", "packet.tcp.flags", "24"},
		{"tcp", "packet.tcp.seq", "1"}, {"tcp", "packet.tcp.ack", "2"}, {"tcp", "packet.len", "61"},
		{"tcp", "packet.layers", "\"ethernet vlan ip4 tcp data\""}, {"qinq", "packet.vlans", "100 200 2"},
		{"tcp", "packet.body", "[data length 3]"}, {"tcp", "packet.payload", "[data length 43]"},
		{"arp", "packet.arp.op", "1"}, {"arp", "packet.arp.src", "10.1.1.1"}, {"arp", "packet.arp.dst", "10.1.1.2"},
		{"arp", "packet.ip.src", "packet.ip.src: the packet is not IP"}, {"arp", "packet.vlan", "-1"},
		{"tcp", "packet.arp.op", "packet.arp.op: the packet is not ARP"},
		{"icmp4", "packet.sport", "packet.sport: the packet is neither TCP nor UDP nor SCTP"},
		{"fragment4", "packet.sport", "packet.sport: the packet is a fragment without the transport header"},
		{"fragment6", "packet.dport", "packet.dport: the packet is a fragment without the transport header"},
		{"hopbyhop", "packet.ip.proto", "58"}, {"dns", "packet.tcp.seq", "packet.tcp.seq: the packet is not TCP"},
		{"tcp", "packet.ip4?", "-1"}, {"tcp", "packet.ip6?", "0"}, {"tcp", "packet.tcp?", "-1"}, {"tcp", "packet.udp?", "0"}, {"tcp", "packet.fragment?", "0"},
		{"arp", "packet.arp?", "-1"}, {"arp", "packet.ip4?", "0"}, {"arp", "packet.tcp?", "0"}, {"dns6", "packet.ip6?", "-1"}, {"dns", "packet.udp?", "-1"},
		{"icmp4", "packet.icmp?", "-1"}, {"icmp4", "packet.icmp.type", "8"}, {"icmp4", "packet.icmp.code", "0"}, {"hopbyhop", "packet.icmp?", "-1"},
		{"tcp", "packet.icmp?", "0"}, {"tcp", "packet.icmp.type", "packet.icmp.type: the packet is not ICMP"}, {"sctp", "packet.sctp?", "-1"},
		{"fragment4", "packet.fragment?", "-1"}, {"fragment4", "packet.udp?", "0"}, {"fragment6", "packet.fragment?", "-1"}, {"short4", "packet.ip4?", "0"},
		{"stp", "packet.etype", "39"}, {"dns6", "packet.dport", "53"}, {"dns6", "packet.ip.src", "2001:db8::1"},
		{"short4", "packet.ip.src", "packet.ip.src: the packet is not IP: the IPv4 header is cut short"},
	} {
		s.Clear()
		out.Reset()
		if err := s.Push(interp.NewData(all[c.packet])); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := s.Interpret(c.word); err != nil {
			got = []string{err.Error()}
		} else {
			for i := s.Depth() - 1; i >= 0; i-- {
				got = append(got, s.Peek(i).Source())
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %s: %s, not %s", c.packet, c.word, strings.Join(got, " "), c.want)
		}
	}
}
