package filter

import p "ethertap/lib/predicate"

// tree is what a part of an expression becomes.
type tree = p.Expr

// Numbers in a frame, by the bytes in front of them.
func byteAt(at int) tree { return p.Load{At: p.Number(at), Size: 1} }
func halfAt(at int) tree { return p.Load{At: p.Number(at), Size: 2} }
func wordAt(at int) tree { return p.Load{At: p.Number(at), Size: 4} }

// is tests whether a number is n.
func is(a tree, n uint32) tree { return p.Compare{Op: p.Equal, A: a, B: p.Number(n)} }

// masked are the bits of a number that are in a mask. All of them are the number itself.
func masked(a tree, mask uint32) tree {
	if mask == 0xffffffff {
		return a
	}
	return p.Calculate{Op: p.BitAnd, A: a, B: p.Number(mask)}
}

// within tests whether a number is in a range, both ends included. It looks at the number
// once.
func within(a tree, low, high uint32) tree {
	if low == high {
		return is(a, low)
	}
	return p.Compare{Op: p.Below, A: p.Calculate{Op: p.Subtract, A: a, B: p.Number(low)}, B: p.Number(high) - p.Number(low) + 1}
}

// and holds when all do, looked at in order.
func and(first tree, rest ...tree) tree {
	for _, t := range rest {
		first = p.And{A: first, B: t}
	}
	return first
}

// or holds when one does, looked at in order.
func or(first tree, rest ...tree) tree {
	for _, t := range rest {
		first = p.Or{A: first, B: t}
	}
	return first
}

// of is what holds for the frames of one kind, or what holds for all others. It is
// (kind and then) or otherwise where the two exclude each other, but never looks at both.
func of(kind, then, otherwise tree) tree { return p.If{Cond: kind, Then: then, Else: otherwise} }

// behind4 is a number offset bytes behind the IPv4 header that begins at header.
func behind4(header, offset, size int) tree {
	return p.Load{At: p.BehindIP4(header, offset), Size: size}
}
