// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A queue that others do not find any more, or cannot use, says so, and is made anew under
// its name with the sizes and the mode that it had. Who uses the old one takes what is in it.
func TestRenew(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(*Queue)
		want  error
		says  string
		lost  bool // what is in it
	}{
		"removed":   {func(q *Queue) { os.Remove(q.path) }, ErrGone, "it was removed", false},
		"truncated": {func(q *Queue) { os.Truncate(q.path, slotsOffset) }, ErrCorrupt, "bytes long, its header says", true},
		"emptied":   {func(q *Queue) { os.Truncate(q.path, 0) }, ErrCorrupt, "not a queue", true},
		"marked":    {func(q *Queue) { q.m.header().state.Store(stateCorrupt) }, ErrCorrupt, "its header says so", false},
		"version":   {func(q *Queue) { q.m.header().version = 99 }, ErrCorrupt, "another version", false},
		"magic":     {func(q *Queue) { q.m.header().magic[3] = 0 }, ErrCorrupt, "not a queue", false},
		"sizes":     {func(q *Queue) { q.m.header().slots, q.m.header().slotSize = 16, 256 }, ErrCorrupt, "16 slots of 256 bytes", false},
		"replaced by a queue": {func(q *Queue) {
			os.Remove(q.path)
			other, err := Open(q.name, Options{Slots: 64})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
		}, ErrGone, "another one has its name", false},
	} {
		t.Run(what, func(t *testing.T) {
			name := testName(t)
			q := openTest(t, name, Options{Slots: 32, SlotSize: 128, Role: RoleEthertap, Name: "label"})
			p, reader := producer(t, q), consumer(t, openTest(t, name, Options{}))
			if err := q.SetOverwrite(true); err != nil {
				t.Fatal(err)
			}
			p.Put(make([]Record, 3))
			if n, err := q.Backlog(); err != nil || n != 3 {
				t.Fatalf("backlog %d, %v", n, err)
			}
			if err := q.Intact(); err != nil {
				t.Fatal(err)
			}
			c.spoil(q)
			if err := q.Intact(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("it says %v, want %v: %s", err, c.want, c.says)
			}
			again, err := q.Renew()
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if err := again.Intact(); err != nil {
				t.Error(err)
			}
			st, list := status(t, again), participants(t, again)
			sizes := fmt.Sprint(st.Slots, st.SlotSize)
			if want := "32 128"; sizes != want && !(strings.HasPrefix(what, "replaced") && sizes == "64 2112") {
				t.Errorf("sizes %s, want %s", sizes, want)
			}
			if !st.Overwrite && what != "emptied" || st.Inserted != 0 {
				t.Errorf("%+v", st)
			}
			if len(list) == 0 || list[len(list)-1].Name != "label" || list[len(list)-1].Role != RoleEthertap {
				t.Errorf("participants %+v", list)
			}
			if got, ok, err := reader.Get(nil); (!ok || err != nil) != c.lost && what != "marked" {
				t.Errorf("of the old one: %+v, %v, %v", got, ok, err)
			}
			if err := q.Intact(); err == nil {
				t.Error("the old one is intact")
			}
		})
	}
}

func participants(t *testing.T, q *Queue) []Participant {
	t.Helper()
	list, err := q.Participants()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What is not a queue is not replaced, and one that is intact is opened as it is.
func TestRenewReplacesNoForeignFile(t *testing.T) {
	name := testName(t)
	q := openTest(t, name, Options{Slots: 16})
	same, err := q.Renew()
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	if n := len(participants(t, q)); n != 2 {
		t.Errorf("%d participants of the one queue", n)
	}
	os.Remove(q.path)
	if err := os.WriteFile(q.path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Renew(); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(q.path); string(b) != "something else" {
		t.Errorf("the foreign file is %q", b)
	}
}

// Several who find a corrupt file at once end with one and the same new one.
func TestRenewByMany(t *testing.T) {
	for range 50 {
		name := testName(t)
		var all [8]*Queue
		for i := range all {
			all[i] = openTest(t, name, Options{Slots: 16})
		}
		os.Truncate(all[0].path, headerSize)
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); runtime.Gosched() { // whoever replaces it may have lost its CPU
					again, err := all[i].Renew()
					if err == nil {
						all[i] = again
						return
					}
					if !errors.Is(err, ErrInUse) {
						t.Error(err)
						return
					}
				}
				t.Error("never renewed")
			})
		}
		wg.Wait()
		for _, q := range all {
			if err := q.Intact(); err != nil {
				t.Error(err)
			}
			q.Close()
		}
	}
}

// A producer knows what it has put in from what others have, and who had its id before.
func TestWrote(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	c := consumer(t, q)
	first := producer(t, q)
	first.Put(make([]Record, 2))
	first.Close()
	second, other := producer(t, q), producer(t, q)
	second.Put(make([]Record, 3))
	other.Put(make([]Record, 1))
	second.Close()
	third := producer(t, q)
	third.Put(make([]Record, 2))
	if third.id != second.id {
		t.Fatal("the third has not the second's id")
	}
	var mine []bool
	c.Drain(10, func(r *Record) error { mine = append(mine, second.Wrote(r)); return nil })
	if fmt.Sprint(mine) != "[false false true true true false false false]" {
		t.Errorf("it wrote %v", mine)
	}
}
