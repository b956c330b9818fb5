// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
	"ethertap/lib/filter"
	"ethertap/shm"
)

// streamsEnv names streams that Wireshark is to offer, with blanks between them.
const streamsEnv = "ETHERTAP_STREAMS"

// extcap answers the questions of Wireshark when it finds collect in its extcap directory: it
// offers the queues of running ethertaps as interfaces. See extcap(4).
type extcap struct {
	interfaces, dlts, config, capture bool
	iface, fifo, filter               string
	version, reload                   string // accepted and ignored
}

// flags adds the options of the protocol to those of collect.
func (e *extcap) flags(f *pflag.FlagSet) {
	f.BoolVar(&e.interfaces, "extcap-interfaces", false, "")
	f.BoolVar(&e.dlts, "extcap-dlts", false, "")
	f.BoolVar(&e.config, "extcap-config", false, "")
	f.BoolVar(&e.capture, "capture", false, "")
	f.StringVar(&e.iface, "extcap-interface", "", "")
	f.StringVar(&e.fifo, "fifo", "", "")
	f.StringVar(&e.filter, "extcap-capture-filter", "", "")
	f.StringVar(&e.version, "extcap-version", "", "")
	f.StringVar(&e.reload, "extcap-reload-option", "", "")
}

// asked says whether this is a call of Wireshark's.
func (e *extcap) asked(f *pflag.FlagSet) bool {
	asked := false
	f.Visit(func(o *pflag.Flag) {
		asked = asked || strings.HasPrefix(o.Name, "extcap-") || o.Name == "capture" || o.Name == "fifo"
	})
	return asked
}

// answers says whether a question can be answered without collecting.
func (e *extcap) answers() bool { return !e.capture }

// show answers the question.
func (e *extcap) show(w io.Writer) error {
	switch {
	case e.interfaces:
		fmt.Fprintf(w, "extcap {version=%s}{help=man:collect}{display=EtherTAP}\n", about.Version)
		for _, q := range runningQueues() {
			fmt.Fprintf(w, "interface {value=%s}{display=EtherTAP%s}\n", q.name, q.title)
		}
		for _, name := range strings.Fields(os.Getenv(streamsEnv)) {
			fmt.Fprintf(w, "interface {value=%s}{display=EtherTAP: %s}\n", name, name)
		}
	case e.dlts:
		fmt.Fprintln(w, "dlt {number=1}{name=EN10MB}{display=Ethernet}")
	case e.config:
		fmt.Fprint(w, `arg {number=0}{call=--timestamp}{display=Timestamps}{tooltip=The time of a packet}{type=selector}{default=receive}
value {arg=0}{value=receive}{display=of reception}{default=true}
value {arg=0}{value=write}{display=of writing}{default=false}
arg {number=1}{call=--noreset}{display=Packets that wait}{tooltip=Show what is in the queue already}{type=boolflag}{default=false}
arg {number=2}{call=--snaplen}{display=Bytes of a packet}{tooltip=How many are kept of each; 0 is all}{type=unsigned}{default=0}
`)
	case e.filter != "": // Wireshark asks whether it is valid
		if _, err := filter.Compile(e.filter); err != nil {
			fmt.Fprintln(w, err)
		}
	default:
		return errors.New("extcap: nothing is asked for")
	}
	return nil
}

// recording makes the options of collect from a call to capture.
func (e *extcap) recording(p *parsing, f *pflag.FlagSet) error {
	switch {
	case e.iface == "":
		return errors.New("--capture: --extcap-interface is missing")
	case e.fifo == "":
		return errors.New("--capture: --fifo is missing")
	}
	p.queue, p.output, p.silent = e.iface, e.fifo, true
	if !f.Changed("format") {
		p.format = "pcapng"
	}
	if !f.Changed("timestamp") {
		p.timestamp = "receive"
	}
	if e.filter != "" && !f.Changed("filter") {
		return f.Set("filter", e.filter)
	}
	return nil
}

// running is a queue that an ethertap fills.
type running struct{ name, title string }

// runningQueues returns the queues that ethertaps fill, except for those that may not be read.
func runningQueues() (all []running) {
	for _, q := range queuesThere() {
		if slices.ContainsFunc(q.Producers, func(p listedProcess) bool { return p.Program == shm.RoleEthertap.String() }) {
			all = append(all, running{q.Name, title(q)})
		}
	}
	return all
}

// title names the interfaces of a queue: ": eth1 <-> eth2".
func title(q listedQueue) string {
	if len(q.Interfaces) == 0 {
		return ": " + q.Name
	}
	var names []string
	for _, i := range q.Interfaces {
		names = append(names, strings.NewReplacer("{", "(", "}", ")").Replace(i.Name))
	}
	return ": " + strings.Join(names, " <-> ")
}
