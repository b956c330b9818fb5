// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"sync"
	"testing"
)

// Names that come and go leave no trace, however many they are; names that code refers to stay.
func TestNamesComeAndGo(t *testing.T) {
	d, err := NewDict()
	if err != nil {
		t.Fatal(err)
	}
	waits, err := d.refer("waits")
	if err != nil {
		t.Fatal(err)
	}
	before := d.live
	for i := range 3 * maxWords {
		name := fmt.Sprint("name", i)
		if err := d.SetVariable(name, NewInt(int64(i))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !d.Exists(name) {
			t.Fatalf("%s does not exist", name)
		}
		if err := d.Delete(name); err != nil {
			t.Fatal(err)
		}
		if d.Exists(name) {
			t.Fatalf("%s exists after its deletion", name)
		}
	}
	if d.live != before || len(d.table.Load().slots) != smallTable {
		t.Errorf("%d live entries instead of %d, %d slots", d.live, before, len(d.table.Load().slots))
	}
	if err := d.SetVariable("waits", NewInt(1)); err != nil {
		t.Fatal(err)
	}
	if waits.to.def.Load() != isVariable {
		t.Error("the entry that code refers to is not the one defined")
	}
}

func TestDictionaryFull(t *testing.T) {
	d, err := NewDict()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		err := d.SetVariable(fmt.Sprint("n", i), Value{})
		if err == nil {
			continue
		}
		if err != errWords || d.live != maxWords {
			t.Fatalf("after %d names (%d live): %v", i, d.live, err)
		}
		break
	}
	if err := d.Delete("n7"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetVariable("another", Value{}); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}

// Readers find what is defined while the table grows.
func TestTableUnderReaders(t *testing.T) {
	d, err := NewDict()
	if err != nil {
		t.Fatal(err)
	}
	const names = 5000
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range names {
				name := fmt.Sprintf("n%d.%d", r, i)
				if err := d.SetVariable(name, NewInt(int64(i))); err != nil {
					t.Error(err)
					return
				}
				for j := 0; j <= i; j += 1 + i/7 {
					if e := d.find(fmt.Sprintf("n%d.%d", r, j)); e == nil || e.cell.load().n != int64(j) {
						t.Errorf("n%d.%d is lost", r, j)
						return
					}
				}
				if i%3 == 0 {
					d.SetVariable("shared", Value{})
					d.Delete("shared")
				}
			}
		}()
	}
	wg.Wait()
}

// Values do not change when others are made by appending to them.
func TestAppend(t *testing.T) {
	base := NewString(string(make([]byte, growFrom)))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			v, want := base.Append([]byte{'x'}), base.ref.bytes+"x"
			for i := range 2000 {
				piece := fmt.Sprint(g, ",", i)
				fork := v.Append([]byte("fork"))
				v = v.Append([]byte(piece))
				want += piece
				if fork.ref.bytes[len(fork.ref.bytes)-4:] != "fork" {
					t.Error("a fork was written over")
					return
				}
			}
			if v.ref.bytes != want {
				t.Error("an appended value was written over")
			}
		}()
	}
	shared := base.Append([]byte("s"))
	results := make([]Value, 8)
	for g := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[g] = shared.Append([]byte{byte('0' + g)})
		}()
	}
	wg.Wait()
	for g, r := range results {
		if r.ref.bytes != shared.ref.bytes+fmt.Sprint(g) {
			t.Errorf("result %d ends in %q", g, r.ref.bytes[growFrom:])
		}
	}
	if k := NewData([]byte{1}).Append([]byte{2}); k.Kind() != KindData || string(k.Bytes()) != "\x01\x02" {
		t.Errorf("data appended is %s", k.Source())
	}
}
