// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ethertap/shm"
	"ethertap/tests/netlab"
)

// packetsOfSoak is how many packets a soak test sends: a million in the long form (`make
// soak`), else enough to see that it works.
func packetsOfSoak() uint64 {
	if soak() {
		return 1_000_000
	}
	return 30_000
}

// largeQueue makes the rig's queue with many small slots, before ethertap does.
func (r *rig) largeQueue(slots int) {
	r.t.Helper()
	q, err := shm.Open(r.queue, shm.Options{Slots: slots, SlotSize: 192, Role: shm.RoleOther, Name: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { q.Close() })
}

// stream sends n numbered packets of 100 bytes into the bridge, at most so many a
// second, and returns how many it has received: the number that was tapped. The bridge counts the
// others as lost, which happens where a busy machine keeps it from its CPU.
func (r *rig) stream(n, perSecond uint64) (received uint64) {
	r.t.Helper()
	sender := r.Src.NewSender(netlab.S0, true)
	frame := netlab.UDP(100, 0)
	at := len(frame) - 8
	before := r.Dut.Link(netlab.D0).Counters.RxPackets
	const burst = 32 // and never more, though it is late: the bridge's rings hold many of them
	for i := range n {
		binary.BigEndian.PutUint64(frame[at:], i)
		if err := sender.Send(frame); err != nil {
			r.t.Fatal(err)
		}
		if i%burst == 0 {
			time.Sleep(burst * time.Second / time.Duration(perSecond))
		}
	}
	netlab.Await(r.t, "all have reached the bridge", func() bool { return r.Dut.Link(netlab.D0).Counters.RxPackets-before >= n })
	netlab.Await(r.t, "the bridge has forwarded all that it has not lost", func() bool {
		received = uint64(atoi(r.t, r.stat(0, "rx")))
		return r.stat(1, "tx") == fmt.Sprint(received) && received+uint64(atoi(r.t, r.stat(0, "lost"))) >= n
	})
	return received
}

// numbers counts packets by the number at their end.
type numbers struct {
	seen map[uint64]bool
	t    *testing.T
}

func (n *numbers) add(payload []byte) {
	if len(payload) < 8 {
		n.t.Fatalf("a packet ends with %x", payload)
	}
	i := binary.BigEndian.Uint64(payload[len(payload)-8:])
	if n.seen[i] {
		n.t.Fatalf("packet %d came twice", i)
	}
	n.seen[i] = true
}

// From a live bridge through the queue, collect and a pipe to tshark nothing is lost
// and nothing doubled.
func TestSoakIntoTshark(t *testing.T) {
	r := newRig(t)
	tshark := netlab.RequireTool(t, "tshark")
	n := packetsOfSoak()
	r.largeQueue(1 << 18)
	r.daemon("-e", "0 tap.rx.enable")
	recording := r.command(r.collect, "-q", r.queue, "--silent", "-")
	reader := exec.Command(tshark, "-n", "-l", "-r", "-", "-T", "fields", "-e", "udp.payload")
	var err error
	if reader.Stdin, err = recording.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	lines, err := reader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{recording, reader} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
	}
	netlab.Await(t, "collect runs", func() bool { return r.collectors() != "" })
	got := numbers{map[uint64]bool{}, t}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(lines); s.Scan(); {
			var payload []byte
			if _, err := fmt.Sscanf(s.Text(), "%x", &payload); err != nil {
				t.Errorf("tshark says %q", s.Text())
				return
			}
			got.add(payload)
		}
	}()
	received := r.stream(n, 15_000)
	status := r.queueStatus()
	for end := time.Now().Add(5 * time.Minute); status().Waiting > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	r.must(r.control, "collect", "stop", "--timeout", "120")
	if err := wait(t, recording); err != nil {
		t.Errorf("collect: %v", err)
	}
	select {
	case <-read:
	case <-time.After(5 * time.Minute):
		t.Fatal("tshark does not end")
	}
	if err := reader.Wait(); err != nil {
		t.Errorf("tshark: %v", err)
	}
	t.Logf("%d packets of %d sent", received, n)
	if uint64(len(got.seen)) != received || status().Full != 0 {
		t.Errorf("tshark saw %d packets of %d; the queue refused %d", len(got.seen), received, status().Full)
	}
}

// Four collectors share the packets of a live bridge: each packet is in exactly one
// of their files.
func TestSoakFourCollectors(t *testing.T) {
	r := newRig(t)
	n := packetsOfSoak()
	r.largeQueue(1 << 18)
	r.daemon("-e", "0 tap.rx.enable")
	var running []*netlab.Process
	var files []string
	for i := range 4 {
		files = append(files, filepath.Join(r.dir, fmt.Sprintf("%d.pcap", i)))
		running = append(running, r.collecting("--silent", "--noreset", files[i]))
	}
	received := r.stream(n, 40_000)
	status := r.queueStatus()
	for end := time.Now().Add(5 * time.Minute); status().Waiting > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	r.must(r.control, "collect", "stop", "--all", "--timeout", "120")
	got := numbers{map[uint64]bool{}, t}
	var shares []int
	for i, p := range running {
		ended(t, p)
		before := len(got.seen)
		for _, packet := range readPcap(t, files[i]) {
			got.add(bytes.Clone(packet))
		}
		shares = append(shares, len(got.seen)-before)
	}
	if uint64(len(got.seen)) != received || status().Full != 0 {
		t.Errorf("%d packets of %d, in shares of %v; the queue refused %d", len(got.seen), received, shares, status().Full)
	}
	t.Logf("%d packets in shares of %v", received, shares)
}
