// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/shm"
)

// frame returns a frame of n bytes with the number of its maker and a sequence number.
func frame(who, seq, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(who*31 + seq*7 + i)
	}
	b[0], b[1], b[2], b[3] = byte(who), byte(seq>>16), byte(seq>>8), byte(seq)
	return b
}

func frameID(b []byte) (who, seq int) {
	return int(b[0]), int(b[1])<<16 | int(b[2])<<8 | int(b[3])
}

type packet struct {
	gopacket.CaptureInfo
	data []byte
}

// readStream reads a whole stream with a reader that is not ours.
func readStream(t *testing.T, r io.Reader) []packet {
	t.Helper()
	pr, err := pcapgo.NewReader(r)
	if err != nil {
		t.Fatal("header:", err)
	}
	if pr.LinkType() != layers.LinkTypeEthernet {
		t.Fatal("link type", pr.LinkType())
	}
	var ps []packet
	for {
		data, ci, err := pr.ReadPacketData()
		if err == io.EOF {
			return ps
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(ps), err)
		}
		ps = append(ps, packet{ci, data})
	}
}

// Classic streams are the same as those of pcapgo, byte for byte.
func TestEncoderLikePcapgo(t *testing.T) {
	for _, format := range []Format{PCAP, PCAPNano} {
		enc := newEncoder(format, "", "")
		ours := enc.AppendHeader(nil, 0)
		var theirs bytes.Buffer
		w := pcapgo.NewWriter(&theirs)
		if format == PCAPNano {
			w = pcapgo.NewWriterNanos(&theirs)
		}
		if err := w.WriteFileHeader(MaxSnapLen, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		ts := time.Date(2026, 11, 23, 9, 38, 24, 987654321, time.UTC)
		for i, size := range []int{4, 14, 60, 64, 1514, 1522, 9014} {
			for _, more := range []int{0, 1000} {
				r := shm.Record{Data: frame(1, i, size), OrigLen: uint32(size + more)}
				ours = enc.AppendRecord(ours, ts.UnixNano(), &r)
				err := w.WritePacket(gopacket.CaptureInfo{Timestamp: ts, CaptureLength: size, Length: size + more}, r.Data)
				if err != nil {
					t.Fatal(err)
				}
			}
			ts = ts.Add(1234567 * time.Microsecond)
		}
		if !bytes.Equal(ours, theirs.Bytes()) {
			t.Errorf("%s: the stream differs from pcapgo's", format)
		}
	}
}

// Whatever comes from shared memory, the stream stays readable.
func TestEncoderHostile(t *testing.T) {
	records := []shm.Record{
		{Data: nil, OrigLen: 0},
		{Data: frame(1, 1, 60), OrigLen: 3, Interface: 0xffff, Direction: 77, Fault: 0xffffffff, PacketID: 1<<64 - 1, Queue: 0xffff, Timestamp: -1},
		{Data: frame(1, 2, MaxSnapLen+1), OrigLen: 1 << 31, Interface: 64},
	}
	want := [][2]int{{0, 0}, {60, 60}, {MaxSnapLen, 1 << 31}}
	for _, format := range []Format{PCAP, PCAPNano, PCAPNG} {
		enc := newEncoder(format, "test", "")
		enc.SetInterfaces([]shm.Interface{{Index: -1}, {Index: 64}, {Index: 0, Name: "a"}})
		b := enc.AppendHeader(nil, 1)
		for i := range records {
			b = enc.AppendRecord(b, records[i].Timestamp+1, &records[i])
		}
		trailer := enc.TrailerSize()
		n := len(b)
		b = enc.AppendTrailer(b, 2)
		if len(b)-n != trailer {
			t.Errorf("%s: a trailer of %d bytes, announced %d", format, len(b)-n, trailer)
		}
		got := readAny(t, b)
		if len(got) != len(want) {
			t.Fatalf("%s: %d packets", format, len(got))
		}
		for i, w := range want {
			if got[i].CaptureLength != w[0] || got[i].Length != w[1] {
				t.Errorf("%s: packet %d: lengths %d, %d, want %v", format, i, got[i].CaptureLength, got[i].Length, w)
			}
		}
	}
}

// readAny reads a stream of any format with readers that are not ours.
func readAny(t *testing.T, b []byte) []packet {
	t.Helper()
	if len(b) < 4 || !bytes.Equal(b[:4], []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		return readStream(t, bytes.NewReader(b))
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal("header:", err)
	}
	var ps []packet
	for {
		data, ci, err := r.ReadPacketData()
		if err == io.EOF {
			return ps
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(ps), err)
		}
		ps = append(ps, packet{ci, data})
	}
}

// Wherever a stream is cut, Whole finds the end of its last whole packet.
func TestEncoderWhole(t *testing.T) {
	for _, format := range []Format{PCAP, PCAPNG} {
		enc := newEncoder(format, "", "")
		b := enc.AppendHeader(nil, 0)
		header := len(b)
		type end struct{ bytes, packets int }
		ends := []end{{0, 0}, {header, 0}}
		for i := range 4 {
			r := shm.Record{Data: frame(1, i, 5+i)}
			n := len(b)
			b = enc.AppendRecord(b, 1, &r)
			if format == PCAPNG && i == 0 { // the interface is described before it
				n += int(binary.LittleEndian.Uint32(b[n+4:]))
				ends = append(ends, end{n, 0})
			}
			ends = append(ends, end{len(b), i + 1})
		}
		if format == PCAPNG {
			b = enc.AppendTrailer(b, 1)
			ends = append(ends, end{len(b), 4})
		}
		for n := range len(b) + 1 {
			var want end
			for _, e := range ends {
				if e.bytes <= n {
					want = e
				}
			}
			if bytes, packets := enc.Whole(b[:n], true); bytes != want.bytes || packets != want.packets {
				t.Errorf("%s: of %d bytes %d are whole, in %d packets; want %+v", format, n, bytes, packets, want)
			}
		}
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, format := range []Format{PCAP, PCAPNG} {
		for _, size := range []int{64, 1500} {
			b.Run(fmt.Sprintf("%s/%d", format, size), func(b *testing.B) {
				enc := newEncoder(format, "", "")
				enc.AppendHeader(nil, 1)
				r := shm.Record{Data: frame(1, 1, size), OrigLen: uint32(size), Direction: shm.RX, PacketID: 7}
				buf := make([]byte, 0, 1<<20)
				for b.Loop() {
					if cap(buf)-len(buf) < 2000 {
						buf = buf[:0]
					}
					buf = enc.AppendRecord(buf, 1e18, &r)
				}
			})
		}
	}
}
