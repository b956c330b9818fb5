// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// overSocket is a client of a Unix socket, which reaches into any network namespace.
func overSocket(path string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// fetch asks the daemon for a path.
func fetch(t *testing.T, c *http.Client, path string) (status int, body string) {
	t.Helper()
	r, err := c.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// sample is a line of the metrics: name with labels, and value.
var sample = regexp.MustCompile(`(?m)^([a-z_:]+(?:\{.*\})?) (\S+)$`)

// scrape returns all samples.
func scrape(t *testing.T, c *http.Client) map[string]float64 {
	t.Helper()
	status, body := fetch(t, c, "/metrics")
	if status != 200 {
		t.Fatalf("metrics: %d %s", status, body)
	}
	all := map[string]float64{}
	for _, m := range sample.FindAllStringSubmatch(body, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatalf("%s: %v", m[0], err)
		}
		all[m[1]] = v
	}
	return all
}

// series is how a counter of the table is called in the metrics.
func series(c *dataplane.Counter, port string) string {
	name, labels := "ethertap_"+c.Metric+"_frames", fmt.Sprintf("interface=%q", port)
	if c.Bytes {
		name = "ethertap_" + c.Metric + "_bytes"
	}
	if !c.Gauge {
		name += "_total"
	}
	if c.Fault != "" {
		labels = fmt.Sprintf("fault=%q,", c.Fault) + labels
	}
	return name + "{" + labels + "}"
}

// sameAsStats holds the metrics against if.stats.json, counter by counter. No traffic may be under way.
func (r *rig) sameAsStats(value func(series string) (float64, bool)) {
	r.t.Helper()
	var stats struct{ Interfaces []map[string]any }
	r.ask("if.stats.json", &stats)
	for i, name := range []string{netlab.D0, netlab.D1} {
		for c := range dataplane.Counters {
			c := &dataplane.Counters[c]
			if c.Metric == "" {
				continue
			}
			want := stats.Interfaces[i][c.Key].(float64)
			if c.Key == "tapped" {
				want += stats.Interfaces[i]["tap_lost"].(float64)
			}
			if got, ok := value(series(c, name)); !ok || got != want {
				r.t.Errorf("%s: %v (%v), and %s is %v", series(c, name), got, ok, c.Key, want)
			}
		}
	}
}

// What ethertap serves by HTTP agrees with what its words show, through a reset, a stop and a start.
func TestMetricsAgreeWithWords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	socket := filepath.Join(r.dir, "http.sock")
	r.daemon("--http", socket, "--http-top", "1")
	c := overSocket(socket)
	page := func() {
		t.Helper()
		_, body := fetch(t, c, "/")
		var stats struct{ Interfaces []map[string]any }
		r.ask("if.stats.json", &stats)
		shown := regexp.MustCompile(`value="(\d+)" data-counter="(\d)\.(\w+)"`).FindAllStringSubmatch(body, -1)
		if len(shown) < 18 {
			t.Errorf("the page shows %q", shown)
		}
		for _, m := range shown {
			if want := stats.Interfaces[atoi(t, m[2])][m[3]].(float64); m[1] != fmt.Sprintf("%.0f", want) {
				t.Errorf("the page shows %s %s of interface %s, and if.stats.json %v", m[1], m[3], m[2], want)
			}
		}
	}
	check := func() map[string]float64 {
		t.Helper()
		var all map[string]float64
		netlab.Await(t, "a fresh reading", func() bool { // one may be shown for a moment longer
			all = scrape(t, c)
			return fmt.Sprint(all["ethertap_receive_frames_total{interface=\""+netlab.D0+"\"}"]) == r.stat(0, "rx")
		})
		r.sameAsStats(func(s string) (float64, bool) { v, ok := all[s]; return v, ok })
		return all
	}
	if status, body := fetch(t, c, "/readyz"); status != 200 || body != "forwarding\n" {
		t.Errorf("ready: %d %q", status, body)
	}
	check()
	r.rpcl("0 tap.rx.enable 10 0 fault.drop.every 0 fault.enable")
	frames := netlab.Mix(1, 100)
	r.sendAll(frames...)
	all := check()
	for s, want := range map[string]float64{
		`ethertap_receive_frames_total{interface="d0"}`:                                    100,
		`ethertap_fault_frames_total{fault="drop",interface="d0"}`:                         10,
		`ethertap_path_receive_frames_total{interface="d0",path="thread"}`:                 100,
		`ethertap_path_receive_frames_total{interface="d0",path="kernel"}`:                 0,
		`ethertap_queue_inserted_packets_total{queue="` + r.queue + `"}`:                   100,
		`ethertap_queue_waiting_packets{queue="` + r.queue + `"}`:                          100,
		`ethertap_tap_enabled{direction="receive",interface="d0",queue="` + r.queue + `"}`: 1,
		`ethertap_fault_enabled{interface="d0"}`:                                           1,
		`ethertap_interface_up{interface="d1"}`:                                            1,
		`ethertap_running`:                                                                 1,
	} {
		if got, ok := all[s]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", s, got, ok, want)
		}
	}
	page()
	began := all["ethertap_counters_start_time_seconds"]
	if began == 0 || all["process_start_time_seconds"] == 0 {
		t.Errorf("counters from %v, the process from %v on", began, all["process_start_time_seconds"])
	}
	r.rpcl("if.stats.reset")
	netlab.Await(t, "the reset is shown", func() bool {
		all := scrape(t, c)
		return all[`ethertap_receive_frames_total{interface="d0"}`] == 0 && all["ethertap_counters_start_time_seconds"] > began
	})
	check()
	r.rpcl("if.stop")
	netlab.Await(t, "it is not ready", func() bool { status, _ := fetch(t, c, "/readyz"); return status == 503 })
	if _, body := fetch(t, c, "/readyz"); body != "not forwarding: the engine is stopped\n" {
		t.Errorf("stopped: %q", body)
	}
	check()
	r.rpcl("if.start")
	netlab.Await(t, "it is ready again", func() bool { status, _ := fetch(t, c, "/readyz"); return status == 200 })
}

// Where the address is taken, ethertap says so before it touches an interface; and mistakes in it are wrong usage.
func TestHTTPAddressMistakes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, args := range [][]string{{"--http", "here"}, {"--http", ""}, {"--http-top", "3"}, {"--http", "1", "--http-top", "-1"}} {
		if out, errs, status := r.run(r.ethertap, append(args, netlab.D0, netlab.D1)...); status != 2 || out != "" || !strings.HasPrefix(errs, "ethertap: --http") {
			t.Errorf("%v: status %d, %q, %q", args, status, out, errs)
		}
	}
	socket := filepath.Join(r.dir, "http.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, errs, status := r.run(r.ethertap, "--tap-queue", r.queue, "--config", "/dev/null", "--http", socket, netlab.D0, netlab.D1)
	if status != 1 || errs != "ethertap: --http: "+socket+": somebody listens on it\n" {
		t.Errorf("a socket in use: status %d, %q", status, errs)
	}
	r.untouched()

	// An address that the machine no longer has is found before a restart stops anything; one that the instance itself
	// has is no mistake.
	r.must("ip", "addr", "add", "192.0.2.7/32", "dev", "lo")
	r.must("ip", "link", "set", "lo", "up")
	r.daemon("--http", "192.0.2.7:9977")
	r.must(r.control, "ethertap", "restart")
	pid := r.daemonPID()
	r.must("ip", "addr", "del", "192.0.2.7/32", "dev", "lo")
	_, errs, status = r.run(r.control, "ethertap", "restart")
	if status != 1 || !strings.HasPrefix(errs, "ethertap: --http: ") || !strings.Contains(errs, "would not start again and was left running") || r.daemonPID() != pid {
		t.Errorf("a restart without the address: status %d, %q", status, errs)
	}
}
