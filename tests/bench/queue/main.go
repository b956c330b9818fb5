// SPDX-License-Identifier: BSD-3-Clause

// Command queue measures the TAP queue beside a plain Vyukov ring of the same size: in
// one process and between processes, one and two at either end, one packet a call and
// 32, consumers that spin and consumers that sleep; and what a full queue costs a
// producer. Each figure is nanoseconds a packet, in and out.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"

	"ethertap/shm"
	"ethertap/tests/bench/rounds"
)

// What issue and limits ask for, as a ratio to the plain ring, by size of the packets.
var aims = map[int]float64{64: 1.8, 1500: 1.3}

func main() { os.Exit(run()) }

func run() int {
	if job := os.Getenv(jobEnv); job != "" {
		if err := serve(job); err != nil {
			fmt.Fprintf(os.Stderr, "bench queue: %s: %v\n", job, err)
			return 1
		}
		return 0
	}
	count := flag.Int("rounds", 7, "counted rounds")
	packets := flag.Int("packets", 1000000, "packets of a measurement; a third of them where consumers sleep")
	rows := flag.String("rows", "", "only the rows that this regular expression matches")
	save := flag.String("save", "", "save every measurement in this directory")
	flag.Parse()
	only, err := regexp.Compile(*rows)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench queue: --rows: %v\n", err)
		return 2
	}
	var chosen []rounds.Row
	for _, r := range table(*packets) {
		if only.MatchString(r.Name) {
			chosen = append(chosen, r)
		}
	}
	results, err := rounds.Measure(chosen, rounds.Options{Rounds: *count, Warm: 1, Progress: os.Stderr})
	if err == nil {
		err = rounds.Report(os.Stdout, *save, "queue", results)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench queue: %v\n", err)
		return 1
	}
	return 0
}

// table is what is measured.
func table(packets int) []rounds.Row {
	var rows []rounds.Row
	add := func(name string, l load, measure func(load) (float64, error), aims ...rounds.Peer) {
		ours, plain := l, l
		ours.kind, plain.kind = "ours", "vyukov"
		row := rounds.Row{Name: name, Unit: "ns/packet", Ours: contender("ours", ours, measure)}
		row.Peers = append(row.Peers, rounds.Peer{Contender: contender("vyukov", plain, measure), Aim: aimOf(l)})
		row.Peers = append(row.Peers, aims...)
		rows = append(rows, row)
	}
	for _, size := range []int{64, 1500} {
		for _, batch := range []int{1, 32} {
			l := load{size: size, batch: batch, packets: packets}
			add(fmt.Sprintf("one thread, %s", l), l, alone)
		}
	}
	for _, where := range []struct {
		name    string
		measure func(load) (float64, error)
	}{{"one process", together}, {"processes", apart}} {
		for _, ends := range []int{1, 2} {
			for _, wait := range []bool{false, true} {
				for _, size := range []int{64, 1500} {
					for _, batch := range []int{1, 32} {
						l := load{size: size, batch: batch, packets: packets, ends: ends, wait: wait}
						how := "spinning"
						if wait {
							how = "waiting"
							l.packets /= 3 // the plain ring makes a system call for each
						}
						var more []rounds.Peer
						if where.name == "processes" && batch == 32 && size == 64 && ends == 1 {
							more = append(more, limit(30))
						}
						add(fmt.Sprintf("%s %d/%d %s, %s", where.name, ends, ends, how, l), l, where.measure, more...)
					}
				}
			}
		}
	}
	for _, batch := range []int{1, 32} {
		l := load{kind: "ours", size: 64, batch: batch, packets: 3 * packets}
		rows = append(rows, rounds.Row{Name: fmt.Sprintf("full, %s", l), Unit: "ns/packet", Ours: contender("ours", l, full), Peers: []rounds.Peer{limit(20)}})
	}
	return rows
}

func contender(name string, l load, measure func(load) (float64, error)) rounds.Contender {
	return rounds.Contender{Name: name, Run: func() (float64, error) { return measure(l) }}
}

func aimOf(l load) float64 { return aims[l.size] }

// limit is a peer that stands for a figure that is not to be exceeded.
func limit(ns float64) rounds.Peer {
	return rounds.Peer{Contender: rounds.Contender{Name: "limit", Run: func() (float64, error) { return ns, nil }}, Aim: 1}
}

// Both rings have the slots that a TAP queue has by default.
const (
	slots    = shm.DefaultSlots
	slotSize = shm.DefaultSlotSize
)
