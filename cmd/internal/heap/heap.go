// SPDX-License-Identifier: BSD-3-Clause

// Package heap sets when the programs collect garbage, and how much memory they use.
package heap

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The heap may grow between two collections by growth percent of the live data, but by no more than
// most bytes unless leastGrowth percent are more. A program of ours has little live data, so with
// Go's default of 100 % it would collect every 4 MB: RPCL that builds strings ran half as fast.
// Without the limit an ethertap, whose live data with its program are 11 MB, took 45 MiB more as
// soon as ten terminals showed live.
const (
	growth      = 400
	leastGrowth = 100
	most        = 16 << 20 // as much as growth allows a program without live data
)

// Relax sets how much the heap may grow, and half of the available memory as the limit that Go tries to keep and that
// package interp observes. The other half is for memory that Go does not count: rings, queues,
// maps, other programs. GOGC and GOMEMLIMIT of the environment take precedence. It returns an
// error if there is too little memory to begin with, since Go ends the process when it gets no
// memory, and that cannot be caught.
func Relax() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
		afterCollections(&follower{percent: growth})
	}
	n := available()
	if n < least {
		return fmt.Errorf("limits of memory (ulimit -v, ulimit -d, the control group) leave %d MiB, and at least %d are needed", max(0, n)>>20, least>>20)
	}
	if os.Getenv("GOMEMLIMIT") == "" && n < math.MaxInt64 {
		debug.SetMemoryLimit(n / 2)
	}
	return nil
}

// follower adapts the growth in percent to the live data.
type follower struct{ percent int }

// afterCollections calls adapt after each collection from now on.
func afterCollections(f *follower) {
	type collected struct{ _ *byte } // found dead by the next collection
	runtime.AddCleanup(new(collected), func(f *follower) {
		f.adapt()
		afterCollections(f)
	}, f)
}

// adapt sets the growth after a collection. It stops the world, which threads that spin notice, so it does
// so only if the growth would differ by more than a quarter.
func (f *follower) adapt() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	metrics.Read(live)
	var n uint64 // what Go takes the percentage of
	for _, s := range live {
		n += s.Value.Uint64()
	}
	if p := percentFor(n); 4*max(p-f.percent, f.percent-p) > f.percent {
		f.percent = p
		debug.SetGCPercent(p)
	}
}

// percentFor returns the growth in percent for so many bytes of live data.
func percentFor(live uint64) int {
	return int(min(max(100*most/max(live, 1), leastGrowth), growth))
}

// arena is the piece of address space that Go reserves at once.
const arena = 64 << 20

// least is how much memory is needed. Measured: with less, Go finds no place for its second
// arena, whatever its size.
const least = 64 << 20

// available returns how many bytes of memory the process may use: the least of the memory of the
// machine, the limit of its control group, and the rest that ulimit -v and -d leave.
func available() int64 {
	n := int64(math.MaxInt64)
	var machine unix.Sysinfo_t
	if unix.Sysinfo(&machine) == nil {
		n = min(n, int64(machine.Totalram)*int64(machine.Unit))
	}
	if granted, ok := group(); ok {
		n = min(n, granted)
	}
	taken, data := sizes()
	return min(n, left(unix.RLIMIT_AS, taken), left(unix.RLIMIT_DATA, data))
}

// left returns the rest that a limit of the process leaves after taken bytes.
func left(resource int, taken int64) int64 {
	var r unix.Rlimit
	if unix.Getrlimit(resource, &r) != nil || r.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(r.Cur) - taken - arena
}

// sizes returns the sizes of the address space and of the data of the process, in bytes.
func sizes() (all, data int64) {
	text, err := os.ReadFile("/proc/self/statm")
	f := strings.Fields(string(text))
	if err != nil || len(f) < 6 {
		return 0, 0
	}
	pages := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n * int64(os.Getpagesize()) }
	return pages(f[0]), pages(f[5])
}

// group returns the limit of memory of the control group, version 2, and of the groups around it;
// ok is false if there is none.
func group() (n int64, ok bool) {
	const root = "/sys/fs/cgroup"
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	_, path, found := strings.Cut(string(text), "0::")
	if !found {
		return 0, false
	}
	path, _, _ = strings.Cut(path, "\n")
	n = math.MaxInt64
	for dir := filepath.Join(root, path); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "memory.max"))
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			n, ok = min(n, limit), true
		}
	}
	return n, ok
}
