// SPDX-License-Identifier: BSD-3-Clause

package interp

// Op says what an instruction does. The zero Op calls the function of a word. The exported ones
// are words that the inner loop does itself if their inputs are plain (mostly integers): a record
// names its Op as Word.Inline. The function of the word remains the definition of its meaning,
// and the loop calls it for all other inputs and for every error. A test compares the two.
type Op uint16

const (
	opWord Op = iota // call the built-in word

	opInt        // push the integer k
	opLit        // push lits[n]
	opCall       // do what the entry means at that moment
	opJump       // continue at n
	opJumpZero   // pop a flag, continue at n if it is 0
	opReturn     // end of the definition, or exit
	opDo         // pop limit and index, begin a loop
	opAskDo      // like opDo, but continue at n if the two are equal
	opLoop       // next round, continue at n, or end the loop
	opPlusLoop   // like opLoop, with a step from the stack
	opLeave      // end the loop, continue at n
	opUnloop     // forget the loop
	opI          // push the index of the loop
	opJ          // push the index of the loop around it
	opLocals     // n values on top become locals, further ones up to k are 0
	opLocal      // push the local that lies n below the mark
	opToLocal    // pop a value into that local
	opDropLocals // n locals end; the return comes next
	opOf         // pop a value; if it equals the one below, drop that too, otherwise continue at n

	OpDup
	OpDrop
	OpSwap
	OpOver
	OpRot
	OpBackRot
	OpNip
	OpTuck
	OpTwoDup
	OpTwoDrop
	OpToR
	OpFromR
	OpRFetch

	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpAnd
	OpOr
	OpXor
	OpInvert
	OpNegate
	OpLShift
	OpRShift
	OpOnePlus
	OpOneMinus
	OpTwoTimes
	OpTwoSlash
	OpMin
	OpMax

	OpEqual
	OpNotEqual
	OpLess
	OpGreater
	OpAtMost
	OpAtLeast
	OpZeroEqual
	OpZeroLess
	OpZeroGreater

	OpFetch
	OpStore
	OpPlusStore
	OpByteFetch
	OpByteStore
	OpCellFetch
	OpCellStore

	// These are pairs and triples of instructions that often follow each other, done at once. The
	// original instructions stay after the fused one: if the inputs are not plain, it does the
	// first of them, and jumps to the others stay valid.
	opIntAdd           // opInt +
	opIntSub           // opInt -
	opIntMul           // opInt *
	opIntDiv           // opInt /
	opIntMod           // opInt mod
	opIntAnd           // opInt and
	opIntEqual         // opInt =
	opIntLess          // opInt <
	opIntGreater       // opInt >
	opIntEqualJump     // opInt = if
	opIntLessJump      // opInt < if
	opIntGreaterJump   // opInt > if
	opDupIntEqualJump  // dup opInt = if
	opDupIntLessJump   // dup opInt < if
	opDupIntGreatJump  // dup opInt > if
	opEqualJump        // = if
	opLessJump         // < if
	opGreaterJump      // > if
	opZeroEqualJump    // 0= if
	opDupZeroEqualJump // dup 0= if
	opCallFetch        // variable @
	opCallStore        // variable !
	opCallPlusStore    // variable +!
	opCallByteFetch    // buffer b@
	opCallByteStore    // buffer b!
	opCallCellFetch    // buffer cell@
	opCallCellStore    // buffer cell!
	opIByteFetch       // i buffer b@
	opIByteStore       // i buffer b!
	opICellFetch       // i buffer cell@
	opICellStore       // i buffer cell!
	opIPlusLoop        // i +loop
	opJPlusLoop        // j +loop
)

// fusions are the sequences that fuse replaces. If one begins with another, the longer one comes
// first. The jump of if, while and until is opJumpZero.
var fusions = []struct {
	ops   []Op
	fused Op
}{
	{[]Op{OpDup, opInt, OpEqual, opJumpZero}, opDupIntEqualJump},
	{[]Op{OpDup, opInt, OpLess, opJumpZero}, opDupIntLessJump},
	{[]Op{OpDup, opInt, OpGreater, opJumpZero}, opDupIntGreatJump},
	{[]Op{OpDup, OpZeroEqual, opJumpZero}, opDupZeroEqualJump},
	{[]Op{opInt, OpEqual, opJumpZero}, opIntEqualJump},
	{[]Op{opInt, OpLess, opJumpZero}, opIntLessJump},
	{[]Op{opInt, OpGreater, opJumpZero}, opIntGreaterJump},
	{[]Op{opI, opCall, OpByteFetch}, opIByteFetch},
	{[]Op{opI, opCall, OpByteStore}, opIByteStore},
	{[]Op{opI, opCall, OpCellFetch}, opICellFetch},
	{[]Op{opI, opCall, OpCellStore}, opICellStore},
	{[]Op{opI, opPlusLoop}, opIPlusLoop},
	{[]Op{opJ, opPlusLoop}, opJPlusLoop},
	{[]Op{opInt, OpAdd}, opIntAdd},
	{[]Op{opInt, OpSub}, opIntSub},
	{[]Op{opInt, OpMul}, opIntMul},
	{[]Op{opInt, OpDiv}, opIntDiv},
	{[]Op{opInt, OpMod}, opIntMod},
	{[]Op{opInt, OpAnd}, opIntAnd},
	{[]Op{opInt, OpEqual}, opIntEqual},
	{[]Op{opInt, OpLess}, opIntLess},
	{[]Op{opInt, OpGreater}, opIntGreater},
	{[]Op{OpEqual, opJumpZero}, opEqualJump},
	{[]Op{OpLess, opJumpZero}, opLessJump},
	{[]Op{OpGreater, opJumpZero}, opGreaterJump},
	{[]Op{OpZeroEqual, opJumpZero}, opZeroEqualJump},
	{[]Op{opCall, OpFetch}, opCallFetch},
	{[]Op{opCall, OpStore}, opCallStore},
	{[]Op{opCall, OpPlusStore}, opCallPlusStore},
	{[]Op{opCall, OpByteFetch}, opCallByteFetch},
	{[]Op{opCall, OpByteStore}, opCallByteStore},
	{[]Op{opCall, OpCellFetch}, opCallCellFetch},
	{[]Op{opCall, OpCellStore}, opCallCellStore},
}

// fuse marks the sequences in finished code. It goes forward and changes only the first
// instruction of a sequence, so a sequence may begin inside another, for jumps that lead there.
func fuse(ins []instr) {
	for i := range ins {
	next:
		for _, f := range fusions {
			if ins[i].op != f.ops[0] || len(ins)-i < len(f.ops) {
				continue
			}
			for j, op := range f.ops[1:] {
				if ins[i+1+j].op != op {
					continue next
				}
			}
			ins[i].op = f.fused
			break
		}
	}
}
