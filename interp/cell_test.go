// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"sync"
	"testing"
)

// BenchmarkCell measures the figures in the comment on cell.
func BenchmarkCell(b *testing.B) {
	b.Run("load", func(b *testing.B) {
		var c cell
		for b.Loop() {
			c.load()
		}
	})
	b.Run("store", func(b *testing.B) {
		var c cell
		for b.Loop() {
			c.swap(Value{n: 1})
		}
	})
	b.Run("mutex", func(b *testing.B) {
		var mu sync.Mutex
		v := Value{n: 1}
		for b.Loop() {
			mu.Lock()
			v = Value{n: v.n + 1}
			mu.Unlock()
		}
	})
}

// Readers see whole values while writers change their type.
func TestCell(t *testing.T) {
	var c cell
	mac, n := NewMAC([6]byte{1, 2, 3, 4, 5, 6}), NewInt(7)
	c.swap(n)
	var wg sync.WaitGroup
	for range 2 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for i := range 20000 {
				if i%2 == 0 {
					c.swap(mac)
				} else {
					c.swap(n)
				}
			}
		}()
		go func() {
			defer wg.Done()
			for range 20000 {
				if v := c.load(); !v.Equal(mac) && !v.Equal(n) {
					t.Errorf("torn value %+v", v)
					return
				}
			}
		}()
	}
	wg.Wait()
}
