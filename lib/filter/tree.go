// SPDX-License-Identifier: BSD-3-Clause

package filter

import p "ethertap/lib/predicate"

// tree is the tree of a part of an expression.
type tree = p.Expr

// These are numbers in a frame, at a constant offset.
func byteAt(at int) tree { return p.Load{At: p.Number(at), Size: 1} }
func halfAt(at int) tree { return p.Load{At: p.Number(at), Size: 2} }
func wordAt(at int) tree { return p.Load{At: p.Number(at), Size: 4} }

// is tests whether a number is n.
func is(a tree, n uint32) tree { return p.Compare{Op: p.Equal, A: a, B: p.Number(n)} }

// masked returns the bits of a number that are in a mask; with all bits it returns the number
// itself.
func masked(a tree, mask uint32) tree {
	if mask == 0xffffffff {
		return a
	}
	return p.Calculate{Op: p.BitAnd, A: a, B: p.Number(mask)}
}

// within tests whether a number is in a range, both ends included. It reads the number once.
func within(a tree, low, high uint32) tree {
	if low == high {
		return is(a, low)
	}
	return p.Compare{Op: p.Below, A: p.Calculate{Op: p.Subtract, A: a, B: p.Number(low)}, B: p.Number(high) - p.Number(low) + 1}
}

// and holds if all do, tested in order.
func and(first tree, rest ...tree) tree {
	for _, t := range rest {
		first = p.And{A: first, B: t}
	}
	return first
}

// or holds if one does, tested in order.
func or(first tree, rest ...tree) tree {
	for _, t := range rest {
		first = p.Or{A: first, B: t}
	}
	return first
}

// of tests the frames of one kind by then, and all others by otherwise. It means (kind and then)
// or otherwise, if the two exclude each other, but never tests both.
func of(kind, then, otherwise tree) tree { return p.If{Cond: kind, Then: then, Else: otherwise} }

// behind4 is a number, offset bytes after the IPv4 header that begins at header.
func behind4(header, offset, size int) tree {
	return p.Load{At: p.BehindIP4(header, offset), Size: size}
}
