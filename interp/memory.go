// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
)

// Go ends the process when it gets no memory, and nothing can catch that. So everything that may
// need much is checked before. A dictionary counts what it holds, up to a limit. In a process
// with a limit of memory (its main sets it to what the system grants), large values, buffers and
// code are refused when most of the limit is in use.

// These are estimates of the memory around the bytes themselves, in bytes.
const (
	objectSize     = 64      // a value that is not plain
	definitionSize = 256     // a definition, without the parts of variable size
	instrSize      = 32 + 8  // an instruction with its position
	largeValue     = 4 << 10 // values of this length and more are checked
)

// memory is the limit of the process, and what is known of its use.
type memory struct {
	limit int64        // bytes; math.MaxInt64 means none
	fresh atomic.Int64 // bytes granted since the use was measured
	mu    sync.Mutex   // held by whoever measures
}

// measured is the part of the limit (one in so many) that is granted between two measurements.
const measured = 64

// usable is how much of the limit may be in use: the rest is for the collector.
func (m *memory) usable() int64 { return m.limit / 4 * 3 }

// room returns an error unless there is memory for n bytes.
func (m *memory) room(n int64) error {
	if m.limit == math.MaxInt64 || m.fresh.Add(n) < m.limit/measured {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if inUse()+n > m.usable() {
		runtime.GC()
		if used := inUse(); used+n > m.usable() {
			m.fresh.Store(m.limit) // the next request is measured too
			return fmt.Errorf("out of memory: %d of %d MiB are in use, and %d bytes more are wanted", used>>20, m.limit>>20, n)
		}
	}
	m.fresh.Store(0)
	return nil
}

// inUse returns the bytes of all objects on the heap, including those not yet collected.
func inUse() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// memoryLimit returns the limit that the main or the environment has set.
func memoryLimit() int64 { return debug.SetMemoryLimit(-1) }

// hold reserves n bytes of the dictionary.
func (d *Dict) hold(n int64) error {
	if n <= 0 {
		return nil
	}
	if d.held.Add(n) > d.limit {
		d.held.Add(-n)
		return Coded(-8, fmt.Sprintf("the dictionary would hold more than %d bytes", d.limit))
	}
	return nil
}

// held returns how many bytes a variable holds for a value. It is 0 for a plain one: numbers,
// MACs and IPv4 addresses are stored in the value itself.
func (v Value) held() int64 {
	if v.ref == nil || v.ref == macObject || v.ref == ip4Object {
		return 0
	}
	n := objectSize + int64(len(v.ref.bytes))
	if v.ref.room != nil {
		n = objectSize + int64(v.ref.room.size)
	}
	if e := v.ref.entry.Load(); e != nil && e.hidden { // a definition without a name
		n += e.def.Load().size
	}
	return n
}

// weigh returns how many bytes the dictionary holds for a definition, without the value in its
// cell.
func (def *definition) weigh() int64 {
	n := int64(definitionSize + len(def.source) + len(def.comment))
	c := def.code
	if c == nil {
		return n
	}
	n += int64(instrSize*len(c.ins) + 8*len(c.refs))
	for _, v := range c.lits {
		n += 16 + v.held()
	}
	return n
}
