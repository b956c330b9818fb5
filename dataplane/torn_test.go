// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// A frame that comes in pieces though none were asked for is lost, as one, and never sent on as
// several, also where its pieces come in different batches.
func TestPiecesAreNeverSentAsFrames(t *testing.T) {
	b := newBench(t, 2, policy.Policy{})
	whole := [][]byte{testFrame(60, 1, 1), testFrame(1792, 2, 2), testFrame(100, 3, 3)}
	b.run(0, whole[0], testFrame(1793, 1, 7), whole[1], testFrame(5000, 1, 8), testFrame(2000, 1, 9), whole[2])
	if len(b.out[1]) != len(whole) {
		t.Fatalf("%d frames left, want %d", len(b.out[1]), len(whole))
	}
	for i, f := range whole {
		if !bytes.Equal(b.out[1][i], f) {
			t.Errorf("frame %d: %d bytes, want %d", i, len(b.out[1][i]), len(f))
		}
	}
	if c := b.count(0); c[countRX] != 3 || c[countLost] != 3 || c[countRXBytes] != 60+1792+100 {
		t.Errorf("rx %d with %d bytes, lost %d; want 3, 1952, 3", c[countRX], c[countRXBytes], c[countLost])
	}
	// A batch that ends in the middle of a frame.
	l, t0 := &b.w.lanes[0], tally{}
	for i, c := range []struct {
		options uint32
		whole   int
		lost    uint64
	}{{xsk.Continued, 0, 1}, {xsk.Continued, 0, 1}, {0, 0, 1}, {0, 1, 1}, {xsk.Continued, 0, 2}, {0, 0, 2}} {
		b.w.descs[0] = xsk.Desc{Addr: b.w.free[len(b.w.free)-1], Len: 60, Options: c.options}
		if whole := b.w.discardPieces(l, 1, &t0); whole != c.whole || t0[countLost] != c.lost {
			t.Errorf("entry %d: %d whole, %d lost; want %d and %d", i, whole, t0[countLost], c.whole, c.lost)
		}
	}
	b.w.retired = b.w.retired[:0] // the chunks are free already
}

// A link that is down is tried once a millisecond, whatever comes for it.
func TestLinkThatIsDownIsTriedNowAndThen(t *testing.T) {
	b := newBench(t, 2, policy.Policy{})
	tries, down := int64(0), true
	b.kernel[1].Copying(256, func() unix.Errno {
		if down {
			tries++
			return unix.ENETDOWN
		}
		return 0
	}, func(f []byte) bool { b.out[1] = append(b.out[1], bytes.Clone(f)); return true })
	b.w.readClock()
	start := b.w.clock
	for i := range 5000 {
		b.kernel[0].Receive(testFrame(60, 1, uint32(i)))
		b.w.round()
	}
	if most := (b.w.clock-start)/int64(retryTime) + 2; tries > most || tries == 0 {
		t.Errorf("%d tries, want %d at most", tries, most)
	}
	if c := b.count(1)[countCall+int(reasonENETDOWN)]; int64(c) != tries {
		t.Errorf("%d errors are counted for %d tries", c, tries)
	}
	b.check()
	down = false
	for b.w.lanes[1].blocked != 0 { // at the latest when a millisecond is over
		b.w.readClock()
		b.w.round()
	}
	before := len(b.out[1])
	b.run(0, testFrame(60, 1, 1))
	if len(b.out[1]) != before+1 {
		t.Errorf("%d frames left after the link was up, want 1", len(b.out[1])-before)
	}
}
