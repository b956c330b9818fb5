// SPDX-License-Identifier: BSD-3-Clause

package interp

// Nearest returns the built-in or compound word that a mistyped name most likely means, or "" if
// none is near: at most a third of the characters may differ. If several are equally near, it
// returns the first in the alphabet.
func (d *Dict) Nearest(tok string) string {
	if len(tok) > 2*maxName {
		return ""
	}
	best, least := "", len(tok)/3+1
	words := d.names(func(_ *Entry, def *definition) bool { return def.word != nil || def.code != nil })
	for _, name := range words {
		if n := distance(tok, name); n < least {
			best, least = name, n
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours that turn
// a into b (optimal string alignment).
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
