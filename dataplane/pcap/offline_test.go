// SPDX-License-Identifier: BSD-3-Clause

package pcap_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/dataplane"
	"ethertap/dataplane/pcap"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
	"ethertap/lib/capture"
)

// packet is a frame of a capture: its time, its bytes, and how many bytes a recorder has cut off.
type packet struct {
	at      int64
	data    []byte
	missing uint32
}

// received returns what is read of a capture, and why it ends. A frame without a time has that of the one before.
func received(path string) (list []packet, err error) {
	r, err := capture.Open(path)
	if err != nil {
		return nil, fmt.Errorf("no capture: %v", err) // no DamageError: nothing of it can be read
	}
	defer r.Close()
	last := int64(0)
	for p := new(capture.Packet); ; {
		if err := r.Next(p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return list, err
		}
		if p.Direction() == capture.Outbound || r.Interfaces()[p.Interface].LinkType&0xffff != capture.Ethernet {
			continue
		}
		if p.Untimed {
			p.Time = last
		}
		last = p.Time
		if fcs := r.FCS(p); fcs <= int(p.Wire) {
			p.Wire -= uint32(fcs)
			p.Data = p.Data[:min(len(p.Data), int(p.Wire))]
		}
		list = append(list, packet{p.Time, bytes.Clone(p.Data), p.Wire - uint32(len(p.Data))})
	}
}

// FuzzOffline passes bytes that may be a capture through a whole engine into a file. Without faults the same frames come out; with
// faults of all kinds every frame is accounted for, and what comes out is a whole capture.
func FuzzOffline(f *testing.F) {
	for _, ng := range []bool{false, true} {
		var b bytes.Buffer
		var write func(gopacket.CaptureInfo, []byte) error
		if ng {
			w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
			if err != nil {
				f.Fatal(err)
			}
			write = w.WritePacket
			defer w.Flush()
		} else {
			w := pcapgo.NewWriterNanos(&b)
			if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
				f.Fatal(err)
			}
			write = w.WritePacket
		}
		for i, n := range []int{60, 14, 0, 1500, 9000, 61} {
			info := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, int64(i)*700_000), CaptureLength: n, Length: n + i%2}
			if err := write(info, bytes.Repeat([]byte{byte(i), 8}, n/2+1)[:n]); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(b.Bytes(), false)
		f.Add(b.Bytes(), true)
	}
	f.Add([]byte(nil), false)
	f.Add([]byte("M<\xb2\xa10"), false) // the header is cut short
	f.Fuzz(func(t *testing.T, file []byte, spoil bool) {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(from, file, 0o600); err != nil {
			t.Fatal(err)
		}
		want, broken := received(from)
		through(t, from, to, spoil, broken)
		if t.Failed() || broken != nil && !errors.As(broken, new(*capture.DamageError)) {
			return // it is no capture
		}
		got, err := received(to)
		if err != nil {
			t.Fatal(err)
		}
		if spoil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%d frames came out, not %d", len(got), len(want))
		}
		for i, g := range got {
			if w := want[i]; g.at != w.at || g.missing != w.missing || !bytes.Equal(g.data, w.data) {
				t.Fatalf("frame %d is %+v, not %+v", i, g, w)
			}
		}
	})
}

// through passes a capture through an engine. broken says how the capture ends, nil if it is whole.
func through(t *testing.T, from, to string, spoil bool, broken error) {
	t.Helper()
	in, err := pcap.NewIn(pcap.Prefix+from, pcap.InOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := pcap.NewOut(pcap.Prefix+to, pcap.OutOptions{Application: "test", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	e, err := dataplane.New(dataplane.Config{
		Interfaces: []string{in.Name(), out.Name()}, Ports: []port.Port{in, out}, Queues: 1, Rings: 256, Hold: 64, Poll: dataplane.PollSleep,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.Update(func(p *policy.Policy) error {
		p.First().RX[0], p.First().TX[1] = true, true
		if !spoil {
			return nil
		}
		often := policy.Chance{Probability: policy.Certain / 4}
		p.Ports[0].Fault = policy.Fault{
			Enabled: true, Drop: policy.Chance{Probability: policy.Certain / 20}, Dup: often, Bitflip: often, Length: often, ECN: often, Corrupt: often, Reorder: often,
			Delay: time.Millisecond, Jitter: time.Millisecond, Rate: policy.Rate{Kbits: 10000, Queue: 100 * time.Millisecond},
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		if broken == nil {
			t.Fatal(err)
		}
		return
	}
	select {
	case <-in.Done():
	case <-time.After(30 * time.Second):
		t.Fatalf("the file is not read to its end: %+v", in.Status())
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := e.Chunks()
		if err != nil {
			t.Fatal(err)
		}
		if c.RX == 0 && c.Held == 0 && c.TX == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("frames stay where they are: %+v", c)
		}
		time.Sleep(100 * time.Microsecond)
	}
	if (in.Err() == nil) != (broken == nil) {
		t.Errorf("the port says %v, the reader %v", in.Err(), broken)
	}
	if err := errors.Join(e.Stop(), out.Close()); err != nil {
		t.Error(err)
	}
	now := e.Snapshot(false)
	for _, b := range now.Balances() {
		if b.Difference != 0 {
			t.Errorf("%+v", b)
		}
	}
}
