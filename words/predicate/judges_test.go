// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"structs"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/gopacket"
	types "github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/dataplane/fastpath"
	"ethertap/interp"
	"ethertap/lib/predicate"
	"ethertap/tests/frames"
	"ethertap/tests/need"
	"ethertap/tests/netlab"
)

// judgedFrames are frames as they come: generated, damaged, with up to five tags, in fragments, cut at every length,
// and longer than a page. The kernel runs a program on no frame shorter than an Ethernet header.
func judgedFrames(seed uint64, n int) (all [][]byte) {
	r := frames.New(seed)
	for len(all) < n/2 {
		all = append(all, r.Damaged(r.Frame()))
	}
	all = append(all, netlab.Mix(seed, n/8)...)
	for i := 0; len(all) < n; i++ {
		long := r.Frame()
		for cut := range long {
			all = append(all, long[:cut])
		}
		all = append(all, append(long, make([]byte, 4000+i)...))
	}
	return slices.DeleteFunc(all, func(b []byte) bool { return len(b) < 14 })
}

// kernel is a bridge that drops what a filter takes: a program's answer tells the verdict.
type kernel struct{ *fastpath.Path }

// These are answers of programs: a frame is diverted when they do not know.
const (
	xdpDropped  = 1
	xdpDiverted = 2
)

func newKernel(t *testing.T, frags bool) kernel {
	t.Helper()
	stats, err := fastpath.NewStats()
	if err != nil {
		t.Fatal(err)
	}
	p, err := fastpath.Load(fastpath.Config{Links: []int{1, 1}, Frags: frags, Stats: stats})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := stats.Close(); err != nil {
			t.Error(err)
		}
	})
	return kernel{p}
}

// apply puts rules in force, and returns whether the kernel takes their filters.
func (k kernel) apply(t *testing.T, r fastpath.Rules) bool {
	t.Helper()
	r.Port = [fastpath.MaxPorts]fastpath.PortRules{{Forward: true, Fault: r.FaultFilter != nil}, {Forward: true}}
	if err := k.Apply(&r); err != nil {
		t.Fatal(err)
	}
	_, err := k.Filters(0)
	if err != nil && !strings.Contains(err.Error(), "too complex together") {
		t.Fatal(err)
	}
	return err == nil
}

// judge returns the program's answer on a frame, of which so many bytes are in the first buffer.
func (k kernel) judge(t *testing.T, b []byte, first int) uint32 {
	t.Helper()
	o := ebpf.RunOptions{Data: b}
	if first < len(b) {
		o.Context = struct {
			_                                              structs.HostLayout
			Data, End, Meta, Ingress, Queue, EgressIfindex uint32
		}{End: uint32(first)}
	}
	answer, err := k.Program(0).Run(&o)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// asTcpdump asks tcpdump which of the frames of a file match; the timestamps number them.
func asTcpdump(t *testing.T, file, expression string, n int) []bool {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("tcpdump", "-O", "-r", file, "-w", "-", "--", expression)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && !strings.Contains(errs.String(), "rejects all packets") {
		t.Fatalf("%s: %v: %s", expression, err, errs.Bytes())
	}
	matched := make([]bool, n)
	for at := 24; at+16 <= len(out); at += 16 + int(binary.LittleEndian.Uint32(out[at+8:])) {
		matched[binary.LittleEndian.Uint32(out[at:])] = true
	}
	return matched
}

func writePcap(t *testing.T, all [][]byte) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, types.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, f := range all {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(f), Length: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// expressions are parts of which the test makes more.
var expressions = []string{
	"tcp", "udp", "sctp", "icmp", "icmp6", "arp", "ip", "ip6", "host 10.0.0.1", "src host 10.0.0.2", "dst net 10.0.0.0/31", "ip6 host 2001:db8::1",
	"port 80", "tcp port 443", "udp port 53", "udp dst port 53", "sctp port 80", "portrange 50-90", "ether host 02:00:00:00:00:01",
	"ether dst 2-0-0-0-0-2", "ether src 020000000003", "ether proto 0x8847", "ip proto 6", "ip6 proto 44", "less 60", "greater 1000", "vlan and udp", "vlan 7 and port 53",
	"ip[8] = 64", "ip[6:2] & 0x3fff = 0", "tcp[tcpflags] & tcp-syn != 0", "tcp[12] >> 2 > 20", "udp[4:2] > 8", "icmp[0] = 8", "ip6[6] = 17", "ether[12:2] = 0x800", "ether[3990] = 0", "ip[0] & 0xf = 5", "ip[2:2] - 20 > 8",
}

func expression(r *rand.Rand) string {
	s := expressions[r.IntN(len(expressions))]
	for range r.IntN(3) {
		s = "(" + s + ")" + []string{" and ", " or "}[r.IntN(2)] + "(" + expressions[r.IntN(len(expressions))] + ")"
		if r.IntN(4) == 0 {
			s = "not (" + s + ")"
		}
	}
	return s
}

// Words are judged by the VM, their tree and a program in the kernel, expressions by tcpdump, their tree and a
// program, on the same frames, in one buffer and in two. All say the same; a program may only not know of a frame of which it
// sees a part. Then twenty of these filters go together into one program: it loads, or they are too complex together.
func TestSoakJudges(t *testing.T) {
	netlab.RequireRoot(t)
	need.Tool(t, "tcpdump")
	s := session(t)
	run(t, s, helpers)
	all := judgedFrames(21, choose(1000, 500))
	file := writePcap(t, all)
	random := rand.New(rand.NewPCG(17, 1))
	w := &writer{Rand: random}
	kernels := []kernel{newKernel(t, false), newKernel(t, true)}
	var scratch predicate.Scratch
	var last []*predicate.Code
	compared, unknown, complexTogether, slowest := 0, 0, 0, time.Duration(0)
	for round := range choose(1200, 80) {
		var f *Filter
		var source string
		var others []bool // what the VM or tcpdump says
		if round%2 == 0 {
			for f == nil {
				source, f = tryWord(s, w.word())
			}
			for _, b := range all {
				others = append(others, inVM(s, "f", b))
			}
		} else {
			source = expression(random)
			var err error
			if f, err = Compile(s.Dict(), interp.NewString(source)); err != nil {
				t.Fatal(err)
			}
			others = asTcpdump(t, file, source, len(all))
		}
		k := kernels[round/2%2]
		if !k.apply(t, fastpath.Rules{DropFilter: f.Code}) {
			t.Fatalf("%s is too complex alone", source)
		}
		for i, b := range all {
			tree := f.Code.Match(&scratch, &predicate.Frame{Data: b, Wire: len(b)})
			if (tree == predicate.Match) != others[i] || tree == predicate.Undecided {
				t.Fatalf("%s\n%x\nthe tree says %d, the other judge %v", source, b, tree, others[i])
			}
			if len(b) > 3500 && round/2%2 == 0 {
				continue // this program is for frames of one buffer
			}
			first := len(b)
			if round/2%2 == 1 && random.IntN(4) == 0 {
				first = min(14+random.IntN(80), len(b))
			}
			switch answer := k.judge(t, b, first); {
			case answer == xdpDiverted:
				unknown++
			case (answer == xdpDropped) != others[i]:
				t.Fatalf("%s\n%x\n%d bytes in the first buffer: the program answers %d, the others say %v", source, b, first, answer, others[i])
			default:
				compared++
			}
		}
		if last = append(last, f.Code); len(last) == 20 {
			r := fastpath.Rules{DropFilter: last[18], FaultFilter: last[19]}
			for i := range fastpath.MaxTaps {
				r.Taps[i] = fastpath.Tap{RX: [2]bool{true}, TX: [2]bool{false, true}, RXFilter: [2]*predicate.Code{last[i]}, TXFilter: [2]*predicate.Code{nil, last[fastpath.MaxTaps+i]}}
			}
			start := time.Now()
			if !k.apply(t, r) {
				complexTogether++
			}
			slowest = max(slowest, time.Since(start))
			last = nil
		}
	}
	if compared < 5*unknown {
		t.Errorf("%d comparisons with programs, %d times one did not know", compared, unknown)
	}
	t.Logf("%d comparisons of each judge, %d times a program did not know; twenty together: too complex %d times, %v at most to put them in force", compared, unknown, complexTogether, slowest)
}
