// SPDX-License-Identifier: BSD-3-Clause

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ethertap/collect"
	"ethertap/lib/capture"
	"ethertap/shm"
)

// A run writes what comes into a queue until it reaches a limit or its context ends.
func Example() {
	name := fmt.Sprintf("ixdp.pqueue.example.%d", os.Getpid())
	q, err := shm.Open(name, shm.Options{Slots: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shm.Delete(name)
	defer q.Close()
	p, err := q.NewProducer("example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for i := range 3 {
		p.Put([]shm.Record{{Timestamp: int64(i+1) * 1e9, Direction: shm.RX, Data: make([]byte, 60+i)}})
	}

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	source, err := collect.OpenSource(name, func(string, ...any) {})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	files, err := collect.Create(filepath.Join(dir, "packets.pcapng"), collect.Options{Format: collect.PCAPNG, Application: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := collect.New(collect.Run{Source: source, Output: files, Packets: 3, Received: true})
	fmt.Println(c.Collect(context.Background()))

	r, err := capture.Open(filepath.Join(dir, "packets.pcapng"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	var packet capture.Packet
	for err = r.Next(&packet); err == nil; err = r.Next(&packet) {
		fmt.Println(packet.Time, len(packet.Data))
	}
	fmt.Println(errors.Is(err, io.EOF))
	// Output:
	// <nil>
	// 1000000000 60
	// 2000000000 61
	// 3000000000 62
	// true
}
