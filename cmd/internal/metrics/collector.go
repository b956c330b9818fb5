// SPDX-License-Identifier: BSD-3-Clause

// Package metrics gives the counters and gauges of a running tap to Prometheus. It makes them of a
// reading and of the tables that describe counters; it does not know who scrapes.
package metrics

import (
	"context"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/reading"
)

// namespace begins the name of every metric that is not of the process in general.
const namespace = "ethertap"

// patience is how long a scrape waits for a reading. Prometheus itself gives up after 10 s by default.
const patience = 5 * time.Second

// Options say what is exported.
type Options struct {
	Source *reading.Source
	Top    int // senders of each interface, those of most frames; 0: none
}

// Registry returns all metrics: those of the tap, and those of the process that have names of their own everywhere
// (process_start_time_seconds and its like).
func Registry(o Options) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{o})
	return r
}

// collector makes the metrics anew for each scrape, from one reading, so that they agree with each other.
type collector struct{ Options }

// Describe implements prometheus.Collector. It describes nothing, since the interfaces may change their names; the registry
// then looks at what comes.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. If there is no reading in time, the scrape fails.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := c.Source.Get(ctx, c.Top > 0)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewDesc(namespace+"_running", "", nil, nil), err)
		return
	}
	o := output{ch, r.Since}
	o.engine(r)
	for i, name := range portNames(r) {
		o.port(r, i, name)
		o.top(&r.Ports[i], name, c.Top)
	}
	o.queues(r)
	o.streams(ctx, r)
}

// output sends metrics. Those of counters that if.stats.reset resets have the time of that as their beginning.
type output struct {
	ch    chan<- prometheus.Metric
	since time.Time
}

// labels are names and values in turn.
type labels []string

// split returns the names, and the values as Prometheus takes them: names of interfaces and files may have any bytes.
func (l labels) split() (names, values []string) {
	for i := 0; i < len(l); i += 2 {
		names, values = append(names, l[i]), append(values, strings.ToValidUTF8(l[i+1], "\ufffd"))
	}
	return names, values
}

func desc(name, help string, l labels) (*prometheus.Desc, []string) {
	names, values := l.split()
	return prometheus.NewDesc(namespace+"_"+name, help, names, nil), values
}

// gauge sends what is now.
func (o output) gauge(name, help string, v float64, l ...string) {
	d, values := desc(name, help, l)
	o.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, values...)
}

// flag sends 1 or 0.
func (o output) flag(name, help string, on bool, l ...string) {
	v := 0.0
	if on {
		v = 1
	}
	o.gauge(name, help, v, l...)
}

// counter sends a counter that if.stats.reset resets. name is without its suffix.
func (o output) counter(name, help string, n uint64, l ...string) {
	o.counterSince(o.since, name, help, n, l...)
}

// counterSince sends a counter that began at 0 at some time; the zero time is not known.
func (o output) counterSince(since time.Time, name, help string, n uint64, l ...string) {
	d, values := desc(name+"_total", help, l)
	if since.IsZero() {
		o.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), values...)
		return
	}
	o.ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(d, prometheus.CounterValue, float64(n), since, values...)
}

// engine sends what is of the tap as a whole.
func (o output) engine(r *reading.Reading) {
	o.gauge("build_info", "The version of ethertap, and that of Go it was built with; always 1.", 1, "version", about.Version, "goversion", runtime.Version())
	o.flag("running", "Whether frames are forwarded (1) or not (0).", r.Running)
	o.flag("unserved_queues", "Whether an interface has receive queues without a thread (1), whose frames are lost.", r.Short != "")
	o.gauge("counters_start_time_seconds", "When the counters of the interfaces began at 0: the last if.stats.reset, or the start.", float64(r.Since.UnixMilli())/1000)
	o.gauge("threads", "Threads that serve the interfaces.", float64(threads(r)))
	o.flag("fast_path_enabled", "Whether frames may stay in the kernel.", r.FastPath.Wanted)
	o.flag("bypass_enabled", "Whether the link is to go on without ethertap.", r.Bypass.On)
	o.flag("bypass_in_use", "Whether programs are pinned, by which the link would go on without ethertap.", r.Bypass.Pinned != "")
}

// threads returns how many threads run.
func threads(r *reading.Reading) int {
	if !r.Running || len(r.Ports) == 0 {
		return 0
	}
	return len(r.Ports[0].Threads)
}
