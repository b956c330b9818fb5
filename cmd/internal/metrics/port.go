// SPDX-License-Identifier: BSD-3-Clause

package metrics

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/lib/oui"
)

// portNames returns the names of the interfaces. One that has disappeared may have the name that another has now; it then has its
// number behind it, since two metrics with the same labels make a scrape fail.
func portNames(r *reading.Reading) (names []string) {
	valid := func(i int) string { return strings.ToValidUTF8(r.Ports[i].Name, "\ufffd") } // as labels have it
	for i := range r.Ports {
		name := valid(i)
		for j := range r.Ports {
			if i != j && valid(i) == valid(j) && (r.Ports[i].Gone || !r.Ports[j].Gone && i > j) {
				name = fmt.Sprintf("%s (port %d)", name, i)
			}
		}
		names = append(names, name)
	}
	return names
}

// port sends what is of one interface.
func (o output) port(r *reading.Reading, i int, named string) {
	p := &r.Ports[i]
	name := []string{"interface", named}
	with := func(l ...string) []string { return slices.Concat(name, l) }
	o.gauge("interface_info", "How the interface is attached; always 1.", 1, with("index", strconv.Itoa(i), "driver", p.Driver, "mode", p.Mode, "address", p.MAC.String())...)
	o.flag("interface_up", "Whether the link is up and has carrier.", p.Up && !p.Gone, name...)
	o.flag("interface_present", "Whether the interface is there; 0 if it has disappeared since the start.", !p.Gone, name...)
	o.counterSince(noTime, "interface_downs", "How often the link went down while ethertap ran; if.stats.reset does not reset it.", p.Downs, name...)
	o.gauge("interface_mtu_bytes", "The MTU.", float64(p.MTU), name...)
	o.flag("fast_path_in_use", "Whether frames received on the interface may stay in the kernel.", r.FastPath.Wanted && r.Running && r.FastPath.Why[i] == "", name...)
	o.flag("fault_enabled", "Whether fault injection is enabled for frames received on the interface.", r.Policy.Ports[i].Fault.Enabled, name...)
	for t, tap := range r.Policy.Taps {
		q := tap.Name
		if t == 0 {
			q = tapQueueName(r)
		}
		o.flag("tap_enabled", "Whether frames of a direction of the interface go into the queue.", tap.RX[i], with("direction", "receive", "queue", q)...)
		o.flag("tap_enabled", "Whether frames of a direction of the interface go into the queue.", tap.TX[i], with("direction", "transmit", "queue", q)...)
	}
	for c := range dataplane.Counters {
		o.portCounter(&dataplane.Counters[c], &p.Stats, name)
	}
	o.paths(p, with)
	o.reasons(&p.Stats, with)
	for q := range p.Threads {
		for _, c := range p.Threads[q].Kernel {
			o.counter("afxdp_"+c.Name, "The kernel's counter "+c.Name+" of the AF_XDP socket.", c.N, with("queue", strconv.Itoa(q))...)
		}
	}
}

// portCounter sends one counter of the table.
func (o output) portCounter(c *dataplane.Counter, s *dataplane.PortStats, name []string) {
	switch metric := metricOf(c); {
	case c.Metric == "":
	case c.Gauge:
		o.gauge(metric, help(c), float64(c.Total(s)), name...)
	case c.Fault != "":
		o.counter(metric, "Frames that have suffered a fault, or been lost by it, by fault.", c.Total(s), append(slices.Clone(name), "fault", c.Fault)...)
	default:
		o.counter(metric, help(c), c.Total(s), name...)
	}
}

// metricOf returns the name of a counter's metric without the suffix of counters.
func metricOf(c *dataplane.Counter) string {
	if c.Bytes {
		return c.Metric + "_bytes"
	}
	return c.Metric + "_frames"
}

// key is a counter's key in JSON, as texts of help name counters.
var key = regexp.MustCompile("`[a-z_.]+`")

// help makes the help of a metric of that of its counter.
func help(c *dataplane.Counter) string {
	text := "Frames " + c.Help + "."
	if c.Bytes {
		text = strings.ToUpper(c.Help[:1]) + c.Help[1:] + "."
	}
	return key.ReplaceAllStringFunc(text, func(k string) string {
		k = strings.Trim(k, "`")
		for i := range dataplane.Counters {
			if other := &dataplane.Counters[i]; other.Key == k && other.Metric != "" {
				k = namespace + "_" + metricOf(other)
				if !other.Gauge {
					k += "_total"
				}
			}
		}
		return k
	})
}

// paths sends which frames stayed in the kernel and which went through a thread.
func (o output) paths(p *dataplane.PortSnapshot, with func(...string) []string) {
	s, k := &p.Stats, &p.Kernel
	for _, c := range []struct {
		name, help    string
		total, kernel uint64
	}{
		{"path_receive_frames", "Frames received, by the path that they took: in the kernel, or through a thread.", s.RX, k.RX},
		{"path_transmit_frames", "Frames sent, by the path that they took.", s.TX, k.TX},
		{"path_receive_bytes", "Bytes of the frames received, by the path that they took.", s.RXBytes, k.RXBytes},
		{"path_transmit_bytes", "Bytes of the frames sent, by the path that they took.", s.TXBytes, k.TXBytes},
	} {
		o.counter(c.name, c.help, c.kernel, with("path", "kernel")...)
		o.counter(c.name, c.help, c.total-min(c.total, c.kernel), with("path", "thread")...)
	}
}

// reasons sends why frames could not be sent, and which system calls failed: all reasons, so that a rate can be told
// from the first error on.
func (o output) reasons(s *dataplane.PortStats, with func(...string) []string) {
	for _, r := range dataplane.ReasonNames() {
		o.counter("error_frames", "Frames that could not be sent, by reason.", find(s.ErrReasons, r), with("reason", r)...)
		o.counter("call_errors", "System calls on the interface that failed, by reason.", find(s.CallErrors, r), with("reason", r)...)
	}
}

func find(all dataplane.Counts, name string) (n uint64) {
	for _, c := range all {
		if c.Name == name {
			n += c.N
		}
	}
	return n
}

// top sends the senders of most frames.
func (o output) top(p *dataplane.PortSnapshot, name string, most int) {
	for _, r := range p.MACs.Rows[:min(most, len(p.MACs.Rows))] {
		l := []string{"interface", name, "source", r.MAC.String(), "vendor", oui.Describe(r.MAC)}
		o.counterSince(noTime, "source_receive_frames", "Frames received from the source; only the sources of most frames are shown.", r.Frames, l...)
		o.counterSince(noTime, "source_receive_bytes", "Bytes of the frames received from the source.", r.Bytes, l...)
	}
}
