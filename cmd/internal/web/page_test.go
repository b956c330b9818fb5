// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/lib/predicate"
	"ethertap/shm"
)

// tap returns a reading with something in every part of the page. second is its time, and what has been counted grows with it.
func tap(second int) *reading.Reading {
	n := uint64(second)
	r := &reading.Reading{}
	r.Time, r.Running = time.Unix(1700000000+int64(second), 0), true
	r.Policy = policy.New()
	r.Policy.Taps[0].RX[0] = true
	r.Policy.Taps[0].MACs = r.Policy.Taps[0].MACs.With(policy.MAC{0, 0x23, 0x7d, 0x86, 0x71, 0xff})
	r.Policy.Ports[0].Fault.Enabled = true
	r.Policy.Taps[0].RXFilter[0] = policy.Filter{Source: "is-<arp>", Tree: predicate.Number(1)}
	r.Policy.DropFilter = policy.Filter{Source: "vlan 7", Tree: predicate.Number(1)}
	r.FastPath = dataplane.FastPathInfo{Wanted: true, Why: []string{"", "port <eth2>: open /sys/fs/bpf/x: busy"}}
	for i, name := range []string{"eth1", "<eth2>"} {
		p := dataplane.PortSnapshot{PortInfo: dataplane.PortInfo{Index: i, Name: name, Driver: "ixgbe", Mode: "ZEROCOPY", MTU: 1500, Up: i == 0}}
		wave := 1000000 + 40000*uint64((second*7+i*13)%20)
		p.Stats = dataplane.PortStats{RX: n*1000000 + wave, TX: n * 900000, RXBytes: n * 612000000, TXBytes: n * 500000000, Lost: 3, TapRefused: 5}
		p.Stats.ByFI[policy.FaultDrop], p.Stats.DroppedByFI = 17, 17
		p.MACs.Rows = []dataplane.MACUsage{{MAC: policy.MAC{0, 0x23, 0x7d, 0x86, 0x71, byte(i)}, Usage: dataplane.Usage{Frames: 3000, Bytes: 180000}}, {MAC: policy.MAC{0x52, 0x54, 0, 1, 2, byte(i)}, Usage: dataplane.Usage{Frames: 1000, Bytes: 90000}}}
		p.Types.Types = []dataplane.TypeUsage{{Type: 0x0800, Usage: dataplane.Usage{Frames: 3900, Bytes: 260000}}, {Level: 1, Type: 0x86dd, Usage: dataplane.Usage{Frames: 80, Bytes: 6000}}, {Kind: dataplane.KindLength, Usage: dataplane.Usage{Frames: 20, Bytes: 1200}}}
		p.Types.VLANs = []dataplane.VLANUsage{{TPID: 0x8100, ID: 42, Usage: dataplane.Usage{Frames: 80, Bytes: 6000}}}
		r.Ports = append(r.Ports, p)
	}
	q := reading.Queue{Status: shm.Status{Name: "ixdp.pqueue.tap", Slots: 4096, Waiting: 120, Inserted: n * 200000, Full: 5 * n}}
	q.Users = []shm.Participant{{PID: 4711, Role: shm.RoleCollect, Name: "collect", Consumer: true, Alive: true, Packets: 123456}}
	r.Queues = []reading.Queue{q, {Status: shm.Status{Name: "ixdp.pqueue.lab"}, Err: fmt.Errorf("open /dev/shm/ixdp.pqueue.lab: %w", shm.ErrCorrupt)}}
	return r
}

// The page has every part without a script, escapes what it shows, names no file and loads nothing from elsewhere.
func TestPage(t *testing.T) {
	address := serve(t, Options{Instance: "lab<1>", Source: reading.NewSource(func(bool) *reading.Reading { return tap(10) }, 0)})
	status, body, h := get(t, address, "/")
	if status != 200 || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", status, h)
	}
	for _, want := range []string{
		"<title>lab&lt;1&gt; – EtherTAP</title>", "<noscript><meta http-equiv=\"refresh\"", `>forwarding</strong>`, "0 eth1", "1 &lt;eth2&gt;", "ZEROCOPY",
		`<data value="11400000" data-counter="0.rx">`, `data-counter="1.lost">3<`, "random by FI", "Hewlett Packard", "0x0800 IPv4", "0x86dd IPv6, 1 tag", "802.3 length", "VLAN 42 (802.1Q, tag 0)",
		"frames received on eth1 that match is-&lt;arp&gt;, of 1 address", "0 sources, and frames that match vlan 7", "enabled, for all sources", "not in use: port &lt;eth2&gt;: open …: busy", "disabled: the link ends with ethertap", "collect collect, PID 4711: 123\u202f456 packets", "37.5 %", "48.8 %",
		`role="img" aria-label="Frames per second over 5 min. from eth1: nothing yet; from &lt;eth2&gt;: nothing yet"`, "open …: ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, unwanted := range []string{"<eth2>", "/sys", "/dev", "://", "ZgotmplZ", "style=", "onclick", "burst loss"} {
		if strings.Contains(body, unwanted) {
			t.Errorf("%q is in the page", unwanted)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if status, _, _ := get(t, address, "/"+m[1]); status != 200 {
			t.Errorf("%s: %d", m[1], status)
		}
	}
}

// Each change has all parts, drawn once for all viewers, and the rates of the readings before it.
func TestChanges(t *testing.T) {
	second := 0
	l := newLive("lab", reading.NewSource(func(bool) *reading.Reading { second++; return tap(second) }, 0))
	viewers := []chan []byte{make(chan []byte, 1), make(chan []byte, 1)}
	for _, v := range viewers {
		if !l.enter(v) {
			t.Fatal("no room")
		}
	}
	for range 5 {
		l.step(t.Context()) // what is not taken is replaced
	}
	first, second2 := <-viewers[0], <-viewers[1]
	if &first[0] != &second2[0] {
		t.Error("the change was drawn more than once")
	}
	var change map[string]string
	if err := json.Unmarshal(first, &change); err != nil {
		t.Fatal(err)
	}
	for _, name := range parts {
		if change[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	if !strings.Contains(change["ports"], `data-counter="0.rx">6`) || !strings.Contains(change["ports"], "900 k frames/s") || !strings.Contains(change["ports"], "4.90 Gbit/s") {
		t.Errorf("%s", change["ports"])
	}
	if !strings.Contains(change["plots"], "at least") || strings.Count(change["plots"], "<svg") != 3 {
		t.Errorf("%s", change["plots"])
	}
}

// A viewer that stops reading harms nobody: others get on, and it is let go.
func TestViewerThatDoesNotRead(t *testing.T) {
	l := newLive("lab", reading.NewSource(func(bool) *reading.Reading { return tap(1) }, 0))
	stuck, reads := make(chan []byte, 1), make(chan []byte, 1)
	l.enter(stuck)
	l.enter(reads)
	for range 100 {
		l.step(t.Context())
		<-reads
	}
	for range maxViewers - 2 {
		if !l.enter(make(chan []byte, 1)) {
			t.Fatal("no room")
		}
	}
	if l.enter(make(chan []byte, 1)) {
		t.Error("there is room for any number of viewers")
	}
}

// The stream goes on for longer than a request may take to come, with changes in the form of server-sent events.
func TestEvents(t *testing.T) {
	second := 0
	address := serve(t, Options{Source: reading.NewSource(func(bool) *reading.Reading { second++; return tap(second) }, 0)})
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v, %v", r, err)
	}
	s := bufio.NewScanner(r.Body)
	s.Buffer(nil, 1<<20)
	for n := 0; n < 7; { // headerTime is less than that
		if !s.Scan() {
			t.Fatalf("after %d changes: %v", n, s.Err())
		}
		if line, ok := strings.CutPrefix(s.Text(), "data: "); ok {
			if !json.Valid([]byte(line)) {
				t.Fatalf("%s", line)
			}
			n++
		}
	}
}

func TestPlot(t *testing.T) {
	for most, want := range map[float64]float64{0: 1, 1: 1, 1.5: 2, 7: 10, 10: 10, 11: 20, 450: 500, 501: 1000, 1234567: 2000000} {
		p := plot{Lines: []line{{values: []float64{0, most}}}}
		if got := p.top(); got != want {
			t.Errorf("to %v: up to %v, want %v", most, got, want)
		}
	}
	nan := 0.0
	nan /= nan
	p := plot{most: 3}
	if got := p.trace([]float64{0, nan, 10}, 10); got != "M0 138.0M600 20.0" {
		t.Errorf("with a gap: %q", got)
	}
}
