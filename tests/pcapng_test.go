// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/binary"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	stopSignal     = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT

	// patience only bounds a failure.
	patience = time.Minute
)

// block is one of a PCAPNG, read by the book.
type block struct {
	kind    uint32
	body    []byte
	options map[uint16][]byte
}

func (b block) u32(at int) uint32 { return binary.LittleEndian.Uint32(b.body[at:]) }

// number is an option of 8 bytes; 0 if it is not there.
func (b block) number(code uint16) uint64 {
	if v := b.options[code]; len(v) == 8 {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

// pcapngBlocks reads the whole blocks of a file, which may be growing.
func pcapngBlocks(t *testing.T, file string) (blocks []block) {
	t.Helper()
	rest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for len(rest) >= 12 {
		n := int(le.Uint32(rest[4:]))
		if n < 12 || n%4 != 0 {
			t.Fatalf("%s: a block of %d bytes", file, n)
		}
		if n > len(rest) {
			return blocks
		}
		if le.Uint32(rest[n-4:]) != uint32(n) {
			t.Fatalf("%s: a block of %d bytes ends with %d", file, n, le.Uint32(rest[n-4:]))
		}
		b := block{kind: le.Uint32(rest), body: rest[8 : n-4], options: map[uint16][]byte{}}
		at := map[uint32]int{0x0a0d0d0a: 16, 1: 8, 5: 12, 6: 20}[b.kind]
		if b.kind == 6 {
			at += (int(b.u32(12)) + 3) &^ 3
		}
		for at+4 <= len(b.body) {
			code, length := le.Uint16(b.body[at:]), int(le.Uint16(b.body[at+2:]))
			b.options[code] = b.body[at+4 : at+4+length]
			at += 4 + (length+3)&^3
			if code == 0 {
				break
			}
		}
		if at != len(b.body) {
			t.Fatalf("%s: a block of type %d has %d bytes behind its options", file, b.kind, len(b.body)-at)
		}
		blocks = append(blocks, b)
		rest = rest[n:]
	}
	return blocks
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
