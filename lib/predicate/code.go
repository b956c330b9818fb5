// SPDX-License-Identifier: BSD-3-Clause

package predicate

// Code is a compiled tree: a list of steps. After a step the next one follows, unless the step
// says otherwise. Steps only lead forward, so a run ends. Code is not changed once it is made,
// and may be used by any number of goroutines.
type Code struct {
	Steps  []Step
	Ranges []Range // of TestAddress
	Depth  Depth   // how far frames are to be dissected
}

// Registers is how many intermediate numbers a tree can have at a time.
const Registers = 16

// maxSteps bounds the code of a tree. The kernel accepts less, and reports that itself.
const maxSteps = 1 << 16

// Step is one step. Its Action says which of the other fields it uses.
type Step struct {
	Do      Action
	Op      uint8  // an Operator or a Comparison
	Size    uint8  // bytes of a load
	A, B    uint8  // registers
	Field   Field  // of PutField and TestAddress
	Narrow  bool   // of Calculated and CalculatedBy
	Layers  Layers // of TestLayers and NeedLayers
	Yes, No int    // the steps at which to go on after a test
	At      int    // offset of a load
	Mask    uint32 // of what was loaded
	K       int64  // a constant, or the index of a range
}

// Range is a range of IP addresses of one family, both ends included, as big-endian numbers;
// those of IPv4 are in the lower half.
type Range struct {
	Six                                bool
	LowHigh, LowLow, HighHigh, HighLow uint64
}

// Action is what a step does.
type Action uint8

const (
	PutNumber     Action = iota // A = K
	PutLength                   // A = the length on the wire
	PutLoad                     // A = the Size bytes at At
	PutLoadBehind               // A = the Size bytes at At + 4 * the lower half of the byte at B: behind an IPv4 header at B
	PutLoadAt                   // A = the Size bytes at A
	PutField                    // A = Field
	Calculated                  // A = A Op B
	CalculatedBy                // A = A Op K
	TestRegisters               // A Op B
	TestNumber                  // A Op K
	TestLoad                    // the Size bytes at At, masked, are K
	TestBehind                  // the Size bytes behind an IPv4 header, as PutLoadBehind, are K
	TestLayers                  // one of Layers is there
	TestAddress                 // the address Field is in the range K
	TestInbound                 // the frame is evaluated as received
	NeedLayers                  // one of Layers is there, or the tree fails
	Go                          // go on at Yes
	Accept                      // the tree holds
	Reject                      // it does not
)
