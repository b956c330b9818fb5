// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"ethertap/shm"
)

// The number of packets that the queue refused while the collector was busy stands in the next
// packet of the interface.
func TestDropCount(t *testing.T) {
	name := newQueue(t, shm.Options{Slots: 16})
	q := attach(t, name)
	if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: "a"}, {Index: 1, Name: "b"}}); err != nil {
		t.Fatal(err)
	}
	list, err := q.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	p := producer(t, name)
	refused := uint64(0)
	for i := range 40 {
		refused += uint64(1 - p.Put([]shm.Record{{Data: frame(1, i, 60)}}))
	}
	file := newFile(t)
	files, err := Stream(file, file.Name(), Options{Format: PCAPNG, Interfaces: list})
	if err != nil {
		t.Fatal(err)
	}
	c := collectorOf(t, name, Run{Output: files})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan error, 1)
	go func() { done <- c.Collect(ctx) }()
	for c.Tally().Packets < 40-refused && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	var told uint64
	for len(b) > 0 {
		n := le.Uint32(b[4:])
		if le.Uint32(b) == blockPacket {
			for at := 28 + (le.Uint32(b[20:])+3)&^3; ; {
				code, size := le.Uint16(b[at:]), uint32(le.Uint16(b[at+2:]))
				if code == epbDropCount {
					told += le.Uint64(b[at+4:])
				}
				if code == optEnd {
					break
				}
				at += 4 + (size+3)&^3
			}
		}
		b = b[n:]
	}
	if told != refused || refused == 0 {
		t.Errorf("%d of %d refused packets are told", told, refused)
	}
}
