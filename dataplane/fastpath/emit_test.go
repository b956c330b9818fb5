package fastpath

import (
	"errors"
	"os"
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
	p, err := specify(frags, 2)
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
		p, err := specify(true, 2)
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
