// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"slices"
	"time"
)

// compare adds the events between two looks.
func (s *state) compare(before, now *figures) {
	at := now.Stats.Time
	if was, is := before.doing(), now.doing(); was != is {
		s.happened(now.State != "running", at, "%s", is)
	}
	for i := range min(len(before.Stats.Interfaces), len(now.Stats.Interfaces)) {
		s.comparePort(i, &before.Stats.Interfaces[i], &now.Stats.Interfaces[i], at)
	}
	if was, is := before.Bypass.Enabled, now.Bypass.Enabled; was != is {
		s.happened(false, at, "the bypass is %s", onOff(is))
	}
	s.compareQueue(before, now, at)
}

func (s *state) comparePort(i int, before, now *portState, at time.Time) {
	name := now.Name
	if before.Name != name {
		s.happened(false, at, "%s is called %s now", before.Name, name)
	}
	switch {
	case now.Gone && !before.Gone:
		s.happened(true, at, "%s has disappeared", name)
	case before.Gone && !now.Gone:
		s.happened(false, at, "%s is there again", name)
	case before.Up && !now.Up:
		s.happened(true, at, "%s: link down", name)
	case !before.Up && now.Up:
		s.happened(false, at, "%s: link up", name)
	case now.Up && now.Downs > before.Downs:
		s.happened(true, at, "%s: link was down and is up again", name)
	}
	if before.Fault.Enabled != now.Fault.Enabled {
		s.happened(false, at, "%s: fault injection is %s", name, onOff(now.Fault.Enabled))
	}
	if now.counts["rx"] < before.counts["rx"] {
		s.happened(false, at, "%s: counters were reset", name)
		return
	}
	for _, c := range []struct{ key, begins, ends string }{
		{"bypassed", "frames go past ethertap (bypass)", "frames go through ethertap again"},
		{"lost", "the kernel loses frames", "the kernel loses no more frames"},
		{"err", "frames cannot be sent", "frames can be sent again"},
		{"noif", "frames have no interface to leave by", "frames have an interface to leave by again"},
	} {
		s.compareLoss(portKey(i, c.key), before.counts[c.key], now.counts[c.key], name+": "+c.begins, name+": "+c.ends, at)
	}
}

// calm is the number of looks without a loss after which an event of loss has ended. Bursts that
// follow each other sooner are one event.
const calm = 3

// compareLoss adds an event when a counter of losses begins to grow, and when it has stopped.
func (s *state) compareLoss(key string, before, now uint64, begins, ends string, at time.Time) {
	since, losing := s.losing[key]
	switch {
	case now > before:
		if !losing {
			s.happened(true, at, "%s", begins)
		}
		s.losing[key] = 0
	case losing && since+1 == calm:
		s.happened(false, at, "%s", ends)
		delete(s.losing, key)
	case losing:
		s.losing[key]++
	}
}

func (s *state) compareQueue(before, now *figures, at time.Time) {
	if before.QueueErr != now.QueueErr {
		text := "the TAP queue is there again"
		if now.QueueErr != "" {
			text = "TAP queue: " + now.QueueErr
		}
		s.happened(now.QueueErr != "", at, "%s", text)
	}
	s.compareLoss("tap full", before.Queue.Full, now.Queue.Full, "the TAP queue is full and refuses frames", "the TAP queue takes all frames again", at)
	was, is := collectors(before.Users), collectors(now.Users)
	for _, c := range is {
		if !slices.Contains(was, c) {
			s.happened(false, at, "%s takes from the TAP queue", c)
		}
	}
	for _, c := range was {
		if !slices.Contains(is, c) {
			s.happened(true, at, "%s takes no more from the TAP queue", c)
		}
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
