// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"ethertap/lib/capture"
	"ethertap/shm"
)

// An interface whose received packets have the time stamps of the device says so, and is described
// again when that changes in the middle of a stream.
func TestStampsInDescription(t *testing.T) {
	enc := newEncoder(PCAPNG, "test", "")
	table := func(stamps shm.Taps) []shm.Interface {
		return []shm.Interface{{Index: 0, Name: "d0", Taps: shm.TapStated | shm.TapRX | stamps}, {Index: 1, Name: "d1", Taps: shm.TapStated}}
	}
	const stamp = 1_800_000_000_123_456_789
	enc.SetInterfaces(table(0))
	b := enc.AppendHeader(nil, 0)
	for i, stamps := range []shm.Taps{0, shm.TapStamped, shm.TapStamped, 0} {
		enc.SetInterfaces(table(stamps))
		b = enc.AppendRecord(b, stamp+int64(i), &shm.Record{Data: frame(1, i, 60), Interface: 0, Direction: shm.RX})
	}
	b = enc.AppendTrailer(b, stamp+10)
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"EtherTAP interface 0", "EtherTAP interface 0, hardware time stamps of received packets",
		"EtherTAP interface 0, hardware time stamps of received packets", "EtherTAP interface 0",
	}
	for i := 0; ; i++ {
		_, info, err := r.ReadPacketData()
		if err == io.EOF && i == len(want) {
			break
		}
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		described, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if described.Name != "d0" || described.Description != want[i] || described.TimestampResolution.Exponent() != 9 || info.Timestamp.UnixNano() != stamp+int64(i) {
			t.Errorf("packet %d of %v at %d: %+v", i, described.Name, info.Timestamp.UnixNano(), described)
		}
	}
	if n := r.NInterfaces(); n != 4 {
		t.Errorf("%d descriptions", n)
	}
}

// What an interface has lost is in the statistics once, also when it gets another address or other time stamps on the
// way; and packets that newer ones overwrite are lost to their interface.
func TestStatisticsAddUp(t *testing.T) {
	change := map[string]func(*shm.Interface){
		"nothing": func(*shm.Interface) {},
		"address": func(i *shm.Interface) { i.MAC[5]++ },
		"name":    func(i *shm.Interface) { i.Name = "bond1" },
		"stamps":  func(i *shm.Interface) { i.Taps |= shm.TapStamped },
	}
	for what, do := range change {
		for _, last := range []bool{false, true} { // whether a packet comes after the change
			enc := newEncoder(PCAPNG, "test", "")
			i := shm.Interface{Index: 0, Name: "bond0", MAC: [6]byte{2, 0, 0, 0, 0, 1}}
			enc.SetInterfaces([]shm.Interface{i})
			b := enc.AppendHeader(nil, 0)
			b = enc.AppendRecord(b, 1, record(1, 60))
			i.Refused = 1000
			enc.SetInterfaces([]shm.Interface{i})
			b = enc.AppendRecord(b, 2, record(2, 60))
			i.Refused = 1500
			do(&i)
			enc.SetInterfaces([]shm.Interface{i})
			if last {
				b = enc.AppendRecord(b, 3, record(3, 60))
			}
			b = enc.AppendTrailer(b, 10)
			r, err := capture.NewReader(bytes.NewReader(b), "test")
			if err != nil {
				t.Fatal(err)
			}
			var p capture.Packet
			for err == nil {
				err = r.Next(&p)
			}
			if err != io.EOF {
				t.Fatal(err)
			}
			var dropped uint64
			for _, on := range r.Interfaces() {
				if on.Statistics != nil {
					dropped += on.Statistics.Counts[capture.InterfDrop]
				}
			}
			if dropped != 1500 {
				t.Errorf("%s, a packet after that %v: the statistics tell of %d lost packets, the queue of 1500", what, last, dropped)
			}
		}
	}

	name := newQueue(t, shm.Options{Slots: 16})
	q := attach(t, name)
	if err := q.SetInterfaces([]shm.Interface{{Index: 0, Name: "a"}, {Index: 1, Name: "b"}}); err != nil {
		t.Fatal(err)
	}
	if err := q.SetOverwrite(true); err != nil {
		t.Fatal(err)
	}
	s, prod := sourceOf(t, name), producer(t, name)
	for i := range 1000 {
		put(prod, shm.Record{Data: frame(1, i, 60), Interface: uint16(i % 2)})
	}
	if list := s.Interfaces(); s.Refused() != 1000-16 || list[0].Refused+list[1].Refused != s.Refused() || list[0].Refused < 400 || list[1].Refused < 400 {
		t.Errorf("%d lost, of the interfaces %d and %d", s.Refused(), list[0].Refused, list[1].Refused)
	}
}
