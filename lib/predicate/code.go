package predicate

// Code is a compiled tree: steps that are carried out one after the other, the next one
// being the following unless a step says otherwise. They only go forward, so a run ends.
// It is not changed once made, and may be used by any number of goroutines.
type Code struct {
	Steps  []Step
	Ranges []Range // of TestAddress
	Depth  Depth   // how far frames are to be dissected
}

// Registers is how many numbers a tree can have under way at a time.
const Registers = 16

// maxSteps bounds the code of a tree. The kernel takes less, which it says itself.
const maxSteps = 1 << 16

// Step is one step. Which of its fields it uses, its Action says.
type Step struct {
	Do      Action
	Op      uint8  // an Operator or a Comparison
	Size    uint8  // bytes of a load
	A, B    uint8  // registers
	Field   Field  // of PutField and TestAddress
	Narrow  bool   // of Calculated and CalculatedBy
	Layers  Layers // of TestLayers and NeedLayers
	Yes, No int    // where a test goes on
	At      int    // where a load begins
	Mask    uint32 // of what was loaded
	K       int64  // a constant, or the index of a range
}

// Range is a range of IP addresses of one family, both ends included, as big-endian
// numbers; those of IPv4 are in the lower half.
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
	TestInbound                 // the frame is looked at as received
	NeedLayers                  // one of Layers is there, or the tree fails
	Go                          // on at Yes
	Accept                      // the tree holds
	Reject                      // it does not
)
