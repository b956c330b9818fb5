// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// The two copies of a frame that both taps take have one number.
func tapGivesBothCopiesOfAFrameOneID(t *testing.T, s *station) {
	lab, d, q, c := s.lab, s.device, s.queue, s.consumer
	if list, err := q.Interfaces(); err != nil || len(list) != 2 || list[0].Name != netlab.D0 || list[1].Index != 1 || list[1].MAC != d.Ports()[1].MAC {
		t.Errorf("interfaces in the queue: %+v, %v", list, err)
	}
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true })
	frames := netlab.Mix(2, 200)
	started := time.Now().UnixNano()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames) // neither RX of 1 nor TX of 0 is tapped
	d.await("all is in the queue", func() bool { return d.stats(1).TapQualified == 200 })
	records := drainQueue(t, c)
	if len(records) != 400 {
		t.Fatalf("%d records, want 400", len(records))
	}
	copies := map[shm.Direction][]shm.Record{}
	for _, r := range records {
		copies[r.Direction] = append(copies[r.Direction], r)
		if r.Timestamp < started || r.Timestamp > time.Now().UnixNano() {
			t.Errorf("timestamp %d is not of this test", r.Timestamp)
		}
	}
	rx, tx := copies[shm.RX], copies[shm.TX]
	if len(rx) != 200 || len(tx) != 200 {
		t.Fatalf("%d RX and %d TX records", len(rx), len(tx))
	}
	ids := map[uint64]bool{}
	for i := range rx {
		if !bytes.Equal(rx[i].Data, frames[i]) || !bytes.Equal(tx[i].Data, frames[i]) {
			t.Fatalf("record %d is not the frame that was sent", i)
		}
		if rx[i].PacketID != tx[i].PacketID || rx[i].Timestamp != tx[i].Timestamp || rx[i].Interface != 0 || tx[i].Interface != 1 || int(rx[i].OrigLen) != len(frames[i]) {
			t.Fatalf("record %d: %+v and %+v", i, rx[i], tx[i])
		}
		ids[rx[i].PacketID] = true
	}
	if len(ids) != 200 {
		t.Errorf("%d different packet ids, want 200", len(ids))
	}
	d.checkBooks()
}

// The machash of the TAP queue chooses what is tapped, by source or destination, and the drop list
// what is dropped, by its source.
func tapHashAndDropHash(t *testing.T, s *station) {
	lab, d, c := s.lab, s.device, s.consumer
	tapped, dropped := netlab.MAC{2, 1, 1, 1, 1, 1}, netlab.MAC{2, 2, 2, 2, 2, 2}
	d.wish(func(p *policy.Policy) {
		p.Taps[0].RX[0] = true
		p.Taps[0].MACs = p.Taps[0].MACs.With(tapped)
		p.Drop = p.Drop.With(dropped)
	})
	var frames, kept [][]byte
	for i := range uint64(90) {
		f := netlab.Frame{Src: netlab.SrcMAC, Seq: i}
		switch i % 3 {
		case 0:
			f.Src, f.Dst = tapped, dropped // the drop hash does not look at destinations
		case 1:
			f.Src, f.Dst = dropped, tapped // tapped for its destination, and before it is dropped
		}
		frames = append(frames, f.Bytes())
		if i%3 != 1 {
			kept = append(kept, f.Bytes())
		}
	}
	r := lab.Snk.NewReceiver(netlab.K1)
	if err := lab.Src.NewSender(netlab.S0, true).Send(frames...); err != nil {
		t.Fatal(err)
	}
	got, err := r.Collect(len(kept), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, kept)
	d.await("all are counted", func() bool { return d.stats(0).RX == 90 && d.stats(0).TapQualified >= 60 })
	if s := d.stats(0); s.Drop != 30 || s.TapQualified != 60 || s.TapStored != 60 {
		t.Errorf("%+v", s)
	}
	for i, r := range drainQueue(t, c) {
		if want := frames[i/2*3+i%2]; !bytes.Equal(r.Data, want) {
			t.Fatalf("record %d is another frame", i)
		}
	}
	d.checkBooks()
}

// A queue that nobody reads fills up. The bridge goes on, and counts what the queue refused.
func TestFullTapQueueDoesNotStopTheBridge(t *testing.T) {
	bothEngines(t, netlab.Options{}, fullTapQueueDoesNotStopTheBridge)
}

func fullTapQueueDoesNotStopTheBridge(t *testing.T, lab *netlab.Bridge, fast bool) {
	d := newDevice(t, lab, dataplane.Config{Queue: newQueue(t, 128), FastPath: fast})
	d.mustStart()
	if fast {
		d.mustUseFastPath()
	}
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0] = true })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(3, 400))
	d.await("all have been offered", func() bool { return d.stats(0).TapQualified == 400 }) // copies may come after the frames
	if s := d.stats(0); s.TapQualified != 400 || s.TapStored == 0 || s.TapStored > 128 || s.TapRefused != 400-s.TapStored {
		t.Errorf("qualified %d, stored %d, refused %d", s.TapQualified, s.TapStored, s.TapRefused)
	}
	d.checkBooks()
}

func TestMirrorCountsAndSendsNothing(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	q := newQueue(t, 1024)
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{netlab.D0}, Queue: q})
	d.mustStart()
	if err := d.Update(func(p *policy.Policy) error { p.Taps[0].TX[0] = true; return nil }); err == nil {
		t.Error("a TX tap of a mirrored interface")
	}
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0] = true })
	far, near := lab.Snk.Link(netlab.K1).Counters.RxPackets, lab.Src.Link(netlab.S0).Counters.RxPackets
	frames := netlab.Mix(4, 300)
	if err := lab.Src.NewSender(netlab.S0, true).Send(frames...); err != nil {
		t.Fatal(err)
	}
	d.await("all are mirrored", func() bool { return d.stats(0).Mirrored == 300 && d.stats(0).TapStored == 300 })
	for i, r := range drainQueue(t, c) {
		if r.Direction != shm.RX || !bytes.Equal(r.Data, frames[i]) {
			t.Fatalf("record %d is not the frame that was sent", i)
		}
	}
	if s := d.stats(0); s.RX != 300 || s.TX != 0 || s.TapQualified != 300 {
		t.Errorf("%+v", s)
	}
	if n := lab.Snk.Link(netlab.K1).Counters.RxPackets + lab.Src.Link(netlab.S0).Counters.RxPackets; n != far+near {
		t.Errorf("%d frames left a mirrored interface", n-far-near)
	}
	d.checkBooks()
	d.mustStop()
	d.checkBooks()
}
