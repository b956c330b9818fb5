// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ethertap/lib/predicate"
	"ethertap/tests/frames"
	"ethertap/tests/netlab"
)

// questionsOf makes predicates at random, with a bit for each.
func questionsOf(r frames.Random, n, levels int) (list []question, trees []predicate.Expr) {
	for len(list) < n {
		e := frames.Tree(r, levels)
		code, err := predicate.Compile(e)
		if err != nil {
			continue
		}
		list = append(list, question{code, 1 << len(list), r.IntN(2) == 0})
		trees = append(trees, e)
	}
	return list, trees
}

func loadQuestions(t testing.TB, frags bool, list []question) *ebpf.Program {
	t.Helper()
	p, err := specify(frags, 2, &Stamps{})
	if err != nil {
		t.Fatal(err)
	}
	ins, err := emit(list, 0)
	if err != nil {
		t.Fatal(err)
	}
	program, err := p.loadProgram(ins)
	if v := (*ebpf.VerifierError)(nil); errors.As(err, &v) {
		t.Fatalf("%+v", v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// judged holds the answer of a program against the evaluator on a frame, which may be in two buffers.
// It returns false when the program leaves the frame undecided.
func judged(t testing.TB, program *ebpf.Program, list []question, trees []predicate.Expr, b []byte, first int) bool {
	t.Helper()
	o := ebpf.RunOptions{Data: b}
	if first < len(b) {
		o.Context = context{End: uint32(first)}
	}
	got, err := program.Run(&o)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("this kernel cannot run a program on a frame in parts: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got&uint32(objectVerdictVERDICT_UNDECIDED) != 0 {
		return false
	}
	var s predicate.Scratch
	for i, q := range list {
		want := q.code.Match(&s, &predicate.Frame{Data: b, Wire: len(b), Outbound: q.outbound}) == predicate.Match
		if (got>>i&1 == 1) != want {
			t.Fatalf("%s\n%x\nwith %d bytes in the first buffer, in the kernel is %v, not %v", predicate.Text(trees[i]), b, first, !want, want)
		}
	}
	return true
}

// The program of some predicates says what the evaluator says, or that it does not know: of frames of
// every kind, whole, cut, damaged, in one buffer and in two. Each program loads fast.
func TestFilterProgramLikeEvaluator(t *testing.T) {
	netlab.RequireRoot(t)
	r := frames.New(11)
	rounds := 40
	if os.Getenv("ETHERTAP_SOAK") != "" {
		rounds = 2000
	}
	compared, undecided := 0, 0
	for round := range rounds {
		frags := round%2 == 0
		list, trees := questionsOf(r, 1+r.IntN(20), 1+r.IntN(5))
		program := loadQuestions(t, frags, list)
		for range 60 {
			b := r.Damaged(r.Frame())
			if len(b) < 20 {
				continue
			}
			first := len(b)
			if frags && r.IntN(4) == 0 {
				first = 14 + r.IntN(len(b)-14)
			}
			if judged(t, program, list, trees, b, first) {
				compared += len(list)
			} else if undecided++; first == len(b) && !deep(b) {
				t.Fatalf("%x is undecided, though it is in one buffer", b)
			}
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if compared < 400*rounds || undecided > 15*rounds {
		t.Errorf("%d compared, %d frames undecided in %d rounds", compared, undecided, rounds)
	}
	t.Logf("%d compared, %d frames undecided", compared, undecided)
}

// Programs know frames of some shapes without dissecting them. They say what the evaluator says when any bit of such a
// frame is another one, when it ends earlier, and when its lengths say so.
func TestShapesLikeEvaluator(t *testing.T) {
	netlab.RequireRoot(t)
	udp4 := slices.Concat(tcp4[:14], []byte{0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 17}, tcp4[24:38], []byte{0, 40}, tcp4[40:])
	for name, frame := range map[string][]byte{"tcp": tcp4, "udp": udp4} {
		var all [][]byte
		for i := range 8 * 70 {
			b := slices.Clone(frame)
			b[i/8] ^= 1 << (i % 8)
			all = append(all, b)
		}
		for n := 14; n <= len(frame); n++ {
			all = append(all, frame[:n])
		}
		for n := range 80 {
			ip, transport := slices.Clone(frame), slices.Clone(frame)
			binary.BigEndian.PutUint16(ip[16:], uint16(n))
			binary.BigEndian.PutUint16(transport[38:], uint16(n))
			all = append(all, ip, transport)
			for offset := range 16 {
				b := slices.Clone(ip)
				b[46] = byte(offset << 4)
				all = append(all, b, b[:min(len(b), 54+n%20)])
			}
		}
		for depth, trees := range map[string][]predicate.Expr{"headers": everyQuestion(frame, predicate.ICMPCode, predicate.ICMP6), "tags": everyQuestion(frame, predicate.VLAN, predicate.Tag)} {
			for len(trees) > 0 {
				some := trees[:min(18, len(trees))]
				trees = trees[len(some):]
				var list []question
				for i, e := range some {
					list = append(list, question{compiled(t, e), 1 << i, false})
				}
				program := loadQuestions(t, false, list)
				for _, b := range all {
					if !judged(t, program, list, some, b, len(b)) && !deep(b) {
						t.Errorf("%s, %s: %x is undecided", name, depth, b)
					}
				}
				if err := program.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// everyQuestion asks for each field up to one and for each layer up to one, and for some bytes.
func everyQuestion(frame []byte, last predicate.Field, deepest predicate.Layers) (all []predicate.Expr) {
	var h predicate.Headers
	h.Dissect(frame, len(frame), predicate.ToTransport)
	for f := range last + 1 {
		if f == predicate.IPSource || f == predicate.IPDestination {
			a := h.Address(frame, f)
			all = append(all, predicate.Address{Of: f, Low: a, High: a})
			continue
		}
		n, _ := h.Value(frame, f)
		all = append(all, predicate.Compare{A: f, B: predicate.Number(n)})
	}
	for l := predicate.Ethernet; l <= deepest; l <<= 1 {
		all = append(all, predicate.Is{Any: l})
	}
	if deepest == predicate.Tag {
		return slices.DeleteFunc(all, func(e predicate.Expr) bool { return compiledDepth(e) > predicate.ToTags })
	}
	for _, at := range []predicate.Expr{predicate.Number(12), predicate.Number(20), predicate.BehindIP4(14, 0), predicate.BehindIP4(14, 12)} {
		load := predicate.Load{At: at, Size: 2}
		all = append(all, predicate.Compare{A: load, B: predicate.Number(80)}, predicate.Compare{A: predicate.Calculate{Op: predicate.BitAnd, A: load, B: predicate.Number(0x1fff)}, B: predicate.Number(0)},
			predicate.Compare{Op: predicate.Greater, A: load, B: predicate.Number(1000)})
	}
	return all
}

func compiledDepth(e predicate.Expr) predicate.Depth {
	code, err := predicate.Compile(e)
	if err != nil {
		return predicate.ToTransport
	}
	return code.Depth
}

// deep says whether a frame has more tags or extension headers than a program goes through.
func deep(b []byte) bool {
	var h predicate.Headers
	h.Dissect(b, len(b), predicate.ToTransport)
	if h.Tags >= 4 && (h.Tags > 4 || predicate.IsTag(h.EtherType)) {
		return true
	}
	start := h.Network + 40
	if h.Layers&predicate.IP4 != 0 {
		start = h.Network + 20
	}
	return h.Layers&predicate.IP != 0 && h.Transport-start >= 4*8 // the least that five headers may have, less the last
}

// Bytes make a tree and a frame. The tree loads, and the program says what the evaluator says.
func FuzzFilterProgram(f *testing.F) {
	netlab.RequireRoot(f)
	r := frames.New(12)
	for range 20 {
		tree := make([]byte, 40)
		for i := range tree {
			tree[i] = byte(r.IntN(256))
		}
		f.Add(tree, r.Frame(), uint(r.IntN(80)))
	}
	f.Fuzz(func(t *testing.T, tree, frame []byte, first uint) {
		e := frames.Tree(&frames.Bytes{Of: tree}, 6)
		code, err := predicate.Compile(e)
		if err != nil || len(frame) < 20 || len(frame) > 3000 {
			return
		}
		list := []question{{code, 1, first%2 == 0}}
		ins, err := emit(list, 0)
		if errors.Is(err, errComplex) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := specify(true, 2, &Stamps{})
		if err != nil {
			t.Fatal(err)
		}
		program, err := p.loadProgram(ins)
		if errors.Is(err, errComplex) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %+v", predicate.Text(e), err)
		}
		defer program.Close()
		judged(t, program, list, []predicate.Expr{e}, frame, len(frame))
		judged(t, program, list, []predicate.Expr{e}, frame, min(14+int(first%100), len(frame)))
	})
}
