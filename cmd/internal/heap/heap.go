// Package heap says when the programs collect garbage.
package heap

import (
	"os"
	"runtime/debug"
)

// growth is how much the heap may grow between two collections, in percent of what
// lives. What lives in a program of ours is small, so Go's 100 would collect every
// 4 MB: RPCL that builds strings ran half as fast.
const growth = 400

// Relax sets that, unless the environment's GOGC says otherwise.
func Relax() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}
