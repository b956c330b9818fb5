package interp

import "fmt"

// Limits of a session and of the dictionary. Each has an error of its own.
const (
	MaxStack   = 4096     // values on the data stack
	MaxReturn  = 4096     // values on the return stack
	MaxNesting = 1024     // nested executions, sources included
	MaxFrames  = 1024     // open stack frames
	MaxValue   = 64 << 10 // bytes of a value, so of a token too
	MaxLine    = 1 << 20  // bytes of a source line
	MaxName    = 32       // bytes of a name
	MaxWords   = 1 << 16  // entries of a dictionary
	MaxCode    = 1 << 20  // instructions of one definition
)

var (
	errTooLong = fmt.Errorf("value longer than %d bytes", MaxValue)
	errLine    = fmt.Errorf("line longer than %d bytes", MaxLine)
	errStack   = fmt.Errorf("stack overflow (%d values)", MaxStack)
	errNesting = fmt.Errorf("nested deeper than %d executions", MaxNesting)
	errFrames  = fmt.Errorf("more than %d open stack frames", MaxFrames)
	errWords   = fmt.Errorf("dictionary full (%d names)", MaxWords)
	errCode    = fmt.Errorf("definition longer than %d instructions", MaxCode)
)
