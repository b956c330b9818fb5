// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// bare returns a session on a dictionary with the words that the tests of memory need.
func bare(t *testing.T) *Session {
	t.Helper()
	word := func(name, stack string, f func(*Session) error) Word {
		return Word{Name: name, Stack: stack, Help: "for tests", Func: f}
	}
	two := func(f func(s *Session, a, b Value) error) func(*Session) error {
		return func(s *Session) error {
			b, _ := s.Pop()
			a, _ := s.Pop()
			return f(s, a, b)
		}
	}
	text := func(v Value) string { text, _ := v.Str(); return text }
	d, err := NewDict(Set{Name: "test", Help: "words for tests", Words: []Word{
		word("drop", "( a - )", func(s *Session) error { _, err := s.Pop(); return err }),
		word("!", "( value name - )", two(func(s *Session, v, name Value) error { return s.Store(name, v) })),
		word("!!", "( line name - )", two(func(s *Session, line, name Value) error { return s.Define(text(name), text(line)) })),
		word("buffer", "( n name - )", two(func(s *Session, n, name Value) error { return s.DefineBuffer(text(name), n.n) })),
		word("value", "( item name - )", two(func(s *Session, v, name Value) error { return s.DefineHeld(text(name), v, false) })),
		word("is", "( item name - )", two(func(s *Session, v, name Value) error { return s.dict.SetAction(text(name), v) })),
		word("defer", "( name - )", func(s *Session) error { name, _ := s.PopString(); return s.DefineDeferred(name) }),
		word("delete", "( name - )", func(s *Session) error { name, _ := s.PopString(); return s.dict.Delete(name) }),
		word("big", "( - string )", func(s *Session) error { return s.Push(NewString(strings.Repeat("x", MaxValue))) }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(d, strings.NewReader(""), io.Discard, io.Discard)
}

func must(t *testing.T, s *Session, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := s.Interpret(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// whole returns the number of bytes that a dictionary should count as held.
func (d *Dict) whole() (n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.table.Load().all {
		if def := e.def.Load(); def != nil {
			n += def.size
			if c := def.content(e); c != nil {
				n += c.load().held()
			}
		}
	}
	return n
}

// Names that only code referred to that is gone make room for others, at a prompt and in
// definitions. Names that living code refers to stay, and are bound when they are defined.
func TestNamesOfPastCodeAreReleased(t *testing.T) {
	s := bare(t)
	must(t, s, ": waits for-this ;")
	for i := range maxWords + 100 {
		must(t, s, fmt.Sprintf("1 if new-%d drop then", i))
	}
	for i := range maxWords / 100 {
		var b strings.Builder
		for j := range 200 {
			fmt.Fprintf(&b, " old-%d-%d", i, j)
		}
		must(t, s, ": w"+b.String()+" ;", `"w" delete`)
	}
	must(t, s, ": for-this 7 ;", "waits")
	if v, err := s.Pop(); err != nil || v.n != 7 {
		t.Errorf("the name that code waits for was another: %s", v.Source())
	}
	d := s.dict
	runtime.GC()
	d.mu.Lock()
	d.rebuildLocked()
	d.mu.Unlock()
	if d.live > 100 || len(d.table.Load().slots) != smallTable {
		t.Errorf("%d names live in %d slots", d.live, len(d.table.Load().slots))
	}
}

// The names in living code fill the dictionary, which is an error. They make room when the code
// goes.
func TestNamesOfLivingCodeStay(t *testing.T) {
	s := bare(t)
	var err error
	n := 0
	for ; err == nil; n++ {
		var b strings.Builder
		for j := range 1000 {
			fmt.Fprintf(&b, " name-%d-%d", n, j)
		}
		err = s.Interpret(fmt.Sprintf(": w%d%s ;", n, b.String()))
	}
	if !strings.Contains(err.Error(), errWords.Error()) || n != maxWords/1001+1 {
		t.Fatalf("after %d words: %v", n, err)
	}
	for i := range n - 1 {
		must(t, s, fmt.Sprintf(`"w%d" delete`, i))
	}
	s.dict.mu.Lock()
	s.dict.collected = s.dict.collected.Add(-collectPause)
	s.dict.mu.Unlock()
	must(t, s, ": another one two three ;")
}

// A dictionary counts everything that it holds. At its limit every kind of definition is refused
// with the same error, and deleting or replacing makes room.
func TestDictionaryLimit(t *testing.T) {
	s := bare(t)
	d := s.dict
	before := d.held.Load()
	if w := d.whole(); w != before {
		t.Fatalf("%d bytes are counted, and there are %d", before, w)
	}
	d.limit = before + 20*MaxValue
	for _, c := range []struct{ name, line, again string }{
		{"variables", `big "v%d" !`, ``},
		{"definitions", `"` + strings.Repeat("1 drop ", 2000) + `" "v%d" !!`, ``},
		{"buffers", `65536 "v%d" buffer`, ``},
		{"values", `big "v%d" value`, ``},
		{"values assigned", `0 "v%d" value`, `big to v%d`},
		{"actions", `"v%d" defer`, `big "v%d" is`},
		{"words without names", `:noname ` + strings.Repeat("1 drop ", 2000) + ` ; "v%d" !`, ``},
		{"words that keep what they replace", `: w w ` + strings.Repeat("1 drop ", 2000) + ` ;`, ``},
	} {
		var err error
		n := 0
		for ; err == nil && n < 1000; n++ {
			for _, line := range []string{c.line, c.again} {
				if strings.Contains(line, "%d") {
					line = fmt.Sprintf(line, n)
				}
				if err == nil {
					err = s.Interpret(line)
				}
			}
		}
		if err == nil || !strings.Contains(err.Error(), "the dictionary would hold more than") || errorCode(err) != -8 || n < 3 || n > 100 {
			t.Errorf("%s: after %d: %v", c.name, n, err)
		}
		if h := d.held.Load(); h != d.whole() || h > d.limit {
			t.Errorf("%s: %d bytes are counted, and there are %d; limit %d", c.name, h, d.whole(), d.limit)
		}
		s.Clear()
		for _, name := range append(append(d.Variables(), d.Compounds()...), d.Buffers()...) {
			d.Delete(name)
		}
		for i := range n {
			d.Delete(fmt.Sprint("v", i))
		}
		if h := d.held.Load(); h != before || h != d.whole() {
			t.Errorf("%s: %d bytes stay counted, %d are there, and %d were before", c.name, h, d.whole(), before)
		}
	}
}

// A million definitions and deletions leave the dictionary as it was.
func TestMillionDefinitions(t *testing.T) {
	s := bare(t)
	d := s.dict
	must(t, s, `: w 1 ; "w" delete 5 "v" ! "v" delete`)
	held, live, slots := d.held.Load(), d.live, len(d.table.Load().slots)
	for i := range 250000 {
		name := fmt.Sprint("n", i)
		for j, err := range []error{
			s.Define(name, "1 drop other"+name), d.Delete(name),
			d.SetVariable(name, NewString(name)), d.Delete(name),
			s.DefineHeld(name, NewInt(1), true), d.Delete(name),
			s.DefineBuffer(name, 8), d.Delete(name),
		} {
			if err != nil {
				t.Fatalf("%s, %d: %v", name, j, err)
			}
		}
	}
	runtime.GC()
	d.mu.Lock()
	d.rebuildLocked()
	d.mu.Unlock()
	if d.held.Load() != held || d.live != live || len(d.table.Load().slots) != slots {
		t.Errorf("%d bytes, %d names, %d slots; before %d, %d, %d", d.held.Load(), d.live, len(d.table.Load().slots), held, live, slots)
	}
}

// When many names are deleted again, the table becomes small.
func TestTableShrinks(t *testing.T) {
	s := bare(t)
	for i := range 20000 {
		must(t, s, fmt.Sprintf(`%d "n%d" !`, i, i))
	}
	for i := range 20000 {
		must(t, s, fmt.Sprintf(`"n%d" delete`, i))
	}
	if n := len(s.dict.table.Load().slots); n > 2*smallTable {
		t.Errorf("%d slots are left", n)
	}
}

// Sessions that define, delete, run and refer at the same time find what is defined, and the
// dictionary counts correctly.
func TestSessionsShareMemory(t *testing.T) {
	s := bare(t)
	d := s.dict
	before := d.whole()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Add(1)
	go func() {
		defer sweeper.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				d.mu.Lock()
				d.rebuildLocked()
				d.mu.Unlock()
			}
		}
	}()
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := NewSession(d, strings.NewReader(""), io.Discard, io.Discard)
			run := func(line string) bool {
				err := s.Interpret(line)
				if err != nil && !strings.Contains(err.Error(), "there is no") && !strings.Contains(err.Error(), "is no value") && !strings.Contains(err.Error(), "is no deferred") &&
					!strings.Contains(err.Error(), "has no action") && !strings.Contains(err.Error(), "is a variable") && !strings.Contains(err.Error(), "no word") {
					t.Errorf("%s: %v", line, err)
					return false
				}
				s.Clear()
				return true
			}
			for i := range 300 {
				for _, line := range []string{
					`"text" "shared" !`, `"shared" delete`, `"a longer text" "shared" value`, `"another" to shared`, `"shared" delete`,
					`"shared" defer "7 drop" "shared" is shared`, `"shared" delete`, `"shared" "shared" !`,
					fmt.Sprintf(`: mine-%d later-%d-%d ;`, g, g, i), fmt.Sprintf(`: later-%d-%d %d ;`, g, i, i),
				} {
					if !run(line) {
						return
					}
				}
				if err := s.Interpret(fmt.Sprint("mine-", g)); err != nil || s.Depth() != 1 || s.Peek(0).n != int64(i) {
					t.Errorf("session %d, round %d: the name that code waited for was another (%v)", g, i, err)
					return
				}
				run(fmt.Sprintf(`drop "later-%d-%d" delete "mine-%d" delete`, g, i, g))
			}
		}()
	}
	wg.Wait()
	close(stop)
	sweeper.Wait()
	d.Delete("shared")
	if h, w := d.held.Load(), d.whole(); h != w || h != before {
		t.Errorf("%d bytes are counted, %d are there, and %d were before", h, w, before)
	}
}

// In a process with a limit of memory, large values are refused when most of it is in use, and
// allowed when it is not.
func TestMemoryLimit(t *testing.T) {
	s := bare(t)
	m := &s.dict.memory
	runtime.GC()
	m.limit = 2*inUse() + 32<<20
	var err error
	n := 0
	for ; err == nil && n < MaxStack; n++ {
		err = s.Interpret("big")
	}
	if err == nil || !strings.Contains(err.Error(), "out of memory") || n < 100 {
		t.Fatalf("after %d values: %v", n, err)
	}
	must(t, s, "1 2 3 drop drop drop")
	s.Clear()
	must(t, s, "big big drop drop")
	m.limit = math.MaxInt64
}

// Parts of long texts do not keep them in memory.
func TestPartsLetGo(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, n := range []int{0, 1, 500, 501, 1000} {
		v := NewPart(long[:n], long)
		if v.ref.bytes != long[:n] {
			t.Errorf("a part of %d is %q", n, v.ref.bytes)
		}
	}
	allocated := testing.AllocsPerRun(100, func() { NewPart(long[:600], long) })
	if again := testing.AllocsPerRun(100, func() { NewPart(long[:400], long) }); again != allocated+1 {
		t.Errorf("%v and %v allocations", allocated, again)
	}
}
