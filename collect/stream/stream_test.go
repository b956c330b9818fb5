// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"fmt"
	"testing"
	"time"

	"ethertap/shm"
)

// put puts n packets into a queue, numbered from a number on, and waits while it is full.
func put(t testing.TB, p *shm.Producer, tap string, from, n int) {
	t.Helper()
	for i := from; i < from+n; {
		data := fmt.Appendf(nil, "%s %d", tap, i)
		r := shm.Record{Timestamp: time.Now().UnixNano(), PacketID: uint64(i), Direction: shm.RX, OrigLen: uint32(len(data)), Data: data}
		if i%100 == 7 {
			r.Fault = shm.FaultBitflip | shm.FaultDup
		}
		if p.Put([]shm.Record{r}) == 1 {
			i++
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}

// Packets of two taps come to a reader once, in their order, with interfaces, faults and times.
func TestTwoTaps(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	at := address(t, "TAPS", s)
	var taps []*publishing
	var producers []*shm.Producer
	for i, host := range []string{"rack1", "rack2.example"} {
		q, p := queue(t, shm.Options{})
		if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: "eth1", Taps: shm.TapStated | shm.TapRX}}); err != nil {
			t.Fatal(err)
		}
		taps = append(taps, publish(t, q, PublishOptions{Address: at, Host: host, Zstd: i == 1}))
		producers = append(producers, p)
	}
	r := read(t, ReadOptions{Address: at, All: true, Window: 300 * time.Millisecond})
	const n = 5000
	for part := range 10 {
		for i, p := range producers {
			put(t, p, fmt.Sprint(i), part*n/10, n/10)
		}
	}
	eventually(t, "all packets have come", func() bool { return r.out.count() == 2*n })
	for _, p := range taps {
		if err := p.end(); err != nil {
			t.Error(err)
		}
		if st := p.out.Status(); st.Acknowledged != n || st.InFlight != 0 || st.Behind != 0 || st.Held != 0 {
			t.Errorf("%+v", st)
		}
	}
	var next [2]int
	last := int64(0)
	for _, k := range r.out.got() {
		var tap, i int
		fmt.Sscan(k.data, &tap, &i)
		want := kept{k.time, []string{"rack1/ethertap/eth1", "rack2.example/ethertap/eth1"}[tap], fmt.Sprintf("%d %d", tap, next[tap]), 0, uint64(i)}
		if i%100 == 7 {
			want.fault = shm.FaultBitflip | shm.FaultDup
		}
		if k != want || k.time < last {
			t.Fatalf("%+v, not %+v; last %d", k, want, last)
		}
		last = k.time
		next[tap]++
	}
	if st := r.in.Status(); st.Acknowledged != 2*n || st.Late != 0 || st.Retried != 0 {
		t.Errorf("%+v", st)
	}
}
