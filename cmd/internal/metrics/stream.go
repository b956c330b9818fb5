// SPDX-License-Identifier: BSD-3-Clause

package metrics

import (
	"context"

	"ethertap/cmd/internal/reading"
	"ethertap/cmd/internal/standing"
)

// streams sends how the collectors of our queues stand that put packets into streams.
func (o output) streams(ctx context.Context, r *reading.Reading) {
	queues := map[int]string{} // by the PID of a consumer
	for i := range r.Queues {
		for _, p := range r.Queues[i].Consumers() {
			queues[p.PID] = r.Queues[i].Name
		}
	}
	if len(queues) == 0 {
		return
	}
	for name, s := range standing.All(ctx) {
		queue, ours := queues[s.PID]
		if !ours || s.Reads {
			continue
		}
		l := labels{"queue", queue, "name", name, "stream", s.Address}
		o.counterSince(noTime, "stream_acknowledged_packets", "Packets that the stream has acknowledged.", s.Acknowledged, l...)
		o.counterSince(noTime, "stream_retried_messages", "Messages that were sent more than once.", s.Retried, l...)
		o.gauge("stream_in_flight_packets", "Packets that were sent to the stream and are not acknowledged.", float64(s.InFlight), l...)
		o.gauge("stream_behind_packets", "Packets that wait to be sent to the stream.", float64(s.Behind), l...)
		o.gauge("stream_held_bytes", "Bytes held until the stream acknowledges them.", float64(s.Held), l...)
		o.flag("stream_connected", "Whether there is a connection to a server of the stream.", s.Connected, l...)
	}
}
