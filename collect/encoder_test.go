package collect

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/shm"
)

// frame is a frame of n bytes that says who made it and as which one.
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

func TestEncoderLikePcapgo(t *testing.T) {
	var enc Encoder
	ours := enc.AppendHeader(nil)
	if len(ours) != HeaderSize {
		t.Errorf("a header of %d bytes", len(ours))
	}
	var theirs bytes.Buffer
	w := pcapgo.NewWriter(&theirs)
	if err := w.WriteFileHeader(snapLen, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	ts := time.Date(2026, 11, 23, 9, 38, 24, 987654321, time.UTC)
	for i, size := range []int{4, 14, 60, 64, 1514, 1522, 9014} {
		for _, more := range []int{0, 1000} {
			r := shm.Record{Data: frame(1, i, size), OrigLen: uint32(size + more)}
			n := len(ours)
			ours = enc.AppendRecord(ours, ts.UnixNano(), &r)
			if got := len(ours) - n; got != enc.Size(&r) {
				t.Errorf("record of %d bytes, announced %d", got, enc.Size(&r))
			}
			err := w.WritePacket(gopacket.CaptureInfo{Timestamp: ts, CaptureLength: size, Length: size + more}, r.Data)
			if err != nil {
				t.Fatal(err)
			}
		}
		ts = ts.Add(1234567 * time.Microsecond)
	}
	if !bytes.Equal(ours, theirs.Bytes()) {
		t.Error("the stream differs from pcapgo's")
	}
}

// What comes from shared memory may be anything; the stream stays readable.
func TestEncoderHostileLengths(t *testing.T) {
	var enc Encoder
	b := enc.AppendHeader(nil)
	records := []shm.Record{
		{Data: nil, OrigLen: 0},
		{Data: frame(1, 1, 60), OrigLen: 3},
		{Data: frame(1, 2, snapLen+1), OrigLen: 1 << 31},
	}
	for i := range records {
		n := len(b)
		b = enc.AppendRecord(b, 1, &records[i])
		if len(b)-n != enc.Size(&records[i]) {
			t.Errorf("record %d has %d bytes, announced %d", i, len(b)-n, enc.Size(&records[i]))
		}
	}
	got := readStream(t, bytes.NewReader(b))
	want := [][2]int{{0, 0}, {60, 60}, {snapLen, 1 << 31}}
	if len(got) != len(want) {
		t.Fatalf("%d packets", len(got))
	}
	for i, w := range want {
		if got[i].CaptureLength != w[0] || got[i].Length != w[1] {
			t.Errorf("packet %d: lengths %d, %d, want %v", i, got[i].CaptureLength, got[i].Length, w)
		}
	}
}

func TestEncoderWhole(t *testing.T) {
	var enc Encoder
	var b []byte
	ends := []int{0}
	for i := range 4 {
		b = enc.AppendRecord(b, 1, &shm.Record{Data: frame(1, i, 5+i)})
		ends = append(ends, len(b))
	}
	for n := range len(b) + 1 {
		packets := 0
		for packets+1 < len(ends) && ends[packets+1] <= n {
			packets++
		}
		if gotBytes, got := enc.Whole(b[:n]); got != packets || gotBytes != ends[packets] {
			t.Errorf("of %d bytes %d are whole, in %d packets; want %d in %d", n, gotBytes, got, ends[packets], packets)
		}
	}
}

func BenchmarkEncoder(b *testing.B) {
	var enc Encoder
	for _, size := range []int{64, 1500} {
		b.Run(grouped(uint64(size)), func(b *testing.B) {
			r := shm.Record{Data: frame(1, 1, size), OrigLen: uint32(size)}
			buf := make([]byte, 0, 1<<20)
			for b.Loop() {
				if len(buf)+enc.Size(&r) > cap(buf) {
					buf = buf[:0]
				}
				buf = enc.AppendRecord(buf, 1e18, &r)
			}
		})
	}
}
