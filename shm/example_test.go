// SPDX-License-Identifier: BSD-3-Clause

package shm_test

import (
	"fmt"
	"os"
	"time"

	"ethertap/shm"
)

// A producer and a consumer of a queue may be goroutines or processes; each that opens the queue by its name
// takes part.
func Example() {
	name := fmt.Sprintf("ixdp.pqueue.example.%d", os.Getpid())
	q, err := shm.Open(name, shm.Options{Slots: 64, SlotSize: 256, Name: "example"})
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
	c, err := q.NewConsumer("example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	stored := p.Put([]shm.Record{
		{Timestamp: time.Now().UnixNano(), Direction: shm.RX, Data: []byte("first")},
		{Timestamp: time.Now().UnixNano(), Direction: shm.TX, OrigLen: 1500, Data: []byte("a part of the second")},
	})
	fmt.Println(stored, "stored")
	if _, err := c.Wait(time.Second); err != nil { // returns at once, as there are packets
		fmt.Println(err)
		return
	}
	n, err := c.Drain(10, func(r *shm.Record) error { // r.Data is in the queue: it is valid until the function returns
		fmt.Printf("sent: %v, %d bytes on the wire: %s\n", r.Direction == shm.TX, r.OrigLen, r.Data)
		return nil
	})
	fmt.Println(n, err)
	st, err := q.Status()
	fmt.Println(st.Inserted, st.Retrieved, st.Waiting, err)
	// Output:
	// 2 stored
	// sent: false, 5 bytes on the wire: first
	// sent: true, 1500 bytes on the wire: a part of the second
	// 2 <nil>
	// 2 2 0 <nil>
}
