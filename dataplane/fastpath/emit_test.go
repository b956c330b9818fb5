package fastpath

import (
	"errors"
	"testing"
	"time"

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
	t.Cleanup(func() { program.Close() })
	return program
}

// The program says what the evaluator says, or that it does not know, of frames of any kind,
// whole, cut, damaged, and in buffers of which the first has only a part.
func TestFilterProgramLikeEvaluator(t *testing.T) {
	netlab.RequireRoot(t)
	r := frames.New(11)
	var s predicate.Scratch
	compared, undecided, matched := 0, 0, 0
	for round := range 40 {
		frags := round%2 == 0
		list, trees := questionsOf(r, 1+r.IntN(20), 1+r.IntN(4))
		begin := time.Now()
		program := loadQuestions(t, frags, list)
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Logf("%d predicates: %v", len(list), took)
		}
		for range 60 {
			b := r.Damaged(r.Frame())
			if len(b) < 14 {
				continue
			}
			o := ebpf.RunOptions{Data: b}
			if frags && r.IntN(2) == 0 && len(b) > 20 {
				o.Context = context{End: uint32(14 + r.IntN(len(b)-14))}
			}
			got, err := program.Run(&o)
			if errors.Is(err, unix.EINVAL) {
				t.Skip("this kernel cannot run a program on a frame in parts: ", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got == uint32(objectVerdictVERDICT_UNKNOWN) {
				undecided++
				continue
			}
			for i, q := range list {
				want := q.code.Match(&s, &predicate.Frame{Data: b, Wire: len(b), Outbound: q.outbound}) == predicate.Match
				compared++
				if want {
					matched++
				}
				if (got>>i&1 == 1) != want {
					t.Fatalf("%s\n%x\nin the kernel is %v, not %v (%+v)", predicate.Text(trees[i]), b, !want, want, o.Context)
				}
			}
		}
	}
	t.Logf("%d compared, %d matched, %d frames undecided", compared, matched, undecided)
}
