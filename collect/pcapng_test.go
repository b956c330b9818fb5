// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/gopacket/pcapgo"

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
