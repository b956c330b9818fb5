// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// Every way to measure is gone once. No figure is demanded: on a busy machine nothing
// at all may come through in so short a time.
func TestMeasurements(t *testing.T) {
	netlab.RequireRoot(t)
	const during = 50 * time.Millisecond
	for _, d := range []device{ethertap("ethertap", 1, nil), kernelBridge(), redirect()} {
		err := d.with(t, true, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
			for _, size := range sizes {
				if v, err := saturate(l, size.bytes, during, 1); err != nil || v < 0 {
					t.Errorf("%s: saturation with %s: %v kpps, %v", d.name, size.name, v, err)
				}
				if _, _, err := withoutLoss(l, size.bytes, 1, during); err != nil {
					t.Errorf("%s: %v", d.name, err)
				}
			}
			a, err := l.Sink.Ages()
			if err != nil || a.Quantile(0.5) < 0 {
				t.Errorf("%s: ages: median %v µs, %v", d.name, a.Quantile(0.5), err)
			}
			if p == nil {
				return nil
			}
			if _, err := cpuTime(p.PID()); err != nil {
				t.Error(err)
			}
			_, err = resident(p.PID())
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
	err := mirror("mirror", nil).with(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
		_, err := received(p, during)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestReplays(t *testing.T) {
	netlab.RequireRoot(t)
	for _, row := range replayRows(t, replaySize{frames: 2000, rounds: 2, gaps: 20}) {
		for _, c := range append([]rounds.Contender{row.Ours}, contenders(row.Peers)...) {
			if strings.HasPrefix(c.Name, "tcpreplay") {
				continue // not among the packages of the tests
			}
			if v, err := c.Run(); err != nil || v <= 0 {
				t.Errorf("%s: %s: %v, %v", row.Name, c.Name, v, err)
			}
		}
	}
}

func contenders(peers []rounds.Peer) (list []rounds.Contender) {
	for _, p := range peers {
		list = append(list, p.Contender)
	}
	return list
}

func TestRecording(t *testing.T) {
	netlab.RequireRoot(t)
	for _, r := range append(peerRecorders, ourRecorder) {
		if r.name == "netsniff-ng" {
			continue // not among the packages of the tests
		}
		saved, _, sent, err := saves(t, r, 64, 1, 100*time.Millisecond)
		if err != nil || saved > sent {
			t.Errorf("%s: %d of %d frames saved: %v", r.name, saved, sent, err)
		}
	}
}

// The peer in C is compiled and forwards where its library is.
func TestPeerInC(t *testing.T) {
	netlab.RequireRoot(t)
	if _, err := compiled(t, "bridge"); err != nil {
		t.Skip(err)
	}
	err := peerC(1).with(t, false, func(testing.TB, *wire.Lab, *netlab.Process) error { return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestEmptyCore(t *testing.T) {
	netlab.RequireRoot(t)
	if _, err := compiled(t, "watch"); err != nil {
		t.Skip(err)
	}
	waits, err := emptyCore(t, 10, 50*time.Millisecond).measure()
	if err != nil || waits[0] < 0 || waits[1] < waits[0] || waits[2] < waits[1] {
		t.Error("waits:", waits, err)
	}
}

func TestSearchFindsTheHighestRate(t *testing.T) {
	for _, c := range []struct{ guess, limit, generator float64 }{
		{1000, 1000, 1e6}, {1000, 730, 1e6}, {1000, 1240, 1e6}, {1000, 20, 1e6}, {1000, 0, 1e6}, {1000, 5000, 1e6}, {1000, 5000, 1500}, {1000, 900, 950},
	} {
		asked := 0
		got, err := search(c.guess, precision, func(kpps float64) (float64, bool, error) {
			asked++
			offered := min(kpps, c.generator)
			return offered, offered <= c.limit, nil
		})
		want := min(c.limit, c.generator)
		if err != nil || got > want || want > lowest && got < want/precision-1e-9 || asked > 20 {
			t.Errorf("guess %v, limit %v, generator's %v: %v after %d questions, %v", c.guess, c.limit, c.generator, got, asked, err)
		}
	}
}
