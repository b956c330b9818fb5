// SPDX-License-Identifier: BSD-3-Clause

package filter

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ethertap/tests/need"
)

// capture is a frame as it stands in a file.
type capture struct {
	data []byte
	wire uint32
}

// frames are random ones with few different values, so that filters meet what they
// look for: tags, labels, options, fragments, other protocols, frames cut short.
func frames(n int) []capture {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(v ...int) int { return v[r.IntN(len(v))] }
	be16 := func(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
	mac := func(b []byte) []byte {
		if r.IntN(8) == 0 {
			return append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}
		return append(b, byte(pick(0, 1, 2, 0x33)), 0, 0, 0, byte(r.IntN(2)), byte(r.IntN(3)))
	}
	addr := func(b []byte) []byte {
		return append(b, byte(pick(10, 192, 224)), byte(pick(0, 168)), byte(r.IntN(2)), byte(r.IntN(3)))
	}
	addr6 := func(b []byte) []byte {
		b = append(b, byte(pick(0x20, 0xfe, 0xff)), byte(pick(1, 0x80)), 0, 0, 0, 0, 0, byte(r.IntN(2)), 0, 0, 0, 0, 0, 0, 0)
		return append(b, byte(r.IntN(3)))
	}
	transport := func(b []byte, proto int) []byte {
		switch proto {
		case 6, 17, 132:
			b = be16(be16(b, pick(80, 443, 53, 8080, 22)), pick(80, 443, 53, 8080, 22))
		case 1, 58:
			b = append(b, byte(pick(0, 3, 8, 128, 129, 135)), byte(r.IntN(2)), 0, 0)
		}
		for range 16 + r.IntN(20) {
			b = append(b, byte(pick(0, 1, 2, 0x10, 0x12, 0x50, 0x80, r.IntN(256))))
		}
		return b
	}
	var all []capture
	for range n {
		b := mac(mac(nil))
		ppp := false
		for r.IntN(3) == 0 {
			b = be16(be16(b, pick(0x8100, 0x88a8, 0x9100)), pick(7, 8, 100, 0x2007))
		}
		kind := r.IntN(9)
		labels := 0
		if r.IntN(8) == 0 {
			b = be16(b, 0x8847)
			labels = 1 + r.IntN(2)
			for i := range labels {
				last := 0
				if i == labels-1 {
					last = r.IntN(5)/1&1 | 1
				}
				b = append(b, 0, byte(pick(1, 6)), byte(pick(0, 0x40)|last), 64)
			}
		} else if r.IntN(8) == 0 {
			b = be16(be16(be16(be16(b, 0x8864), 0x1100), pick(1, 7)), 100)
			ppp = true
		}
		ethertype := func(e, p int) {
			switch {
			case ppp:
				b = be16(b, p)
			case labels == 0:
				b = be16(b, e)
			}
		}
		switch {
		case kind < 5:
			ethertype(0x0800, 0x21)
			options := pick(0, 0, 4, 8)
			proto := pick(6, 17, 132, 1, 2, 112, 103, 50, 51, 89)
			b = append(b, byte(0x45+options/4), 0, 0, 100, 0, 1)
			b = be16(b, pick(0, 0x4000, 0x2000, 0x0010, 0x2005))
			b = append(b, 64, byte(proto), 0, 0)
			b = addr(addr(b))
			b = append(b, make([]byte, options)...)
			b = transport(b, proto)
		case kind < 7:
			ethertype(0x86dd, 0x57)
			proto := pick(6, 17, 132, 58, 103, 50)
			b = append(b, 0x60, 0, 0, 0, 0, 100)
			next := proto
			if r.IntN(4) == 0 {
				next = 44
			}
			b = addr6(addr6(append(b, byte(next), 64)))
			if next == 44 {
				b = append(b, byte(proto), 0, 0, 1, 0, 0, 0, 0)
			}
			b = transport(b, proto)
		case kind == 7:
			ethertype(pick(0x0806, 0x8035), 0x8021)
			b = append(b, 0, 1, 8, 0, 6, 4, 0, byte(pick(1, 2)))
			b = addr(mac(addr(mac(b))))
		default:
			ethertype(pick(0x88cc, 0x88b5, 0x8863, 0x6003, 38, 0x9000), 0xc021)
			b = transport(append(b, byte(pick(0x42, 0xaa, 0xfe))), 0)
		}
		c := capture{b, uint32(len(b))}
		if r.IntN(4) == 0 {
			c.data = b[:r.IntN(len(b)+1)]
			if r.IntN(2) == 0 {
				c.wire = uint32(len(c.data))
			}
		}
		all = append(all, c)
	}
	return all
}

// asTcpdump asks tcpdump which of the frames match; the timestamps number them. Its
// optimiser is off: it drops loads whose value is not needed, and so takes frames
// that were cut short where the expression does not.
func asTcpdump(t *testing.T, file, expr string, n int) ([]bool, error) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.Command("tcpdump", "-O", "-r", file, "-w", "-", "--", expr)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	matched := make([]bool, n)
	if err != nil && !strings.Contains(errs.String(), "rejects all packets") {
		return nil, err
	}
	for at := 24; at+16 <= len(out); {
		matched[binary.LittleEndian.Uint32(out[at:])] = true
		at += 16 + int(binary.LittleEndian.Uint32(out[at+8:]))
	}
	return matched, nil
}

func writePcap(t *testing.T, all []capture) string {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint32(b, 2|4<<16)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 262144)
	b = binary.LittleEndian.AppendUint32(b, 1)
	for i, c := range all {
		for _, v := range []uint32{uint32(i), 0, uint32(len(c.data)), c.wire} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		b = append(b, c.data...)
	}
	file := filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// alike holds a filter against tcpdump on all frames. An expression that tcpdump
// refuses has to be refused.
func alike(t *testing.T, file string, all []capture, expr string) (matched int) {
	t.Helper()
	want, terr := asTcpdump(t, file, expr, len(all))
	f, err := Compile(expr)
	if (err != nil) != (terr != nil) {
		t.Errorf("%s: we say %v, tcpdump %v", expr, err, terr)
	}
	if err != nil || terr != nil {
		return 0
	}
	differ := 0
	for i, c := range all {
		if f.Match(c.data, c.wire, false) != want[i] {
			if differ++; differ == 1 {
				t.Errorf("%s: frame %d (%d of %d bytes): tcpdump says %v\n%x", expr, i, len(c.data), c.wire, want[i], c.data)
			}
		}
		if want[i] {
			matched++
		}
	}
	return matched
}

// primitives is one of each kind.
var primitives = []string{
	"tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "vrrp", "ah", "esp", "ip", "ip6", "arp", "rarp", "decnet",
	"host 10.0.0.1", "src host 10.0.0.1", "dst 192.168.1.2", "src and dst host 10.0.0.1", "dst or src host 10.0.0.0",
	"ip host 10.168.1.0", "arp host 10.0.0.1", "rarp src host 10.0.0.2", "arp src 192.0.1.0", "host 10.168",
	"net 10", "net 10.168", "net 192.168.1", "src net 10.0.0.0/8", "dst net 192.168.0.0/23", "net 10.0.0.0 mask 255.255.0.0", "net 0.0.0.0/0",
	"ip6 host 2001::1", "host fe80::2", "src host 2001:0:0:1::", "net 2001::/16", "ip6 net ff00::/8", "dst net fe80::/10", "ip6 src ::1",
	"port 80", "tcp port 443", "udp port 53", "tcp dst port 22", "udp src port 53", "sctp port 80", "src and dst port 443", "port http", "udp port domain",
	"portrange 50-90", "tcp portrange 0-100", "udp dst portrange 400-9000", "portrange 443",
	"ether host 02:00:00:00:01:02", "ether src 0:0:0:0:0:0", "ether dst 02-00-00-00-00-01", "ether dst ff:ff:ff:ff:ff:ff", "ether host 0200.0000.0001",
	"ether host 020000000102", "ether src 000000000001", "ether dst FFFFFFFFFFFF", "ether dst 2-0-0-0-0-1", "ether host 2.0.0.0.1.2",
	"broadcast", "multicast", "ether broadcast", "ether multicast", "ip multicast", "ip6 multicast",
	"ip proto 17", `ip proto \tcp`, "ip6 proto 58", "proto 6", "ip6 proto 44", "ether proto 0x88cc", "ether proto 0x0800", `ether proto \arp`, "ether proto 0x42", "proto \\udp", "ip proto ospf", `ip proto \OSPFIGP`, `proto \ah`, "ip6 proto ipv6-icmp",
	"less 60", "greater 80", "len > 70", "len <= 64", "len - 10 >= 50", "54 < len",
	"ip[0] & 0xf > 5", "ip[6:2] & 0x1fff = 0", "ip[8] = 64", "tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn", "tcp[tcpflags] == tcp-ack",
	"udp[0:2] = 53", "udp[4:2] > 10", "icmp[icmptype] = icmp-echo", "icmp[0] != 8", "icmp6[icmp6type] == icmp6-echo", "ip6[6] = 58", "ip6[40] = 6",
	"ether[0] & 1 = 0", "ether[12:2] = 0x800", "ether[14:4] != 0", "ether[100] = 0", "ip[20:4] = 0", "arp[6:2] = 1", "tcp[((tcp[12] & 0xf0) >> 2):1] = 0",
	"tcp[20 + 4] > 3", "tcp[4] * 2 + 1 = 3", "ip[2:2] - 20 > 60", "tcp[5] / 2 = 8", "udp[9] / udp[10] = 1", "ip[1] | tcp[7] = 0", "ether[1] ^ ether[7] = 0", "ip[9] % 5 = 1", "1 << ip[11] = 1", "- 1 > ip[8]",
	"tcp[0:2] = 80 or udp[2:2] = 53", "sctp[0:2] = 80", "igmp[0] > 0",
}

func TestPrimitivesLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	all := frames(3000)
	file := writePcap(t, all)
	for _, expr := range primitives {
		if n := alike(t, file, all, expr); n == 0 && !strings.Contains(expr, "::1") {
			t.Errorf("%s: matches no frame, which tests little", expr)
		}
	}
}

// What keywords in front change, how things are joined, and what holds for bare ids.
func TestExpressionsLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	all := frames(3000)
	file := writePcap(t, all)
	for _, expr := range []string{
		"", "vlan", "vlan 7", "vlan 7 and tcp", "vlan and vlan", "vlan 7 and vlan 8 and udp port 53", "vlan or tcp", "not vlan", "tcp or vlan 7 or udp",
		"vlan and host 10.0.0.1", "vlan and ether host 02:00:00:00:00:01", "vlan and ip[0] & 0xf > 5", "vlan and arp", "(vlan 7 and udp) or tcp", "vlan and ip6 and port 80", "vlan and ether proto 0x88cc", "vlan and ether[12:2] = 0x8100",
		"mpls", "mpls 16", "mpls and mpls", "mpls and ip", "mpls 100 and ip6", "mpls and mpls and tcp port 80", "mpls and host 10.0.0.1", "mpls and ip[8] = 64", "vlan and mpls and udp", "mpls and udp[0:2] = 53",
		"pppoed", "pppoes", "pppoes 7", "pppoes and ip", "pppoes 1 and tcp port 443", "pppoes and ip6 and icmp6", "vlan and pppoes and udp", "pppoes and ip[8] = 64", "pppoes and tcp[13] & 2 != 0", "pppoes and ether proto 0xc021",
		"port 80 or 443", "tcp port 80 or 443 or 22", "port (80 or 443)", "tcp dst port (22 or 53)", "not port 80", "port not 80", "! tcp and ! udp", "host 10.0.0.1 or 10.0.0.2", "host 10.0.0.1 and not 10.0.0.2",
		"src host (10.0.0.1 or 192.168.1.1)", "tcp and port 80 or 443", "udp or tcp and port 80", "(udp or tcp) and port 80", "tcp port 80 and (src 10.0.0.1 or dst 10.0.0.1)",
		"not (tcp or udp or arp)", "ip and not tcp", "not ip6 host 2001::1", "not ip host 10.0.0.1", "not ether[90] = 3", "ether[90] = 3 or tcp", "tcp or ether[90] = 3", "not (not (not tcp))", "((tcp)) or (((udp)))",
		"tcp && port 80 || udp", "(tcp[13] & 2 != 0)", "(len > 80) and (ip[8] = 64)", "((len)) > 80", "(1 + 2) * 3 < len", "ip[0] & 0xf = 5 and tcp[12] > 3 and len > 60",
		"ip[9] & 3 | 4 = 5", "ip[9] | 4 & 3 = 1", "1 + 2 * 3 = 7", "20 - 5 - 5 = 10", "2 ^ 3 + 1 = 2", "7 % 4 * 2 = 6", "2 * 7 % 4 = 6", "8 >> 1 + 1 = 2", "1 | 2 << 1 = 5", "6 & 3 ^ 1 = 2", "-1 = 0xffffffff", "010 = 8", "ip[8]-1 = 63",
		"ip[0xffffffff] = 0", "ip[ip[2:2] - 101] = 0", "ip[ip[8] - 65] = 0", "arp[arp[7] - 3] = 0", "icmp6[icmp6[0] - 200] = 0", "vlan and ip[ip[8] - 65] = 0", "ip[ip[8] - 64] > 0",
		"tcp[0xffffffff] >= 0", "tcp[0xffffffe0] >= 0", "tcp[0xffffffe4] >= 0", "tcp[ip[8] - 92] >= 0", "tcp[ip[8] - 80] >= 0", "tcp[ip[8] - 65] >= 0", "udp[ip[8] - 100] >= 0",
		"portrange ssh-telnet", "portrange http-https", "portrange https-http", "portrange domain-gopher", "portrange 80-https", "portrange ntp-tftp", "portrange http-tftp", "portrange ssh-443",
		"dst host 10.0.0.1 and src port 80", "ip src net 10", "src or dst port 53", "ether src host 02:00:00:00:00:01", "host 10.0.0.1 and (tcp or udp)", "ip and (host 10.0.0.1 or host 10.0.0.2) and not icmp",
		"tcp[tcpflags] & tcp-syn != 0 and not src and dst net 10", "ip proto 6 or 17", `ip proto (\tcp or \udp)`, "len >= 60 and len <= 80", "port 53 and not host 10.0.0.1",
	} {
		alike(t, file, all, expr)
	}
}

// Primitives joined at random: 200,000 comparisons, four million in a soak.
func TestSoakLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	all := frames(2000)
	file := writePcap(t, all)
	r := rand.New(rand.NewPCG(3, 4))
	var make func(depth int) string
	make = func(depth int) string {
		if depth == 0 || r.IntN(4) == 0 {
			if r.IntN(12) == 0 {
				return "vlan"
			}
			return primitives[r.IntN(len(primitives))]
		}
		s := make(depth-1) + []string{" and ", " or "}[r.IntN(2)] + make(depth-1)
		switch r.IntN(4) {
		case 0:
			return "not (" + s + ")"
		case 1:
			return "(" + s + ")"
		}
		return s
	}
	expressions := 100
	if os.Getenv("ETHERTAP_SOAK") != "" {
		expressions = 2000
	}
	for range expressions {
		alike(t, file, all, make(3))
	}
}

// What tcpdump refuses we refuse, and what we refuse of what it takes says so.
func TestErrors(t *testing.T) {
	for expr, want := range map[string]string{
		"tcp port":              "at 9: something to match is expected, not the end",
		"tcp port 443 x":        `at 14: "x" is not expected here`,
		"port 70000":            "at 6: port 70000 is beyond 65535",
		"port nosuchservice":    "at 6: no port is called nosuchservice",
		"10.0.0.1":              `at 1: "10.0.0.1" of what? host, net, port …`,
		"tcp or 80":             `at 8: "80" of what?`,
		"host 10.0.0.256":       "at 6: 10.0.0.256 is no address: 256 is beyond 255",
		"net 10.0.0.1/8":        "at 5: \"10.0.0.1\" has bits set beyond its mask",
		"host 10.0.0.0/8":       "at 6: a mask goes with net",
		"net 10.0.0.0/33":       "at 14: 33 is too large: at most 32",
		"net 2001::1/16":        `at 5: "2001::1" has bits set beyond /16`,
		"tcp host 10.0.0.1":     `at 10: tcp has no address like "10.0.0.1"`,
		"host 1:2:3:4:5:6":      "at 6: a MAC address goes with ether host",
		"ip6 host 10.0.0.1":     "at 10: ip6 has no address",
		"vlan 4096":             "at 6: 4096 is too large: at most 4095",
		"(tcp":                  `at 5: ")" is expected, not the end`,
		"tcp)":                  `at 4: ")" is not expected here`,
		"tcp[13":                `at 7: "]" is expected, not the end`,
		"tcp[13] &":             "at 10: a number is expected, not the end",
		"tcp[13]":               "at 8: a comparison is expected, not the end",
		"tcp[0:3] = 1":          "at 7: 1, 2 or 4 bytes can be loaded, not 3",
		"1 / 0 = 1":             "at 3: division by zero",
		"1 << 32 = 1":           "at 3: a shift by more than 31 bits",
		"ether[0] = 4294967296": "at 12: 4294967296 is not a number of 32 bits",
		"ip protochain 6":       "at 4: protochain is not supported; a word of RPCL with packet.ip.proto follows the headers",
		"geneve":                "at 1: geneve is not supported",
		"gateway host1":         "at 1: gateway is not supported",
		"host 020000000102":     "at 6: a MAC address goes with ether host",
		"proto nosuch":          "at 7: no protocol is called nosuch",
		"ip broadcast":          "at 4: ip broadcast needs a netmask",
		"tcp # 3":               `at 5: "#" has no meaning here`,
		"host 1::2::3":          "at 6: 1::2::3 is neither a MAC nor an IPv6 address",
		"ether host foo":        `at 12: "foo" is no address`,
		"mpls and vlan":         "at 10: no VLAN tag is inside MPLS",
		"mpls and arp":          "at 10: only IP and IPv6 can be told behind MPLS labels",
		"and":                   `at 1: "and" is not expected here`,
		strings.Repeat("(", 1000) + "tcp" + strings.Repeat(")", 1000): "brackets in one another",
		strings.Repeat("not ", 1000) + "tcp":                          "brackets in one another",
		strings.Repeat("tcp or ", 3000) + "tcp":                       "longer than 16384 bytes",
	} {
		_, err := Compile(expr)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: %v, want %s", expr, err, want)
		}
	}
}

// Which way a frame goes the words say that tcpdump has for the interface it listens to.
func TestDirections(t *testing.T) {
	frame := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45")
	for expr, want := range map[string][2]bool{ // received, sent
		"inbound": {true, false}, "outbound": {false, true}, "not inbound": {false, true}, "inbound and ip": {true, false},
		"outbound or ip": {true, true}, "outbound and arp": {false, false}, "inbound or outbound": {true, true}, "ip": {true, true},
	} {
		f, err := Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := [2]bool{f.Match(frame, 60, false), f.Match(frame, 60, true)}; got != want {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
}

// The longest expressions have code.
func TestLong(t *testing.T) {
	for _, term := range []string{"1", "1.2.3.4", "not port 1"} {
		expr := "port 1"
		if term == "1.2.3.4" {
			expr = "host 1.2.3.4"
		}
		expr += strings.Repeat(" or "+term, (maxExpr-len(expr))/len(" or "+term))
		f, err := Compile(expr)
		if err != nil {
			t.Errorf("… or %s: %v", term, err)
			continue
		}
		f.Match(make([]byte, 60), 60, false)
	}
}

func FuzzCompile(f *testing.F) {
	for _, expr := range primitives {
		f.Add(expr, []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45"))
	}
	f.Fuzz(func(t *testing.T, expr string, frame []byte) {
		if strings.ContainsAny(expr, "ghijklmnqrsuvwxyz") && len(expr) > 60 {
			return // long words are host names to be looked up
		}
		c, err := Compile(expr)
		if err == nil {
			c.Match(frame, uint32(len(frame)), false)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	all := frames(1000)
	for _, expr := range []string{"tcp port 443", "host 10.0.0.1 and not port 22", "vlan and tcp[tcpflags] & tcp-syn != 0"} {
		b.Run(expr, func(b *testing.B) {
			f, err := Compile(expr)
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				c := &all[i%len(all)]
				f.Match(c.data, c.wire, false)
			}
		})
	}
}

// Each name of a number means what it means to tcpdump, which prints the number in the code for it.
func TestConstantsLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	number := regexp.MustCompile(`jeq\s+#(0x[0-9a-f]+)`)
	for name, want := range constants {
		code, err := exec.Command("tcpdump", "-y", "EN10MB", "-d", "len = "+name).CombinedOutput()
		m := number.FindSubmatch(code)
		if err != nil || m == nil {
			t.Fatalf("%s: %v\n%s", name, err, code)
		}
		if got, err := strconv.ParseUint(string(m[1]), 0, 32); err != nil || uint32(got) != want {
			t.Errorf("%s is %d, and %d in tcpdump", name, want, got)
		}
	}
}

// Each operator binds less than those of the next level: with the two exchanged the other
// number would come out, since 65 is the length.
func TestOperatorsHaveRanks(t *testing.T) {
	for _, source := range []string{
		"len | 2 & 4 = 65",    // (65|2)&4 = 0
		"len & 1 << 1 = 0",    // (65&1)<<1 = 2
		"1 << 1 + 1 = 4",      // (1<<1)+1 = 3
		"len - 5 * 2 = 55",    // (65-5)*2 = 120
		"len / 5 - 3 * 2 = 7", // and from the left
		"len - 5 - 3 = 57",    // 65-(5-3) = 63
		"len >> 1 >> 1 = 16",  // 65>>(1>>1) = 65
	} {
		f, err := Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if !f.Match(make([]byte, 65), 65, false) {
			t.Errorf("%s does not hold", source)
		}
	}
}
