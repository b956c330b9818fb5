// SPDX-License-Identifier: BSD-3-Clause

package frames

import (
	"encoding/binary"
	"math/rand/v2"
)

// Hosts is how many hosts there are in Traffic: 10.1.0.0 to 10.1.39.15.
const Hosts = 10_000

// Traffic makes packets as a network of ten thousand hosts has them: 400 flows of TCP and UDP at a
// time, of 40 packets on the average, in trains of up to 8. One in 500 is a frame of Random.
type Traffic struct {
	*rand.Rand
	// Sizes are the lengths of frames, in bytes, of which each is taken as often; at least 54.
	Sizes []int

	odd   Random
	flows [400]struct {
		head []byte
		left int
	}
	now, train int
}

// NewTraffic returns a Traffic that makes the same frames for the same seed: two in five have 64
// bytes, one 576, two 1500.
func NewTraffic(seed uint64) *Traffic {
	return &Traffic{Rand: rand.New(rand.NewPCG(seed, 5)), Sizes: []int{64, 64, 576, 1500, 1500}, odd: New(seed)}
}

// Filter makes a filter as Random does.
func (r *Traffic) Filter(depth int) string { return r.odd.Filter(depth) }

// Flow returns a number that the frames of a flow have in common, which is below 400.
func (r *Traffic) Flow() int { return r.now }

// Next returns the headers of the next frame, which are valid until the next call, and how many bytes
// of payload follow.
func (r *Traffic) Next() (head []byte, payload int) {
	if r.IntN(500) == 0 {
		return r.odd.Frame(), 0
	}
	if r.train == 0 {
		r.now, r.train = r.IntN(len(r.flows)), 1+r.IntN(8)
	}
	r.train--
	f := &r.flows[r.now]
	if f.left--; f.left <= 0 {
		f.left = 1 + int(40*r.ExpFloat64())
		b := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x00\x00\x00\x40\x00\x40\x06\x00\x00")
		if r.IntN(3) == 0 {
			b[23] = 17
		}
		from, to := r.IntN(Hosts), r.IntN(Hosts)
		b = append(b, 10, 1, byte(from>>8), byte(from), 10, 1, byte(to>>8), byte(to))
		b = binary.BigEndian.AppendUint16(b, uint16(32768+r.IntN(28232)))
		b = binary.BigEndian.AppendUint16(b, []uint16{443, 80, 53, 22, 8080, 123}[r.IntN(6)])
		f.head = append(b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0)
	}
	size := r.Sizes[r.IntN(len(r.Sizes))]
	binary.BigEndian.PutUint16(f.head[16:], uint16(size-14))
	return f.head, size - len(f.head)
}
