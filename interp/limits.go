// SPDX-License-Identifier: BSD-3-Clause

package interp

import "fmt"

// These are the limits of a session and of the dictionary. Each has an error of its own.
const (
	MaxStack      = 4096     // values on the data stack
	maxReturn     = 4096     // values on the return stack
	maxLoops      = 1024     // open do loops
	maxNesting    = 1024     // nested executions, including sources
	maxFrames     = 1024     // open stack frames
	MaxValue      = 64 << 10 // bytes of a value, and so of a token and of the source of a definition
	MaxLine       = 1 << 20  // bytes of a source line
	maxPage       = 1 << 20  // bytes of a text for a pager
	maxName       = 32       // bytes of a name
	maxWords      = 1 << 16  // entries of a dictionary
	maxCode       = 1 << 20  // instructions of one definition
	MaxLocals     = 64       // locals of one definition
	MaxConditions = 1024     // open [if]s
	maxBuffer     = 64 << 20 // bytes of a buffer

	// maxDictionary is how many bytes a dictionary holds: values of variables, definitions with
	// their sources, buffers. If the process may use less memory, the limit is a part of that.
	maxDictionary = 1 << 30
)

var (
	errTooLong    = fmt.Errorf("value longer than %d bytes", MaxValue)
	errSource     = fmt.Errorf("definition longer than %d bytes", MaxValue)
	errLine       = fmt.Errorf("line longer than %d bytes", MaxLine)
	errPage       = fmt.Errorf("longer than %d bytes", maxPage)
	errStack      = Coded(-3, fmt.Sprintf("stack overflow (%d values)", MaxStack))
	errReturn     = Coded(-5, fmt.Sprintf("return stack overflow (%d values)", maxReturn))
	errLoops      = Coded(-7, fmt.Sprintf("more than %d open do loops", maxLoops))
	errNesting    = Coded(-53, fmt.Sprintf("nested deeper than %d executions", maxNesting))
	errFrames     = fmt.Errorf("more than %d open stack frames", maxFrames)
	errWords      = fmt.Errorf("dictionary full (%d names)", maxWords)
	errCode       = fmt.Errorf("definition longer than %d instructions", maxCode)
	errConditions = fmt.Errorf("more than %d open [if]s", MaxConditions)
	errLocals     = fmt.Errorf("more than %d locals", MaxLocals)
)
