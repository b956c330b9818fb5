// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/tests/netlab"
)

// tally is what a table says of something: frames and bytes.
type tally struct {
	Frames int `json:"frames"`
	Bytes  int `json:"bytes"`
}

func (t *tally) count(bytes int) { t.Frames++; t.Bytes += bytes }

// census is what was seen on an interface.
type census struct {
	MACs  map[string]tally
	Types map[string]tally // "tags type"
	VLANs map[string]tally // "tag TPID VLAN"
	Last  map[string]string
}

func newCensus() census {
	return census{map[string]tally{}, map[string]tally{}, map[string]tally{}, map[string]string{}}
}

func add(m map[string]tally, key string, bytes int) {
	t := m[key]
	t.count(bytes)
	m[key] = t
}

// ask runs a word that prints JSON.
func (r *rig) ask(word string, into any) {
	r.t.Helper()
	if out := r.rpcl(word); json.Unmarshal([]byte(out), into) != nil {
		r.t.Fatalf("%s is no JSON: %s", word, out)
	}
}

// census asks ethertap.
func (r *rig) census(port int) census {
	r.t.Helper()
	c := newCensus()
	var macs struct {
		Rows []struct {
			MAC string `json:"mac"`
			tally
		} `json:"rows"`
	}
	var types struct {
		Types []struct {
			Tags int    `json:"tags"`
			Type string `json:"type"`
			Last string `json:"last"`
			tally
		} `json:"types"`
		VLANs []struct {
			Tag  int    `json:"tag"`
			TPID string `json:"tpid"`
			VLAN int    `json:"vlan"`
			tally
		} `json:"vlans"`
	}
	r.ask(fmt.Sprintf("%d if.mac.json", port), &macs)
	r.ask(fmt.Sprintf("%d if.etype.json", port), &types)
	for _, m := range macs.Rows {
		c.MACs[m.MAC] = m.tally
	}
	for _, m := range types.Types {
		key := fmt.Sprintf("%d %s", m.Tags, m.Type)
		c.Types[key], c.Last[key] = m.tally, m.Last
	}
	for _, m := range types.VLANs {
		c.VLANs[fmt.Sprintf("%d %s %d", m.Tag, m.TPID, m.VLAN)] = m.tally
	}
	return c
}

// tsharkCensus counts what is in a capture file by what tshark makes of it.
func tsharkCensus(t *testing.T, file string) census {
	t.Helper()
	c := newCensus()
	for _, line := range netlab.Tshark(t, file, "-T", "fields", "-e", "eth.src", "-e", "frame.len", "-e", "eth.type", "-e", "eth.len",
		"-e", "vlan.etype", "-e", "vlan.len", "-e", "vlan.id", "-e", "ieee8021ad.id", "-e", "frame.protocols") {
		f := strings.Split(line, "\t")
		bytes, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatalf("tshark: %q", line)
		}
		add(c.MACs, f[0], bytes)
		level, cTags, sTags := 0, strings.Split(f[6], ","), strings.Split(f[7], ",")
		for _, p := range strings.Split(f[8], ":") {
			switch p {
			case "vlan":
				add(c.VLANs, fmt.Sprintf("%d 0x8100 %s", level, cTags[0]), bytes)
				cTags = cTags[1:]
				level++
			case "ieee8021ad":
				add(c.VLANs, fmt.Sprintf("%d 0x88a8 %s", level, sTags[0]), bytes)
				sTags = sTags[1:]
				level++
			}
		}
		kind, length := f[2], f[3]
		if level > 0 { // what the last tag says: always 802.1Q in this test
			kinds := strings.Split(f[4], ",")
			kind, length = kinds[len(kinds)-1], f[5]
		}
		if length != "" {
			kind = "length"
		}
		key := fmt.Sprintf("%d %s", level, kind)
		add(c.Types, key, bytes)
		c.Last[key] = f[0]
	}
	return c
}

// writePcap writes frames into a capture file.
func writePcap(t *testing.T, file string, frames [][]byte) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(frame), Length: len(frame)}
		if err := w.WritePacket(info, frame); err != nil {
			t.Fatal(err)
		}
	}
}

// The tables of sources, Ethertypes and VLANs are those that tshark counts in the
// same capture.
func TestTablesAgreeWithTshark(t *testing.T) {
	t.Parallel()
	netlab.RequireTool(t, "tshark")
	r := newRig(t)
	r.daemon()
	frames := netlab.Mix(7, 3000)
	c, s := uint16(netlab.TypeVLAN), uint16(netlab.TypeQinQ)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range uint64(400) { // three and four tags, lengths below tags
		tags := [][]uint16{{c}, {s, c}, {c, s, c}, {s, c, s, c}}[i%4]
		f := netlab.Frame{Seq: i, Size: 100, Src: netlab.MAC{2, 0, 0, 0, 1, byte(random.Uint32N(200))}}
		for _, kind := range tags {
			f.Tags = append(f.Tags, netlab.Tag{Type: kind, TCI: uint16(random.Uint32N(4095))})
		}
		if i%10 == 0 {
			f.Type = uint16(f.Size - 14 - 4*len(tags))
		}
		frames = append(frames, f.Bytes())
	}
	file := filepath.Join(r.dir, "mixed.pcap")
	writePcap(t, file, frames)
	want := tsharkCensus(t, file)
	r.sendAll(frames...)
	if rx := r.stat(0, "rx"); rx != fmt.Sprint(len(frames)) {
		t.Fatalf("%s frames received of %d", rx, len(frames))
	}
	got := r.census(0)
	for _, table := range []struct {
		name      string
		got, want any
	}{{"sources", got.MACs, want.MACs}, {"types", got.Types, want.Types}, {"VLANs", got.VLANs, want.VLANs}, {"last sources", got.Last, want.Last}} {
		if !reflect.DeepEqual(table.got, table.want) {
			t.Errorf("%s:\n%v\ntshark:\n%v", table.name, table.got, table.want)
		}
	}
	if len(want.VLANs) < 500 || len(want.MACs) < 100 {
		t.Errorf("the capture is too plain: %d VLANs, %d sources", len(want.VLANs), len(want.MACs))
	}
	// The text shows the same rows.
	if out := r.rpcl("0 if.mac.show 0 if.etype.show"); strings.Count(out, "\n") != len(got.MACs)+len(got.Types)+len(got.VLANs)+2+3+3 {
		t.Errorf("other rows in the text:\n%s", out)
	}
	r.rpcl("if.check")
	r.rpcl("if.mac.reset if.etype.reset")
	if got := r.census(0); len(got.MACs)+len(got.Types)+len(got.VLANs) != 0 {
		t.Errorf("after the reset: %v", got)
	}
}

// The prompt stops and starts, changes the idle mode, and lists.
func TestStartAndStopAtThePrompt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("--poll", "sleep")
	if out := r.rpcl("if.list"); !strings.HasPrefix(out, "running, idle: sleep\n0 d0 veth queues:1 COPY link:up downs:0 mtu:1500 mac:") {
		t.Errorf("if.list: %s", out)
	}
	r.send(netlab.Mix(1, 10)...)
	netlab.Await(t, "10 frames", func() bool { return r.stat(1, "tx") == "10" })
	if out := r.rpcl("if.stop spin if.poll if.list"); !strings.HasPrefix(out, "stopped, idle: spin\n0 d0 veth queues:1 - link:- ") {
		t.Errorf("if.list: %s", out)
	}
	r.untouched()
	if _, errs, status := r.run(r.control, "ethertap", "-e", "if.start if.start"); status == 0 || !strings.Contains(errs, "if.start: the engine runs already") {
		t.Errorf("status %d: %s", status, errs)
	}
	r.send(netlab.Mix(1, 10)...)
	netlab.Await(t, "20 frames", func() bool { return r.stat(1, "tx") == "20" })
	r.rpcl("if.check")
}

// deviation returns by how many standard deviations a count is off what n draws of
// p in 100000 give.
func deviation(got uint64, n int, p float64) float64 {
	p /= 100000
	return math.Abs(float64(got)-float64(n)*p) / math.Sqrt(float64(n)*p*(1-p))
}

// Faults of each kind occur as often as they are asked for, within four standard
// deviations; with one seed two runs give the same frames; a bitflip changes one bit
// at byte 15 or later.
func TestFaultStatistics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon()
	n := choose(200_000, 10_000)
	frames := make([][]byte, n)
	for i := range frames {
		frames[i] = netlab.UDP(100, uint64(i))
	}
	// run sends all and returns what came out at the far end.
	run := func(words string) [][]byte {
		t.Helper()
		r.rpcl("0 fault.reset 5 fault.seed if.stats.reset 0 fault.enable " + words)
		receiver := r.Snk.NewReceiver(netlab.K1)
		defer receiver.Close()
		sender := r.Src.NewSender(netlab.S0, true)
		defer sender.Close()
		var got [][]byte
		count := 0
		for part := range slices.Chunk(frames, 1000) { // fits in every ring on the way
			if err := sender.Send(part...); err != nil {
				t.Fatal(err)
			}
			count += len(part)
			var s [2]portStats
			netlab.Await(t, "all are sent on", func() bool { s = r.portStats(); return s[0].RX == uint64(count) && s[0].Held == 0 })
			more, err := receiver.Collect(int(s[1].TX)-len(got), 20*time.Second)
			if got = append(got, more...); err != nil || len(got) != int(s[1].TX) {
				t.Fatalf("tx %d, received %d, %v", s[1].TX, len(got), err)
			}
		}
		r.rpcl("if.check")
		return got
	}
	const all = "3000 0 fault.drop.probability 20000 0 fault.bitflip.probability 5000 0 fault.dup.probability 10000 0 fault.length.probability"
	first := run(all)
	s := r.portStats()[0]
	rest := n - int(s.Random)
	for _, c := range []struct {
		name string
		got  uint64
		n    int
		p    float64
	}{{"drop", s.Random, n, 3000}, {"bitflip", s.Bitflipped, rest, 20000}, {"dup", s.Duplicated, rest, 5000}, {"length", s.Length, rest, 10000}} {
		if d := deviation(c.got, c.n, c.p); d > 4 {
			t.Errorf("%s: %d of %d frames, %.1f standard deviations off", c.name, c.got, c.n, d)
		}
	}
	if !slices.EqualFunc(first, run(all), bytes.Equal) {
		t.Error("the same seed gave other faults")
	}
	for i, got := range run("2 0 fault.bitflip.every") {
		changed := 0
		for j := range got {
			diff := bits.OnesCount8(got[j] ^ frames[i][j])
			if diff > 0 && j < 14 {
				t.Fatalf("frame %d: byte %d has changed", i, j+1)
			}
			changed += diff
		}
		if want := i % 2; changed != want {
			t.Fatalf("frame %d: %d bits have changed, want %d", i, changed, want)
		}
	}
}
