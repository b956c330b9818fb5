// SPDX-License-Identifier: BSD-3-Clause

package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/need"
)

// full returns a reading in which all figures differ.
func full() *reading.Reading {
	r := &reading.Reading{}
	next := uint64(1000)
	fill := func(v reflect.Value) {
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Uint64 {
				next++
				f.SetUint(next)
			}
		}
	}
	r.Time, r.Since = time.Now(), time.Unix(1700000000, 0)
	r.Running = true
	r.Policy = policy.New()
	r.Policy.Taps[0].RX[1] = true
	r.FastPath = dataplane.FastPathInfo{Wanted: true, Why: []string{"", "no support"}}
	for i, name := range []string{"eth1", `od"d`} {
		p := dataplane.PortSnapshot{PortInfo: dataplane.PortInfo{Index: i, Name: name, Driver: "ixgbe", Mode: "COPY", MTU: 1500, Up: true, Downs: uint64(3 + i)}}
		fill(reflect.ValueOf(&p.Stats).Elem())
		p.Stats.Err = 15
		p.Stats.ErrReasons = dataplane.Counts{{Name: "full", N: 5}, {Name: "ENXIO", N: 10}}
		p.Stats.CallErrors = dataplane.Counts{{Name: "EAGAIN", N: 7}}
		for f := range p.Stats.ByFI {
			p.Stats.ByFI[f] = uint64(200*(i+1) + f)
		}
		p.Kernel = dataplane.PathStats{RX: 11, TX: 12, RXBytes: 13, TXBytes: 14}
		p.Threads = []dataplane.QueueStats{{Kernel: dataplane.Counts{{Name: "rx_dropped", N: 21}}}, {Kernel: dataplane.Counts{{Name: "rx_dropped", N: 22}}}}
		for m := range 3 {
			p.MACs.Rows = append(p.MACs.Rows, dataplane.MACUsage{MAC: policy.MAC{0, 0x23, 0x7d, 0, 0, byte(m)}, Usage: dataplane.Usage{Frames: uint64(30 - m), Bytes: uint64(300 - m)}})
		}
		r.Ports = append(r.Ports, p)
	}
	q := reading.Queue{Status: shm.Status{Name: "ixdp.pqueue.tap", Created: time.Unix(1600000000, 0), Waiting: 40}}
	fill(reflect.ValueOf(&q.Status).Elem())
	q.Users = []shm.Participant{
		{PID: 50, Role: shm.RoleCollect, Name: "collect", Consumer: true, Alive: true, Packets: 60},
		{PID: 50, Role: shm.RoleCollect, Name: "collect", Consumer: true, Alive: true, Packets: 1},
		{PID: 51, Role: shm.RoleCollect, Name: "collect", Consumer: true, Packets: 61}, // dead
		{PID: 52, Role: shm.RoleEthertap, Name: "queue 0", Producer: true, Alive: true, Packets: 62},
	}
	r.Queues = []reading.Queue{q, {Status: shm.Status{Name: "ixdp.pqueue.broken"}, Err: shm.ErrCorrupt}}
	r.Further = []dataplane.FurtherCount{{Name: "ixdp.pqueue.broken", Stored: 70, Refused: 71, Lost: 72}}
	return r
}

func registry(r *reading.Reading, top int) *prometheus.Registry {
	return Registry(Options{Source: reading.NewSource(func(bool) *reading.Reading { return r }, time.Hour), Top: top})
}

// text is what a scraper gets.
func text(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Every counter of the table has a metric with its value, or is the sum of others that have one.
func TestEveryCounterHasAMetric(t *testing.T) {
	r := full()
	out := "\n" + text(t, registry(r, 0))
	for i := range dataplane.Counters {
		c, s := &dataplane.Counters[i], &r.Ports[0].Stats
		if c.Metric == "" {
			if c.Key != "err" && c.Key != "dropped_by_fi" {
				t.Errorf("%s has no metric", c.Key)
			}
			continue
		}
		name, labels := "ethertap_"+metricOf(c), `interface="eth1"`
		if !c.Gauge {
			name += "_total"
		}
		if c.Fault != "" {
			labels = fmt.Sprintf(`fault="%s",%s`, c.Fault, labels)
		}
		value := c.Of(s)
		if c.Key == "tapped" {
			value += s.TapLost
		}
		if want := fmt.Sprintf("\n%s{%s} %d\n", name, labels, value); !strings.Contains(out, want) {
			t.Errorf("%s: there is no %q", c.Key, strings.TrimSpace(want))
		}
	}
}

// What is beside the table of counters, to the letter.
func TestText(t *testing.T) {
	r := full()
	out := "\n" + text(t, registry(r, 2))
	s := &r.Ports[0].Stats
	for _, want := range []string{
		`ethertap_receive_frames_total{interface="od\"d"} ` + fmt.Sprint(r.Ports[1].Stats.RX),
		`ethertap_error_frames_total{interface="eth1",reason="ENXIO"} 10`,
		`ethertap_error_frames_total{interface="eth1",reason="EBUSY"} 0`,
		`ethertap_call_errors_total{interface="eth1",reason="EAGAIN"} 7`,
		`ethertap_path_receive_frames_total{interface="eth1",path="kernel"} 11`,
		`ethertap_path_receive_frames_total{interface="eth1",path="thread"} ` + fmt.Sprint(s.RX-11),
		`ethertap_path_transmit_bytes_total{interface="eth1",path="kernel"} 14`,
		`ethertap_afxdp_rx_dropped_total{interface="eth1",queue="1"} 22`,
		`ethertap_interface_up{interface="eth1"} 1`,
		`ethertap_interface_downs_total{interface="eth1"} 3`,
		`ethertap_fast_path_in_use{interface="eth1"} 1`,
		`ethertap_fast_path_in_use{interface="od\"d"} 0`,
		`ethertap_tap_enabled{direction="receive",interface="od\"d",queue="ixdp.pqueue.tap"} 1`,
		`ethertap_running 1`,
		`ethertap_threads 2`,
		`ethertap_counters_start_time_seconds 1.7e+09`,
		`ethertap_queue_waiting_packets{queue="ixdp.pqueue.tap"} 40`,
		`ethertap_queue_inserted_packets_total{queue="ixdp.pqueue.tap"} ` + fmt.Sprint(r.Queues[0].Inserted),
		`ethertap_queue_full_packets_total{queue="ixdp.pqueue.tap"} ` + fmt.Sprint(r.Queues[0].Full),
		`ethertap_queue_readable{queue="ixdp.pqueue.broken"} 0`,
		`ethertap_queue_consumers{queue="ixdp.pqueue.tap"} 2`,
		`ethertap_consumer_retrieved_packets_total{name="collect",pid="50",program="collect",queue="ixdp.pqueue.tap"} 61`,
		`ethertap_further_tap_stored_packets_total{queue="ixdp.pqueue.broken"} 142`,
		`ethertap_source_receive_frames_total{interface="eth1",source="00:23:7d:00:00:01",vendor="Hewlett Packard"} 29`,
	} {
		if !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	for _, unwanted := range []string{`pid="51"`, "00:23:7d:00:00:02", `queue_slots{queue="ixdp.pqueue.broken"}`} {
		if strings.Contains(out, unwanted) {
			t.Errorf("%s is there", unwanted)
		}
	}
	if strings.Contains(text(t, registry(r, 0)), "ethertap_source_") {
		t.Error("senders are shown unasked")
	}
}

// Help names metrics, not keys of JSON.
func TestHelpNamesMetrics(t *testing.T) {
	out := text(t, registry(full(), 0))
	for _, want := range []string{
		"# HELP ethertap_receive_bytes_total Bytes of the frames in ethertap_receive_frames_total, but for those that a reset found held.\n",
		"# HELP ethertap_lost_frames_total Frames lost in the kernel before they were received; not in ethertap_receive_frames_total.\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if strings.Contains(out, "`") {
		t.Error("a help has a key of JSON")
	}
}

// The names are as Prometheus wants them, by its own rules.
func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(full(), 2))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	t.Run("promtool", func(t *testing.T) {
		cmd := exec.Command(need.Tool(t, "promtool"), "check", "metrics")
		cmd.Stdin = strings.NewReader(text(t, registry(full(), 2)))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// A scraper learns when a counter began at 0, so that a reset is one even if more has been counted since.
func TestCountersHaveTheirBeginning(t *testing.T) {
	all, err := registry(full(), 0).Gather()
	if err != nil {
		t.Fatal(err)
	}
	began := func(name string) int64 {
		for _, f := range all {
			if f.GetName() == name && f.GetType() == dto.MetricType_COUNTER {
				return f.Metric[0].GetCounter().GetCreatedTimestamp().GetSeconds()
			}
		}
		t.Fatalf("no counter %s", name)
		return 0
	}
	if at := began("ethertap_receive_frames_total"); at != 1700000000 {
		t.Errorf("frames count from %d on", at)
	}
	if at := began("ethertap_queue_inserted_packets_total"); at != 1600000000 {
		t.Errorf("packets count from %d on", at)
	}
}

// The alerts and the dashboard that are installed ask only for metrics that there are, and promtool takes the alerts.
func TestAlertsAndDashboardAskForMetrics(t *testing.T) {
	const dist = "../../dist/"
	known := map[string]bool{}
	all, err := registry(full(), 1).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		known[f.GetName()] = true
	}
	for _, name := range []string{"ethertap.rules.yml", "ethertap.dashboard.json"} {
		b, err := os.ReadFile(dist + name)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`\bethertap_[a-z_]+`).FindAllString(string(b), -1)
		if len(found) < 9 {
			t.Errorf("%s has only the metrics %v", name, found)
		}
		for _, m := range found {
			if !known[m] {
				t.Errorf("%s: there is no metric %s", name, m)
			}
		}
		if strings.HasSuffix(name, ".json") && !json.Valid(b) {
			t.Errorf("%s is no JSON", name)
		}
	}
	if out, err := exec.Command(need.Tool(t, "promtool"), "check", "rules", dist+"ethertap.rules.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

// Names of interfaces that are no UTF-8, and that of an interface that has disappeared and which another one has now,
// do not make a scrape fail.
func TestOddNames(t *testing.T) {
	for _, c := range []struct {
		names [2]string
		gone  [2]bool
		want  [2]string
	}{
		{names: [2]string{"d\xff", "caf\xe9.pcap"}, want: [2]string{"d\ufffd", "caf\ufffd.pcap"}},
		{names: [2]string{"d1", "d1"}, gone: [2]bool{true, false}, want: [2]string{"d1 (port 0)", "d1"}},
		{names: [2]string{"d1", "d1"}, gone: [2]bool{false, true}, want: [2]string{"d1", "d1 (port 1)"}},
		{names: [2]string{"d1", "d1"}, gone: [2]bool{true, true}, want: [2]string{"d1 (port 0)", "d1 (port 1)"}},
	} {
		r := full()
		for i := range r.Ports {
			r.Ports[i].Name, r.Ports[i].Gone = c.names[i], c.gone[i]
		}
		got := text(t, registry(r, 3))
		for _, name := range c.want {
			if want := fmt.Sprintf("ethertap_receive_frames_total{interface=%q}", name); !strings.Contains(got, want) {
				t.Errorf("%q: no %s", c.names, want)
			}
		}
	}
}
