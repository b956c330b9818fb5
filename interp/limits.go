package interp

import "fmt"

// Limits of a session and of the dictionary. Each has an error of its own.
const (
	MaxStack      = 4096     // values on the data stack
	MaxReturn     = 4096     // values on the return stack
	MaxLoops      = 1024     // open do loops
	MaxNesting    = 1024     // nested executions, sources included
	MaxFrames     = 1024     // open stack frames
	MaxValue      = 64 << 10 // bytes of a value, so of a token and of the source of a definition too
	MaxLine       = 1 << 20  // bytes of a source line
	MaxPage       = 1 << 20  // bytes that a pager is given
	MaxName       = 32       // bytes of a name
	MaxWords      = 1 << 16  // entries of a dictionary
	MaxCode       = 1 << 20  // instructions of one definition
	MaxLocals     = 64       // locals of one definition
	MaxConditions = 1024     // open [if]s
	MaxBuffer     = 64 << 20 // bytes of a buffer

	// MaxDictionary is how many bytes a dictionary holds: values of variables, definitions
	// with their sources, buffers. Where less memory is to be had it is a part of that.
	MaxDictionary = 1 << 30
)

var (
	errTooLong    = fmt.Errorf("value longer than %d bytes", MaxValue)
	errSource     = fmt.Errorf("definition longer than %d bytes", MaxValue)
	errLine       = fmt.Errorf("line longer than %d bytes", MaxLine)
	errPage       = fmt.Errorf("longer than %d bytes", MaxPage)
	errStack      = Coded(-3, fmt.Sprintf("stack overflow (%d values)", MaxStack))
	errReturn     = Coded(-5, fmt.Sprintf("return stack overflow (%d values)", MaxReturn))
	errLoops      = Coded(-7, fmt.Sprintf("more than %d open do loops", MaxLoops))
	errNesting    = Coded(-53, fmt.Sprintf("nested deeper than %d executions", MaxNesting))
	errFrames     = fmt.Errorf("more than %d open stack frames", MaxFrames)
	errWords      = fmt.Errorf("dictionary full (%d names)", MaxWords)
	errCode       = fmt.Errorf("definition longer than %d instructions", MaxCode)
	errConditions = fmt.Errorf("more than %d open [if]s", MaxConditions)
	errLocals     = fmt.Errorf("more than %d locals", MaxLocals)
)
