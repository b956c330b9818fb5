// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"fmt"

	"ethertap/dataplane"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
)

// An engine bridges two ports: network interfaces, if Config.Ports is left out, or ports in memory as here. Its
// policy may be changed while frames flow.
func Example() {
	arrived := make(chan int, 16)
	left := memory.New("left", memory.Options{MAC: policy.MAC{2, 0, 0, 0, 0, 1}})
	right := memory.New("right", memory.Options{MAC: policy.MAC{2, 0, 0, 0, 0, 2}, Sent: func(_ int, frame []byte) bool {
		arrived <- len(frame)
		return true
	}})
	e, err := dataplane.New(dataplane.Config{Interfaces: []string{"left", "right"}, Ports: []port.Port{left, right}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	bad := policy.MAC{2, 0, 0, 0, 0, 9}
	err = e.Update(func(p *policy.Policy) error {
		p.Drop = p.Drop.With(bad)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := make([]byte, 60)
	copy(frame[6:], bad[:]) // the sender
	left.Receive(0, frame)
	frame = make([]byte, 100)
	left.Receive(0, frame)
	fmt.Println(<-arrived, "bytes arrived")
	if err := e.Stop(); err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range e.Snapshot(false).Ports {
		fmt.Printf("%s: received %d, sent %d, dropped %d\n", p.Name, p.Stats.RX, p.Stats.TX, p.Stats.Drop)
	}
	// Output:
	// 100 bytes arrived
	// left: received 2, sent 0, dropped 1
	// right: received 0, sent 1, dropped 0
}
