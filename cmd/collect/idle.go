// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ethertap/cmd/internal/rundir"
	"ethertap/collect"
	"ethertap/shm"
)

// idleAfter is the time without packets after which collect says why none come.
const idleAfter = 2 * time.Second

// sayWhyIdle says why no packets come, as long as none have come, each reason once. said is the
// reason that was given already.
func sayWhyIdle(ctx context.Context, source *collect.Source, c *collect.Collector, said string, say func(format string, args ...any)) {
	tick := time.NewTicker(idleAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		tally := c.Tally()
		if tally.Packets+tally.Unwritten > 0 {
			return
		}
		why := "packets come, but none matches the filter"
		if tally.Filtered == 0 {
			why = whyIdle(ctx, source)
		}
		if why != said && why != "" && ctx.Err() == nil {
			say("%s", why)
			said = why
		}
	}
}

// unfilled returns the message that nobody fills the queue, "" if somebody does.
func unfilled(source *collect.Source) string {
	queue := source.Queue()
	if queue == nil {
		return fmt.Sprintf("there is no queue %s yet; waiting for ethertap to make it", source.Name())
	}
	list, err := queue.Participants()
	if err != nil {
		return "" // an error of the queue is reported when it is read
	}
	if slices.ContainsFunc(list, fills) {
		return ""
	}
	if i := slices.IndexFunc(list, func(p shm.Participant) bool { return p.Alive && p.Role == shm.RoleEthertap }); i >= 0 {
		return fmt.Sprintf("ethertap (PID %d) has %s open, but forwards nothing yet; %s", list[i].PID, queue.Name(), startIt)
	}
	return fmt.Sprintf("nothing fills %s yet; waiting for ethertap", queue.Name())
}

// startIt ends the sentence about an ethertap that was not started.
const startIt = "at its prompt, if.start"

func fills(p shm.Participant) bool { return p.Alive && p.Producer }

// whyIdle returns the reason why no packets come, as far as another process can know it; "" if
// there is none.
func whyIdle(ctx context.Context, source *collect.Source) string {
	if why := unfilled(source); why != "" {
		if strings.HasSuffix(why, startIt) { // it is the right queue
			return why
		}
		return why + beingFilled(source.Name())
	}
	queue := source.Queue()
	if queue == nil {
		return ""
	}
	participants, err := queue.Participants()
	at := slices.IndexFunc(participants, fills)
	interfaces, ierr := queue.Interfaces()
	if err != nil || ierr != nil || at < 0 { // it is just changing
		return ""
	}
	who := fmt.Sprintf("%s (PID %d)", participants[at].Role, participants[at].PID)
	known, further, hosts, filtered := len(interfaces) > 0, false, false, false
	var taps []string
	for _, i := range interfaces {
		known = known && i.Taps&shm.TapStated != 0
		further = further || i.Taps&shm.TapFurther != 0
		hosts = hosts || i.Taps&shm.TapHosts != 0
		filtered = filtered || i.Taps&shm.TapFilter != 0
		if i.Taps&shm.TapRX != 0 {
			taps = append(taps, "RX of "+i.Name)
		}
		if i.Taps&shm.TapTX != 0 {
			taps = append(taps, "TX of "+i.Name)
		}
	}
	switch {
	case !known:
		return fmt.Sprintf("%s fills %s, but nothing has come yet", who, queue.Name())
	case len(taps) == 0:
		word := "0 tap.rx.enable"
		if further {
			word = fmt.Sprintf("0 %q pqueue.rx.enable", queue.Name())
		}
		return fmt.Sprintf("%s fills %s, but all its taps are off; to switch one on, type at its prompt: %s%s",
			who, queue.Name(), word, throughControl(ctx, participants[at].PID, word))
	}
	of := ""
	if hosts {
		of = " from or to a host of tap.hash.show"
		if further {
			of = " from or to a host of pqueue.show"
		}
	}
	if filtered {
		of += " that the filters of tap.filter.show take"
	}
	return fmt.Sprintf("%s fills %s with %s, but no frame%s has come yet", who, queue.Name(), strings.Join(taps, ", "), of)
}

// throughControl returns how to send a word to the ethertap with a PID, "" if it is not listed.
func throughControl(ctx context.Context, pid int, word string) string {
	infos, err := rundir.List(ctx, "ethertap")
	if err != nil {
		return ""
	}
	for _, in := range infos {
		switch {
		case in.PID != pid:
		case in.Name == "ethertap":
			return fmt.Sprintf(", or run: control ethertap -e '%s'", word)
		default:
			return fmt.Sprintf(", or run: control --name %s ethertap -e '%s'", in.Name, word)
		}
	}
	return ""
}

// beingFilled names the queues that an ethertap fills, except for one.
func beingFilled(but string) string {
	var names []string
	for _, q := range runningQueues() {
		if q.name != but {
			names = append(names, q.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; being filled: " + strings.Join(names, ", ")
}
