// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ethertap/tests/need"
	"ethertap/tests/netlab"
)

// prometheusIn starts Debian's Prometheus in the namespace of the daemon, where it scrapes a port once a second, and
// returns how to ask it for an instant vector.
func (r *rig) prometheusIn(port string) func(query string) map[string]float64 {
	r.t.Helper()
	const own = "19090"
	config := filepath.Join(r.dir, "prometheus.yml")
	writeFile(r.t, config, "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: ethertap, static_configs: [{targets: ['127.0.0.1:"+port+"']}]}]\n")
	cmd := r.command(need.Tool(r.t, "prometheus"), "--config.file", config, "--storage.tsdb.path", filepath.Join(r.dir, "tsdb"), "--web.listen-address", "127.0.0.1:"+own, "--log.level", "error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = r.Dut.Do(func() (err error) { c, err = new(net.Dialer).DialContext(ctx, network, address); return err })
		return c, err
	}}}
	netlab.Await(r.t, "Prometheus is ready", func() bool {
		a, err := client.Get("http://127.0.0.1:" + own + "/-/ready")
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == 200
	})
	return func(query string) map[string]float64 {
		r.t.Helper()
		a, err := client.Get("http://127.0.0.1:" + own + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			r.t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if err := json.Unmarshal(b, &answer); err != nil || a.StatusCode != 200 {
			r.t.Fatalf("%s: %v: %s", query, err, b)
		}
		all := map[string]float64{}
		for _, s := range answer.Data.Result {
			labels := ""
			for _, l := range []string{"fault", "interface"} {
				if v, ok := s.Metric[l]; ok {
					labels += fmt.Sprintf(",%s=%q", l, v)
				}
			}
			if labels != "" {
				labels = "{" + labels[1:] + "}"
			}
			v, err := strconv.ParseFloat(s.Value[1].(string), 64)
			if err != nil {
				r.t.Fatal(err)
			}
			all[s.Metric["__name__"]+labels] = v
		}
		return all
	}
}

// Prometheus scrapes a bridge under traffic for a minute. In the end its counters are those of if.stats.json, no scrape has
// failed and none went back; and a reset is shown as one.
func TestScrapeSoak(t *testing.T) {
	if !soak() {
		t.Skip("takes a minute: make soak")
	}
	r := newRig(t)
	need.Tool(t, "prometheus")
	const port = "19977"
	r.daemon("--http", port)
	r.rpcl("0 tap.rx.enable 100 0 fault.dup.every 0 fault.enable")
	ask := r.prometheusIn(port)
	frames := netlab.Mix(1, 500)
	sent := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		r.sendAll(frames...)
		sent += len(frames)
	}
	netlab.Await(t, "Prometheus has the last frame", func() bool {
		return ask("ethertap_receive_frames_total")[`ethertap_receive_frames_total{interface="d0"}`] == float64(sent)
	})
	last := ask(`{__name__=~"ethertap_.*(_frames|_bytes|_total)"}`)
	r.sameAsStats(func(s string) (float64, bool) { v, ok := last[s]; return v, ok })
	names := map[string]bool{}
	for s := range last {
		if name, _, _ := strings.Cut(s, "{"); strings.HasSuffix(name, "_total") {
			names[name] = true
		}
	}
	if len(names) < 20 {
		t.Errorf("only the counters %v", names)
	}
	for name := range names {
		for labels, n := range ask("resets(" + name + "[2m]) > 0") {
			t.Errorf("%s%s went back %v times", name, labels, n)
		}
	}
	if up := ask("min_over_time(up[1m])"); len(up) != 1 || up[""] != 1 {
		t.Errorf("scrapes failed: %v", up)
	}
	r.rpcl("if.stats.reset")
	netlab.Await(t, "the reset is seen", func() bool {
		return ask("resets(ethertap_receive_frames_total[2m])")[`{interface="d0"}`] == 1
	})
	t.Logf("%d frames", sent)
}
