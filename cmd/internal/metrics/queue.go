// SPDX-License-Identifier: BSD-3-Clause

package metrics

import (
	"strconv"
	"time"

	"ethertap/cmd/internal/reading"
	"ethertap/shm"
)

// noTime is the beginning of counters of which it is not known.
var noTime time.Time

// queueCounters are the counters of a queue, in packets.
var queueCounters = []struct {
	name, help string
	of         func(*shm.Status) uint64
}{
	{"inserted", "Packets put in the queue since its file was made.", func(s *shm.Status) uint64 { return s.Inserted }},
	{"full", "Packets that found no room in the queue.", func(s *shm.Status) uint64 { return s.Full }},
	{"retrieved", "Packets taken out of the queue.", func(s *shm.Status) uint64 { return s.Retrieved }},
	{"truncated", "Packets put in the queue that were longer than a slot and were cut.", func(s *shm.Status) uint64 { return s.Truncated }},
	{"discarded", "Packets that a reset threw away.", func(s *shm.Status) uint64 { return s.Discarded }},
	{"overwritten", "Packets that newer ones overwrote.", func(s *shm.Status) uint64 { return s.Overwritten }},
	{"orphaned", "Packets not put in, since they were written too slowly.", func(s *shm.Status) uint64 { return s.Orphaned }},
	{"abandoned", "Packets in the hands of producers that died.", func(s *shm.Status) uint64 { return s.Abandoned }},
	{"lost", "Packets in the hands of consumers that died.", func(s *shm.Status) uint64 { return s.Lost }},
}

// queues sends the state of the queues, and who takes packets out.
func (o output) queues(r *reading.Reading) {
	for i := range r.Queues {
		q := &r.Queues[i]
		o.flag("queue_readable", "Whether the state of the queue can be read.", q.Err == nil, "queue", q.Name)
		if q.Err != nil {
			continue
		}
		for _, c := range queueCounters {
			o.counterSince(q.Created, "queue_"+c.name+"_packets", c.help, c.of(&q.Status), "queue", q.Name)
		}
		o.gauge("queue_waiting_packets", "Packets in the queue now.", float64(q.Waiting), "queue", q.Name)
		o.gauge("queue_high_water_packets", "The most packets that were in the queue.", float64(q.HighWater), "queue", q.Name)
		o.gauge("queue_slots", "Packets that the queue has room for.", float64(q.Slots), "queue", q.Name)
		o.flag("queue_overwrite", "Whether a full queue overwrites its oldest packets (1) or refuses new ones (0).", q.Overwrite, "queue", q.Name)
		o.gauge("queue_consumers", "Consumers that take packets out of the queue.", float64(len(q.Consumers())), "queue", q.Name)
		o.consumers(q)
	}
	for _, f := range r.Further {
		o.counterSince(noTime, "further_tap_stored_packets", "Packets put in a further queue by its tap.", f.Stored+f.Lost, "queue", f.Name)
		o.counterSince(noTime, "further_tap_refused_packets", "Packets that a further queue refused.", f.Refused, "queue", f.Name)
		o.counterSince(noTime, "further_tap_lost_packets", "Packets put in a further queue and lost with its file.", f.Lost, "queue", f.Name)
	}
}

// consumers sends what each consumer has taken out. Several of one process that have the same name are one.
func (o output) consumers(q *reading.Queue) {
	type who struct{ program, name, pid string }
	sums := map[who]*shm.Participant{}
	for _, p := range q.Consumers() {
		k := who{p.Role.String(), p.Name, strconv.Itoa(p.PID)}
		sum := sums[k]
		if sum == nil {
			sum = &shm.Participant{Joined: p.Joined}
			sums[k] = sum
		}
		sum.Packets += p.Packets
		if p.Joined.Before(sum.Joined) {
			sum.Joined = p.Joined
		}
	}
	for k, p := range sums {
		o.counterSince(p.Joined, "consumer_retrieved_packets", "Packets that a running collector, or another consumer, has taken out of the queue.", p.Packets,
			"queue", q.Name, "program", k.program, "name", k.name, "pid", k.pid)
	}
}

// tapQueueName returns the name of the TAP queue, "" if there is none.
func tapQueueName(r *reading.Reading) string {
	if len(r.Queues) == 0 {
		return ""
	}
	return r.Queues[0].Name
}
