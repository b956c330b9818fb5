// SPDX-License-Identifier: BSD-3-Clause

package metrics

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/standing"
	"ethertap/shm"
)

// A collector of a queue that puts packets into a stream has metrics; one that reads a stream, or has packets
// of another queue, has none here.
func TestStreams(t *testing.T) {
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "run"))
	for name, reads := range map[string]bool{"writer": false, "reader": true} {
		in, err := rundir.Register(t.Context(), "collect", name)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		stop, err := standing.Serve(in.SocketPath(), func() standing.Standing {
			return standing.Standing{Address: "nats://a/TAPS", Reads: reads, Acknowledged: 81, InFlight: 82, Held: 83, Retried: 84, Behind: 85, Connected: true}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	r := full()
	if out := text(t, registry(r, 0)); strings.Contains(out, "ethertap_stream_") {
		t.Error("there are metrics of a collector of another queue")
	}
	r.Queues[0].Users = append(r.Queues[0].Users, shm.Participant{PID: os.Getpid(), Role: shm.RoleCollect, Name: "collect", Consumer: true, Alive: true})
	out := "\n" + text(t, registry(r, 0))
	for want, value := range map[string]string{
		"acknowledged_packets_total": "81", "in_flight_packets": "82", "held_bytes": "83", "retried_messages_total": "84", "behind_packets": "85", "connected": "1",
	} {
		if line := "\nethertap_stream_" + want + `{name="writer",queue="ixdp.pqueue.tap",stream="nats://a/TAPS"} ` + value + "\n"; !strings.Contains(out, line) {
			t.Errorf("there is no %s", strings.TrimSpace(line))
		}
	}
	if strings.Contains(out, `name="reader"`) {
		t.Error("a reader has metrics")
	}
}
