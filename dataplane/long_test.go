// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// newLongBench makes a bench whose frames may have several chunks.
func newLongBench(t *testing.T, p policy.Policy) *bench {
	t.Helper()
	b := newBench(t, 2, p)
	b.w.long = true
	b.w.allocate()
	for i := range b.w.lanes {
		b.w.lanes[i].limit.Store(9018)
	}
	return b
}

// mixed returns frames of one chunk (1792 bytes in this bench) and of up to six.
func mixed() (frames [][]byte) {
	for i := range 60 {
		frames = append(frames, testFrame(60+150*i, byte(i%7), uint32(i)))
	}
	return frames
}

// few runs the frames a few at a time, since the rings of the bench are small.
func (b *bench) few(frames [][]byte) {
	for part := range slices.Chunk(frames, 8) {
		b.run(0, part...)
	}
}

func TestLongFramesPassUnchanged(t *testing.T) {
	b := newLongBench(t, policy.Policy{})
	frames := mixed()
	b.few(frames)
	if !slices.EqualFunc(b.out[1], frames, bytes.Equal) {
		t.Error("what came out is not what went in")
	}
	m := b.w.tables[0].Load().macs.read().total()
	want := 0
	for _, f := range frames {
		want += len(f)
	}
	if c := b.count(0); c[countRX] != 60 || b.count(1)[countTX] != 60 || m.frames != 60 || m.bytes != uint64(want) {
		t.Errorf("rx %d, tx %d, %d frames of %d bytes, want %d", c[countRX], b.count(1)[countTX], m.frames, m.bytes, want)
	}
}

// The kernel may take a part of a frame first and the rest later. The frame counts with its last
// chunk.
func TestLongFrameTakenInParts(t *testing.T) {
	b := newLongBench(t, policy.Policy{})
	frame := testFrame(9000, 1, 0) // six chunks
	for range 3 {
		if !b.kernel[0].Receive(frame) {
			t.Fatal("not received")
		}
	}
	b.w.round()
	for i, want := range []uint64{0, 0, 1, 1, 1, 2, 2, 2, 3} { // two entries each time
		b.kernel[1].Transmit(2, func(f []byte) { b.out[1] = append(b.out[1], bytes.Clone(f)) })
		b.kernel[1].Complete(math.MaxInt)
		b.w.round()
		b.check()
		if c := b.count(0); b.count(1)[countTX] != want || c[countHeld] != 3-want {
			t.Fatalf("step %d: tx %d, held %d, want tx %d", i, b.count(1)[countTX], c[countHeld], want)
		}
	}
	if len(b.out[1]) != 3 || !bytes.Equal(b.out[1][2], frame) {
		t.Error("what came out is not what went in")
	}
}

// A frame with more chunks than can be sent counts as err, and its chunks are free again.
func TestFrameThatIsTooLong(t *testing.T) {
	b := newLongBench(t, policy.Policy{})
	b.run(0, testFrame(17*1792, 1, 0))
	b.run(0, testFrame(16*1792, 1, 1))
	if c := b.count(0); c[countRX] != 2 || c[countErr+int(reasonLong)] != 1 || b.count(1)[countTX] != 1 || len(b.out[1][0]) != 16*1792 {
		t.Errorf("rx %d, err %d, tx %d", c[countRX], c[countErr+int(reasonLong)], b.count(1)[countTX])
	}
}

// A full ring takes whole frames only.
func TestLongFramesFindNoRoom(t *testing.T) {
	b := newLongBench(t, policy.Policy{})
	for range 10 { // 10 × 6 frames of 6 chunks for a ring of 256
		for range 6 {
			if !b.kernel[0].Receive(testFrame(9000, 1, 0)) {
				t.Fatal("not received")
			}
		}
		b.w.round()
		b.check()
	}
	if c := b.count(0); c[countHeld] != 42 || c[countErr+int(reasonFull)] != 18 {
		t.Errorf("held %d, err %d", c[countHeld], c[countErr+int(reasonFull)])
	}
	b.transmit()
	b.w.round()
	b.check()
	if len(b.out[1]) != 42 {
		t.Errorf("%d came out", len(b.out[1]))
	}
}

func TestFaultsOnLongFrames(t *testing.T) {
	p := faulty(policy.Fault{
		Drop: policy.Chance{Probability: 10000}, Bitflip: policy.Chance{Probability: 30000}, Length: policy.Chance{Probability: 30000},
		Dup: policy.Chance{Probability: 20000}, Delay: time.Millisecond, Jitter: time.Millisecond,
	}, 3)
	b := newLongBench(t, p)
	for range 5 {
		b.few(mixed())
		b.pass(time.Second)
	}
	c := b.count(0)
	for _, f := range b.out[1] {
		if len(f) < protected || len(f) > 9018 || !bytes.Equal(f[:6], testFrame(60, 0, 0)[:6]) {
			t.Fatalf("a frame of %d bytes: %x", len(f), f[:min(len(f), 14)])
		}
	}
	// The identity is checked all the time. Frames that find no room in the ring are err.
	if n := int(b.count(1)[countTX]); len(b.out[1]) != n || c[countFault+policy.FaultBitflip] == 0 || c[countFault+policy.FaultLength] == 0 || c[countFault+policy.FaultDup] == 0 {
		t.Errorf("%d came out, tx %d; %d bitflipped, %d with another length", len(b.out[1]), n, c[countFault+policy.FaultBitflip], c[countFault+policy.FaultLength])
	}
	// A bit is flipped in any of the chunks, and it is exactly one.
	b = newLongBench(t, faulty(policy.Fault{Bitflip: policy.Chance{Every: 1}, Dup: policy.Chance{Every: 1}}, 5))
	in := testFrame(9000, 1, 0)
	where := map[int]bool{}
	for range 60 {
		b.out[1] = nil
		b.run(0, in)
		if len(b.out[1]) != 2 || !bytes.Equal(b.out[1][0], b.out[1][1]) || len(b.out[1][0]) != len(in) {
			t.Fatalf("%d came out", len(b.out[1]))
		}
		changed := 0
		for i := range in {
			if in[i] != b.out[1][0][i] {
				changed++
				where[i/1792] = true
			}
		}
		if changed != 1 {
			t.Fatalf("%d bytes changed", changed)
		}
	}
	if len(where) < 5 { // the sixth chunk has only 40 bytes
		t.Errorf("flipped in chunks %v only", where)
	}
}

// The number of held frames is bounded by their chunks.
func TestHoldLimitOfLongFrames(t *testing.T) {
	b := newLongBench(t, faulty(policy.Fault{Delay: time.Minute}, 1))
	for range 10 {
		for range 5 {
			if !b.kernel[0].Receive(testFrame(9000, 1, 0)) {
				t.Fatal("not received")
			}
		}
		b.w.round()
		b.check()
	}
	if c := b.count(0); c[countHeld] != benchHold/6 || c[countFault+policy.FaultHold] != 50-benchHold/6 {
		t.Errorf("held %d, no room for %d", c[countHeld], c[countFault+policy.FaultHold])
	}
}
