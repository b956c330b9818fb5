// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TestFrameLayers decodes our frames with gopacket, which shares no code with
// the maker.
func TestFrameLayers(t *testing.T) {
	for _, c := range []struct {
		name   string
		frame  []byte
		size   int
		layers []gopacket.LayerType
	}{
		{"udp", UDP(60, 1), 60, []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv4, layers.LayerTypeUDP, gopacket.LayerTypePayload}},
		{"largest", UDP(MaxFrame, 0xffff1234), MaxFrame, []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv4, layers.LayerTypeUDP, gopacket.LayerTypePayload}},
		{"vlan", VLAN(64, 2, 7), 64, []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeDot1Q, layers.LayerTypeIPv4, layers.LayerTypeUDP, gopacket.LayerTypePayload}},
		{"qinq", QinQ(1000, 3, 100, 200), 1000, []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeDot1Q, layers.LayerTypeDot1Q, layers.LayerTypeIPv4, layers.LayerTypeUDP, gopacket.LayerTypePayload}},
	} {
		if len(c.frame) != c.size {
			t.Errorf("%s: %d bytes, want %d", c.name, len(c.frame), c.size)
		}
		packet := gopacket.NewPacket(c.frame, layers.LayerTypeEthernet, gopacket.Default)
		var got []gopacket.LayerType
		for _, l := range packet.Layers() {
			got = append(got, l.LayerType())
		}
		if len(got) != len(c.layers) {
			t.Fatalf("%s: layers %v, want %v", c.name, got, c.layers)
		}
		for i := range got {
			if got[i] != c.layers[i] {
				t.Fatalf("%s: layers %v, want %v", c.name, got, c.layers)
			}
		}
		// Serialised anew with checksums and lengths computed, it is the same.
		buffer := gopacket.NewSerializeBuffer()
		ip := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		udp := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			ip, udp, gopacket.Payload(udp.Payload))
		if err != nil {
			t.Fatal(err)
		}
		head := headerSize + 4*len(packet.Layers()) - 16
		if !bytes.Equal(buffer.Bytes(), c.frame[head:]) {
			t.Errorf("%s: gopacket makes it\n%x, we\n%x", c.name, buffer.Bytes(), c.frame[head:])
		}
	}
}

func TestFrameTags(t *testing.T) {
	f := QinQ(100, 5, 0x123, 0x456)
	want := append(append(append([]byte(nil), DstMAC[:]...), SrcMAC[:]...),
		0x88, 0xa8, 0x01, 0x23, 0x81, 0x00, 0x04, 0x56, 0x08, 0x00)
	if !bytes.HasPrefix(f, want) {
		t.Errorf("QinQ begins % x, want % x", f[:len(want)], want)
	}
}

func TestSeq(t *testing.T) {
	for _, seq := range []uint64{0, 1, 0xdeadbeef, 1<<64 - 1} {
		for _, frame := range [][]byte{UDP(58, seq), UDP(1514, seq), VLAN(68, seq, 1), QinQ(68, seq, 1, 2), Runt(30, seq)} {
			if got, ok := Seq(frame); !ok || got != seq {
				t.Errorf("Seq of %d bytes = %d, %t, want %d", len(frame), got, ok, seq)
			}
		}
	}
	for size := 1; size < 30; size++ {
		if got, ok := Seq(Runt(size, 0)); ok {
			t.Errorf("Seq of %d bytes = %d, but there is no room for one", size, got)
		}
	}
}

func TestFrameSizes(t *testing.T) {
	for size := 1; size < 200; size++ {
		for tags := range 3 {
			f := Frame{Size: size, Tags: make([]Tag, tags)}
			if got := len(f.Bytes()); got != size {
				t.Fatalf("frame of %d bytes with %d tags has %d", size, tags, got)
			}
		}
	}
	if got := len(Frame{}.Bytes()); got != MinFrame {
		t.Errorf("default frame has %d bytes, want %d", got, MinFrame)
	}
}

func TestMixIsRichAndRepeats(t *testing.T) {
	a, b, other := Mix(1, 2000), Mix(1, 2000), Mix(2, 2000)
	same := 0
	kinds := map[uint16]int{}
	var runts, large int
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("frame %d differs between two runs", i)
		}
		if bytes.Equal(a[i], other[i]) {
			same++
		}
		if seq, ok := Seq(a[i]); ok && seq != uint64(i) || !ok && len(a[i]) >= 30 {
			t.Fatalf("frame %d bears number %d, %t", i, seq, ok)
		}
		if len(a[i]) < 60 {
			runts++
		}
		if len(a[i]) > MaxFrame {
			large++
		}
		kinds[binary.BigEndian.Uint16(a[i][12:])]++
	}
	if same > len(a)/2 {
		t.Errorf("another seed gives the same %d of %d frames", same, len(a))
	}
	for _, kind := range []uint16{TypeIPv4, TypeVLAN, TypeQinQ, 0x88cc, TypeExperimental} {
		if kinds[kind] == 0 {
			t.Errorf("no frame of type %#04x", kind)
		}
	}
	if runts == 0 || large == 0 {
		t.Errorf("%d runts and %d above the MTU, want some of both", runts, large)
	}
}
