// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// soak tells whether the long forms are to run: `make soak`.
func soak() bool { return os.Getenv("ETHERTAP_SOAK") != "" }

// choose returns the long form's number in a soak, else the short one's.
func choose(long, short int) int {
	if soak() {
		return long
	}
	return short
}

// portStats are some of if.stats.json.
type portStats struct {
	RX         uint64 `json:"rx"`
	TX         uint64 `json:"tx"`
	Drop       uint64 `json:"drop"`
	Err        uint64 `json:"err"`
	Lost       uint64 `json:"lost"`
	Held       uint64 `json:"held"`
	Dropped    uint64 `json:"dropped_by_fi"`
	Random     uint64 `json:"random_by_fi"`
	Bitflipped uint64 `json:"bitflipped_by_fi"`
	Duplicated uint64 `json:"duplicated_by_fi"`
	Length     uint64 `json:"length_by_fi"`
	Delayed    uint64 `json:"delayed_by_fi"`
}

func (r *rig) portStats() [2]portStats {
	r.t.Helper()
	var all struct {
		Interfaces [2]portStats `json:"interfaces"`
	}
	r.ask("if.stats.json", &all)
	return all.Interfaces
}

// pump sends n frames, over and over those given, and returns when all are out.
func pump(from *netlab.Sender, frames [][]byte, n int) error {
	for n > 0 {
		part := frames[:min(n, len(frames))]
		if err := from.Send(part...); err != nil {
			return err
		}
		n -= len(part)
	}
	return nil
}

// Ten million frames of mixed sizes and tags, in both directions at once, without
// and with faults: the accounts close at any time and to the frame at the end,
// and the counters of the ends beyond the bridge agree.
func TestSoakEveryFrameIsAccountedFor(t *testing.T) {
	t.Parallel()
	n := choose(5_000_000, 10_000) // in each direction
	for _, c := range []struct{ name, words string }{
		{"plain", "0 tap.rx.enable"},
		{"faults", "11 fault.seed 02:65:74:00:00:03 drop.hash.insert" + both("%[1]d fault.enable 2000 %[1]d fault.drop.probability"+
			" 1000 %[1]d fault.bitflip.probability 100 %[1]d fault.dup.every 500 %[1]d fault.length.probability"+
			" 100 20000 90000 0 %[1]d fault.burst 2000 1000 %[1]d fault.delay 1000 %[1]d fault.reorder.probability 4000000 20 %[1]d fault.rate")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.daemon()
			r.rpcl(c.words)
			near, far := r.Src.Link(netlab.S0).Counters, r.Snk.Link(netlab.K1).Counters
			sent := make(chan error, 2)
			forth, back := r.Src.NewSender(netlab.S0, true), r.Snk.NewSender(netlab.K1, true)
			go func() { sent <- pump(forth, netlab.Mix(1, 1000), n) }()
			go func() { sent <- pump(back, netlab.Mix(2, 1000), n) }()
			for left := 2; left > 0; {
				select {
				case err := <-sent:
					if err != nil {
						t.Fatal(err)
					}
					left--
				case <-time.After(200 * time.Millisecond):
					r.rpcl("if.check") // under traffic
				}
			}
			var s [2]portStats
			netlab.Await(t, "all are counted and none is held", func() bool {
				s = r.portStats()
				return s[0].RX+s[0].Lost >= uint64(n) && s[1].RX+s[1].Lost >= uint64(n) && s[0].Held+s[1].Held == 0
			})
			out := r.rpcl("if.check")
			nearNow, farNow := r.Src.Link(netlab.S0).Counters, r.Snk.Link(netlab.K1).Counters
			for i, side := range []struct{ sent, came uint64 }{
				{nearNow.TxPackets - near.TxPackets, nearNow.RxPackets - near.RxPackets},
				{farNow.TxPackets - far.TxPackets, farNow.RxPackets - far.RxPackets},
			} {
				if s[i].RX+s[i].Lost != side.sent || side.sent != uint64(n) || s[i].TX != side.came {
					t.Errorf("interface %d: rx %d + lost %d, the other end sent %d of %d; tx %d, it got %d", i, s[i].RX, s[i].Lost, side.sent, n, s[i].TX, side.came)
				}
				seen := 0
				for _, m := range r.census(i).MACs {
					seen += m.Frames
				}
				if uint64(seen) != s[i].RX {
					t.Errorf("interface %d: rx %d, its sources sent %d", i, s[i].RX, seen)
				}
			}
			t.Logf("%d frames each way: %+v\n%s", n, s, out)
		})
	}
}

// both writes words for both interfaces.
func both(words string) string { return " " + fmt.Sprintf(words, 0) + " " + fmt.Sprintf(words, 1) }

// pid returns that of the daemon.
func (r *rig) pid() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "run", "*.pid"))
	if err != nil || len(files) != 1 {
		r.t.Fatalf("pid files: %q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Fields(string(b))[0]
}

// resident returns the memory of a process in KiB: what it has, and the most that it has had.
func resident(t *testing.T, pid string) (now, most int) {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		switch f := strings.Fields(line); f[0] {
		case "VmRSS:":
			now = atoi(t, f[1])
		case "VmHWM:":
			most = atoi(t, f[1])
		}
	}
	if now == 0 || most == 0 {
		t.Fatalf("no VmRSS and VmHWM of process %s", pid)
	}
	return now, most
}

// A flood of random source addresses and Ethertypes fills the tables and nothing
// more: memory stays where it was, what finds no room is counted, and known hosts
// are counted on. That it does not slow the chain is BenchmarkAccount's to show.
func TestSoakFloodOfAddresses(t *testing.T) {
	t.Parallel()
	n := choose(1_000_000, 30_000)
	r := newRig(t)
	r.daemon()
	known := netlab.UDP(60, 1)
	random := rand.New(rand.NewPCG(1, 2))
	all := uint64(1)
	var s [2]portStats
	counted := func() bool { s = r.portStats(); return s[0].RX+s[0].Lost >= all }
	flood := func(n int) {
		t.Helper()
		sender := r.Src.NewSender(netlab.S0, true)
		defer sender.Close()
		frame := slices.Clone(known)
		for sent := range n {
			if sent%500 == 0 { // no faster than they are taken: a machine that is busy loses most otherwise
				netlab.Await(t, "what was sent is counted", counted)
			}
			for i := 6; i < 14; i++ {
				frame[i] = byte(random.Uint32())
			}
			frame[6] &^= 1
			if err := sender.Send(frame); err != nil {
				t.Fatal(err)
			}
			all++
		}
	}
	r.send(known)
	flood(15_000) // touches what there is
	before, _ := resident(t, r.pid())
	flood(n)
	netlab.Await(t, "all are counted", counted)
	r.send(known)
	all++
	netlab.Await(t, "the last one is counted", counted)
	now, _ := resident(t, r.pid())
	grown := now - before
	c := r.census(0)
	var noRoom struct {
		NoRoom tally `json:"no_room"`
	}
	r.ask("0 if.mac.json", &noRoom)
	sum := noRoom.NoRoom.Frames
	for _, m := range c.MACs {
		sum += m.Frames
	}
	if uint64(sum) != s[0].RX || len(c.MACs) > 8192 || len(c.MACs) < 7000 || noRoom.NoRoom.Frames == 0 {
		t.Errorf("rx %d, %d in %d rows and %d without", s[0].RX, sum, len(c.MACs), noRoom.NoRoom.Frames)
	}
	if got := c.MACs["02:65:74:00:00:01"].Frames; got != 2 {
		t.Errorf("the known host has %d frames, want 2", got)
	}
	if grown > 16<<10 { // a table of all would be tens of MiB in a soak; the collector needs some
		t.Errorf("memory has grown by %d KiB", grown)
	}
	r.rpcl("if.check")
	t.Logf("%d frames, memory %d KiB and %d more", all, before, grown)
}
