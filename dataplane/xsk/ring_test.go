// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

var small = Options{Fill: 8, Completion: 8, RX: 8, TX: 8}

func simulated(t *testing.T, frames int, o Options) (*UMEM, *Socket, *Kernel) {
	t.Helper()
	u, err := NewUMEM(frames, 2048)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	s, k, err := Simulate(u, o)
	if err != nil {
		t.Fatal(err)
	}
	return u, s, k
}

func TestRingsRefuseBadGeometry(t *testing.T) {
	mem := make([]byte, 1024)
	good := layout{producer: 0, consumer: 64, flags: 128, entries: 192}
	for _, c := range []struct {
		name string
		l    layout
		size uint32
		ok   bool
	}{
		{"good", good, 8, true},
		{"zero", good, 0, false},
		{"not a power of two", good, 6, false},
		{"too long", good, 128, false},
		{"entries not aligned", layout{0, 64, 128, 196}, 8, false},
		{"index not aligned", layout{2, 64, 128, 192}, 8, false},
		{"index outside", layout{0, 1024, 128, 192}, 8, false},
	} {
		if _, err := newTXRing(mem, c.l, c.size); (err == nil) != c.ok {
			t.Errorf("%s: error %v", c.name, err)
		}
		if _, err := newFillRing(mem, c.l, c.size); (err == nil) != c.ok {
			t.Errorf("%s: fill: error %v", c.name, err)
		}
	}
}

func TestFillRingTakesWhatFits(t *testing.T) {
	_, s, k := simulated(t, 16, small)
	if n := s.Fill.Put([]uint64{0, 2048, 4096}); n != 3 {
		t.Fatalf("put %d of 3", n)
	}
	if n := s.Fill.Put(make([]uint64, 16)); n != 5 {
		t.Fatalf("put %d in a ring with room for 5", n)
	}
	if n := s.Fill.Put(make([]uint64, 1)); n != 0 {
		t.Fatalf("put %d in a full ring", n)
	}
	if n := s.Fill.pending(); n != 8 {
		t.Fatalf("pending %d, want 8", n)
	}
	var got [4]uint64
	if n := k.fill.Get(got[:]); n != 4 || got != [4]uint64{0, 2048, 4096, 0} {
		t.Fatalf("kernel took %d: %v", n, got)
	}
	if n := s.Fill.Put(make([]uint64, 16)); n != 4 {
		t.Fatalf("put %d, want the 4 just freed", n)
	}
}

// The indices are free-running 32-bit numbers: all must hold across the wrap.
func TestRingsAcrossIndexWrap(t *testing.T) {
	_, s, k := simulated(t, 16, small)
	const start = ^uint32(0) - 3
	s.TX.ours.Store(start)
	s.TX.theirs.Store(start)
	s.TX.next, s.TX.taken = start, start
	k.tx.next, k.tx.filled = start, start
	for i := range uint64(20) {
		if n := s.TX.Put([]Desc{{Addr: i * 2048 % (16 * 2048), Len: uint32(i + 1)}}); n != 1 {
			t.Fatalf("frame %d: put %d", i, n)
		}
		if n := s.TX.pending(); n != 1 {
			t.Fatalf("frame %d: pending %d", i, n)
		}
		length := 0
		if n := k.Transmit(4, func(b []byte) { length = len(b) }); n != 1 || length != int(i)+1 {
			t.Fatalf("frame %d: kernel took %d, length %d", i, n, length)
		}
		if got, want := s.TX.Taken(), start+uint32(i)+1; got != want {
			t.Fatalf("frame %d: taken %d, want %d", i, got, want)
		}
		if k.Complete(1) != 1 {
			t.Fatalf("frame %d: not completed", i)
		}
		var back [4]uint64
		if n := s.Completion.Get(back[:]); n != 1 || back[0] != i*2048%(16*2048) {
			t.Fatalf("frame %d: completion %d: %v", i, n, back)
		}
	}
}

// A frame is as long as its entries together, wherever the ring ends.
func TestLengthOfASentFrame(t *testing.T) {
	_, s, _ := simulated(t, 16, small)
	for i := range uint32(2 * s.TX.Size()) {
		first := s.TX.next
		s.TX.Put([]Desc{{Len: 2000, Options: Continued}, {Len: 1000 + i}, {Len: 60}})
		s.TX.theirs.Store(s.TX.next)
		if got := s.TX.Last(first + 2); got != 3000+uint64(i) {
			t.Fatalf("frame %d of two entries: %d bytes", i, got)
		}
		if got := s.TX.Last(first + 3); got != 60 {
			t.Fatalf("frame %d of one entry: %d bytes", i, got)
		}
	}
}

func TestKernelSideCountsWhatItCannotDeliver(t *testing.T) {
	_, s, k := simulated(t, 16, Options{Fill: 8, Completion: 8, RX: 4, TX: 4})
	if k.Receive([]byte("x")) || k.Starved.Load() != 1 {
		t.Fatalf("received without a frame; starved %d", k.Starved.Load())
	}
	s.Fill.Put([]uint64{0, 2048, 4096, 6144, 8192})
	for range 4 {
		if !k.Receive([]byte("x")) {
			t.Fatal("not received")
		}
	}
	if k.Receive([]byte("x")) || k.Full.Load() != 1 {
		t.Fatalf("received into a full ring; full %d", k.Full.Load())
	}
	if n := s.RX.Ready(); n != 4 {
		t.Fatalf("ready %d, want 4", n)
	}
}

// Two goroutines, one on either side of all four rings: every frame must come
// out once, in order and whole, and no chunk may be lost or be in two places.
func TestRingsBetweenTwoThreads(t *testing.T) {
	const frames, packets = 64, 20000
	u, s, k := simulated(t, frames, Options{Fill: 32, Completion: 16, RX: 16, TX: 16})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { // the kernel: feeds numbered frames, checks what is transmitted
		defer wg.Done()
		rng := rand.New(rand.NewPCG(1, 2))
		var in, out uint64
		frame := make([]byte, 1500)
		for out < packets {
			for range rng.IntN(20) {
				if in == packets {
					break
				}
				n := 60 + int(in%1400)
				binary.LittleEndian.PutUint64(frame, in)
				frame[n-1] = byte(in)
				if !k.Receive(frame[:n]) {
					break
				}
				in++
			}
			k.Transmit(rng.IntN(20), func(b []byte) {
				if got := binary.LittleEndian.Uint64(b); got != out {
					t.Errorf("frame %d came out when %d was due", got, out)
				}
				if len(b) != 60+int(out%1400) || b[len(b)-1] != byte(out) {
					t.Errorf("frame %d: %d bytes ending in %d", out, len(b), b[len(b)-1])
				}
				out++
			})
			k.Complete(rng.IntN(20))
			runtime.Gosched() // two spinning threads on one processor wait for each other's time to end
		}
		for k.Holding() > 0 {
			k.Complete(frames)
		}
	}()
	where := make([]byte, frames) // 'f' free, 'k' in the fill ring or beyond, 't' in the TX ring or beyond
	free := make([]uint64, 0, frames)
	for i := range uint64(frames) {
		free = append(free, i*2048)
		where[i] = 'f'
	}
	move := func(addr uint64, from, to byte) {
		i := addr / 2048
		if where[i] != from {
			t.Fatalf("chunk %d moves from %c to %c but is in %c", i, from, to, where[i])
		}
		where[i] = to
	}
	post := func() {
		n := s.Fill.Put(free)
		for _, a := range free[:n] {
			move(a, 'f', 'k')
		}
		free = append(free[:0], free[n:]...)
	}
	var descs [8]Desc
	var back [8]uint64
	for done := 0; done < packets; {
		post()
		runtime.Gosched()
		n := s.RX.Get(descs[:])
		for _, d := range descs[:n] {
			move(u.Frame(d.Addr), 'k', 't')
		}
		for sent := 0; sent < n; {
			sent += s.TX.Put(descs[sent:n])
			m := s.Completion.Get(back[:])
			for _, a := range back[:m] {
				move(u.Frame(a), 't', 'f')
				free = append(free, u.Frame(a))
			}
			done += m
		}
		m := s.Completion.Get(back[:])
		for _, a := range back[:m] {
			move(u.Frame(a), 't', 'f')
			free = append(free, u.Frame(a))
		}
		done += m
	}
	wg.Wait()
	if n := bytes.Count(where, []byte("t")) + s.TX.pending() + s.Completion.Ready(); n != 0 {
		t.Errorf("%d chunks did not come back", n)
	}
}

func TestUMEMBytesStayInOneChunk(t *testing.T) {
	u, err := NewUMEM(4, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d  Desc
		ok bool
	}{
		{Desc{Addr: 2048 + 256, Len: 1792}, true},
		{Desc{Addr: 2048 + 256, Len: 1793}, false},
		{Desc{Addr: 4 * 2048, Len: 1}, false},
		{Desc{Addr: 1 << 63, Len: 1}, false},
		{Desc{Addr: 0, Len: 1 << 31}, false},
	} {
		if b := u.Bytes(c.d); (b != nil) != c.ok || c.ok && (len(b) != int(c.d.Len) || cap(b) != len(b)) {
			t.Errorf("%+v: %d bytes", c.d, len(b))
		}
	}
	if got := u.Frame(2*2048 + 300); got != 2*2048 {
		t.Errorf("frame %d", got)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if err := u.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := NewUMEM(4, 1500); err == nil {
		t.Error("a frame size of 1500 was accepted")
	}
}

// What was taken from a TX ring is known in frames and bytes, also around the ring's end.
func TestTXRingSpan(t *testing.T) {
	u, err := NewUMEM(16, 2048)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	s, k, err := Simulate(u, Options{Fill: 8, Completion: 8, RX: 8, TX: 8})
	if err != nil {
		t.Fatal(err)
	}
	more := uint32(Continued)
	for range 3 { // five entries each: the third begins behind the ring's end
		from := s.TX.Taken()
		s.TX.Put([]Desc{{Len: 60}, {Len: 1000, Options: more}, {Len: 1000, Options: more}, {Len: 7}, {Len: 100}})
		k.Transmit(4, func([]byte) {})
		if frames, bytes, rest := s.TX.Span(from, 2, 0); frames != 1 || bytes != 60 || rest != 1000 {
			t.Errorf("from %d: %d frames of %d bytes and %d of the next, want 1 of 60 and 1000", from, frames, bytes, rest)
		}
		if frames, bytes, rest := s.TX.Span(from+2, 2, 1000); frames != 1 || bytes != 2007 || rest != 0 {
			t.Errorf("from %d: %d frames of %d bytes and %d of the next, want 1 of 2007 and 0", from+2, frames, bytes, rest)
		}
		if bytes := s.TX.Bytes(from, 4); bytes != 2067 {
			t.Errorf("from %d: %d bytes, want 2067", from, bytes)
		}
		if last := s.TX.Last(s.TX.Taken()); last != 2007 {
			t.Errorf("from %d: the last frame has %d bytes, want 2007", from, last)
		}
		k.Transmit(1, func([]byte) {})
		if last := s.TX.Last(s.TX.Taken()); last != 100 {
			t.Errorf("from %d: the last frame has %d bytes, want 100", from, last)
		}
	}
}

// pending returns how many entries the kernel has not taken yet.
func (p *producer) pending() int {
	p.taken = p.theirs.Load()
	return int(p.next - p.taken)
}

// A kick transmits no more than the completion ring has room for, and says that there is more; whatever it has taken is complete.
func TestKickLeavesWhatHasNoRoomToComplete(t *testing.T) {
	o := small
	o.TX = 16
	_, s, k := simulated(t, 16, o)
	sent := 0
	k.Copying(32, func() unix.Errno { return 0 }, func([]byte) bool { sent++; return true })
	for i := range uint64(12) {
		s.TX.Put([]Desc{{Addr: i * 2048, Len: 60}})
	}
	var back [16]uint64
	for _, want := range []struct {
		errno unix.Errno
		sent  int
		back  int
	}{{unix.EAGAIN, 8, 0}, {unix.EAGAIN, 8, 3}, {unix.EAGAIN, 11, 8}, {0, 12, 1}} {
		if errno := s.Kick(); errno != want.errno || sent != want.sent || k.Holding() != 0 {
			t.Errorf("the kick returns %d after %d frames, of which %d are not complete; want %d after %d", errno, sent, k.Holding(), want.errno, want.sent)
		}
		if n := s.Completion.Get(back[:want.back]); n != want.back {
			t.Errorf("%d came back, want %d", n, want.back)
		}
	}
}
