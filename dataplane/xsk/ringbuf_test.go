// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// newRingbuf makes a ring buffer and what puts one record of so many bytes in it, by a
// program: a number, and zeros. Of three numbers the last one is discarded. It says
// whether there was room.
func newRingbuf(t *testing.T, size, record int) (*ebpf.Map, func(n uint64) bool) {
	t.Helper()
	netlab.RequireRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(size)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	// r = bpf_ringbuf_reserve(m, record, 0); if (!r) return 0; *r = the frame's first eight
	// bytes; if the next eight are 0, bpf_ringbuf_submit(r, 0), else discard; return 1;
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.Word), // data
			asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // end
			asm.Mov.Reg(asm.R3, asm.R6),
			asm.Add.Imm(asm.R3, 16),
			asm.JGT.Reg(asm.R3, asm.R2, "full"),
			asm.LoadMem(asm.R7, asm.R6, 0, asm.DWord),
			asm.LoadMem(asm.R8, asm.R6, 8, asm.DWord), // not 0: discard
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.Mov.Imm(asm.R2, int32(record)),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnRingbufReserve.Call(),
			asm.JEq.Imm(asm.R0, 0, "full"),
			asm.StoreMem(asm.R0, 0, asm.R7, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.R0),
			asm.Mov.Imm(asm.R2, 0),
			asm.JNE.Imm(asm.R8, 0, "discard"),
			asm.FnRingbufSubmit.Call(),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
			asm.FnRingbufDiscard.Call().WithSymbol("discard"),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("full"),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return m, func(n uint64) bool {
		frame := make([]byte, 64)
		binary.NativeEndian.PutUint64(frame, n)
		frame[8] = byte(n % 3 / 2)
		action, err := program.Run(&ebpf.RunOptions{Data: frame})
		if err != nil {
			t.Fatal(err)
		}
		return action == 1
	}
}

// Every record that is not discarded comes once, in order, over many laps; a full ring
// refuses more until some are released.
func TestRingbuf(t *testing.T) {
	const size, record = 4096, 152
	m, put := newRingbuf(t, size, record)
	r, err := MapRingbuf(m.FD(), size)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Empty() || r.Next() != nil {
		t.Error("a new ring is not empty")
	}
	var next uint64
	for lap := range 50 {
		var want []uint64
		refused := false
		for range lap % 40 {
			if !put(next) {
				refused = true
				break
			}
			if next%3 != 2 {
				want = append(want, next)
			}
			next++
		}
		if full := lap%40 > (size-1)/(record+8); refused != full {
			t.Fatalf("lap %d: refused %v", lap, refused)
		}
		var got []uint64
		for b := r.Next(); b != nil; b = r.Next() {
			if len(b) != record {
				t.Fatalf("a record of %d bytes", len(b))
			}
			got = append(got, binary.NativeEndian.Uint64(b))
		}
		if !bytes.Equal(numbers(got), numbers(want)) {
			t.Fatalf("lap %d: %v, want %v", lap, got, want)
		}
		if len(want) > 1 && lap%7 == 3 { // another process goes on from where this one released
			r.Release()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if r, err = MapRingbuf(m.FD(), size); err != nil {
				t.Fatal(err)
			}
		}
		r.Release()
		if !r.Empty() {
			t.Fatalf("lap %d: not empty", lap)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := MapRingbuf(m.FD(), 5000); err == nil {
		t.Error("mapped with a size that is no power of two")
	}
}

func numbers(list []uint64) (b []byte) {
	for _, n := range list {
		b = binary.NativeEndian.AppendUint64(b, n)
	}
	return b
}

// What has not been released is there again for who maps the ring next, and the kernel
// wakes who waits.
func TestRingbufIsPolled(t *testing.T) {
	m, put := newRingbuf(t, 4096, 64)
	first, err := MapRingbuf(m.FD(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(first.FD()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("poll of an empty ring: %d %v", n, err)
	}
	put(0)
	if n, err := unix.Poll(fds, 10000); n != 1 || err != nil {
		t.Errorf("poll: %d %v", n, err)
	}
	if first.Next() == nil {
		t.Error("nothing there")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := MapRingbuf(m.FD(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if b := second.Next(); b == nil || binary.NativeEndian.Uint64(b) != 0 {
		t.Errorf("what was not released: %x", b)
	}
}
