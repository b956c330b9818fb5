// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"testing"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// tell puts in front of each frame that will come on port 0 what a program says of dice of the epoch 0: struct
// told of fastpath.c.
func (b *bench) tell(frame uint64, hits uint32) {
	const check = 0x64696365
	told := binary.NativeEndian.AppendUint64(nil, frame)
	told = binary.NativeEndian.AppendUint32(told, hits)
	told = binary.NativeEndian.AppendUint32(told, uint32(frame)^uint32(frame>>32)^hits^check)
	for chunk := range uint64(benchFrames) {
		copy(b.w.umem.Front(xsk.Desc{Addr: chunk*2048 + xsk.Headroom}, len(told)), told)
	}
}

// What a program wrote in front of a frame is believed once, even if the frame was spared: the chunk goes
// back to the kernel with it, and the next frame there may come without a word.
func TestOldDiceInAChunkAreNotBelieved(t *testing.T) {
	p := faulty(policy.Fault{Drop: policy.Chance{Every: 1}}, 7)
	p.Fault = p.Fault.With(policy.MAC(testFrame(60, 1, 0)[6:12]))
	b := newBench(t, 2, p)
	b.w.kernel.Store(new(kernelSide))
	b.tell(5, 0)
	for i, c := range []struct {
		from byte
		lost uint64 // of all frames so far
	}{{2, 0}, {1, 1}, {1, 2}} {
		if !b.kernel[0].Receive(testFrame(60, c.from, 0)) || b.w.receive(0) != 1 {
			t.Fatal("the frame was not received")
		}
		b.w.publish()
		if lost := b.count(0)[countFIDropped]; lost != c.lost {
			t.Errorf("frame %d: %d are lost, want %d", i, lost, c.lost)
		}
	}
	if got := b.w.lanes[0].dice.least; got != 6 {
		t.Errorf("frames from %d on are believed, want 6", got)
	}
}
