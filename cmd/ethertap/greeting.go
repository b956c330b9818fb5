// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"strings"

	"ethertap/dataplane"
)

// greet says on a terminal in three lines what goes on and which words come next. What the start had
// to say is in the journal.
func (p *program) greet() {
	s := p.engine.Snapshot(false)
	notes := ""
	switch n := len(p.journal.view().Lines); {
	case n == 1:
		notes = "; log.show has a note on that"
	case n > 1:
		notes = fmt.Sprintf("; log.show has %d notes on that", n)
	}
	fmt.Fprintf(p.stdout, "%s%s\n%s\nhelp says what there is, live shows it on the whole screen, and bye ends it\n", linked(&s, strings.Join(p.engine.PortNames(), " and ")), notes, tapped(&s))
}

// linked says what of the named interfaces is bridged or mirrored, and by which way.
func linked(s *dataplane.Snapshot, names string) string {
	if !s.Running {
		why := "if.start connects them"
		if s.Waiting != "" {
			why = s.Waiting
		}
		return fmt.Sprintf("%s: not connected (%s)", names, why)
	}
	if len(s.Ports) == 1 {
		return fmt.Sprintf("%s is mirrored: its frames are counted and can be tapped", names)
	}
	inKernel := 0
	for _, why := range s.FastPath.Why {
		if why == "" {
			inKernel++
		}
	}
	way := "frames of one direction stay in the kernel"
	switch {
	case inKernel == len(s.Ports):
		way = "frames stay in the kernel"
	case inKernel == 0:
		way = "frames go through a thread"
		if n := len(s.Ports[0].Threads); n > 1 {
			way = fmt.Sprintf("frames go through %d threads", n)
		}
	}
	return fmt.Sprintf("%s are bridged: %s (fastpath.status)", names, way)
}

// tapped says which interfaces are tapped, or how to do that.
func tapped(s *dataplane.Snapshot) string {
	var taps []string
	first := s.Policy.First()
	for i := range s.Ports {
		if first.RX[i] {
			taps = append(taps, "RX of "+s.Ports[i].Name)
		}
		if first.TX[i] {
			taps = append(taps, "TX of "+s.Ports[i].Name)
		}
	}
	if len(taps) == 0 {
		return "nothing is tapped yet: tap.on taps all frames, MAC tap.hash.insert those of one host; collect records them"
	}
	return strings.Join(taps, ", ") + ": tapped, as the configuration says; collect records it, tap.off ends it"
}
