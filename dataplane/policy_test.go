// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"strings"
	"testing"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
)

func TestUpdatePublishesACopyOrNothing(t *testing.T) {
	e, err := New(Config{Interfaces: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	before := e.Policy()
	if err := e.Update(func(p *policy.Policy) error {
		p.Taps[0].RX[0] = true
		p.Taps[0].MACs = p.Taps[0].MACs.With(mac(1))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if before.Taps[0].RX[0] || before.Taps[0].MACs.Len() != 0 || !e.Policy().Taps[0].RX[0] || !e.Policy().Taps[0].MACs.Has(mac(1)) {
		t.Error("a policy once read has changed, or the new one is not in force")
	}
	broken := errors.New("broken")
	if err := e.Update(func(p *policy.Policy) error { p.Taps[0].RX[0] = false; return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := e.Update(func(p *policy.Policy) error { p.Ports[1].Fault.Dup.Probability = policy.Certain + 1; return nil }); err == nil {
		t.Error("a probability above one was accepted")
	}
	if got := e.Policy(); !got.Taps[0].RX[0] || got.Ports[1].Fault.Dup.Probability != 0 {
		t.Errorf("a refused update left traces: %+v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		want string
		c    Config
	}{
		{"no interface", Config{}},
		{"3 interfaces", Config{Interfaces: []string{"a", "b", "c"}}},
		{"empty name", Config{Interfaces: []string{""}}},
		{"longer than 127", Config{Interfaces: []string{strings.Repeat("a", 128)}}},
		{"hold", Config{Interfaces: []string{"a"}, Hold: MaxHold + 1}},
		{"rings of 63 frames: a power of two from 64 to 32768", Config{Interfaces: []string{"a"}, Rings: 63}},
		{"rings", Config{Interfaces: []string{"a"}, Rings: MinRings / 2}},
		{"rings", Config{Interfaces: []string{"a"}, Rings: 3 << 10}},
		{"rings", Config{Interfaces: []string{"a"}, Rings: 2 * MaxRings}},
		{"named twice", Config{Interfaces: []string{"a", "a"}}},
		{"no interface can have", Config{Interfaces: []string{"../lo"}}},
		{"queues", Config{Interfaces: []string{"a"}, Queues: 9}},
		{"queues", Config{Interfaces: []string{"a"}, Queues: -1}},
		{"CPUs", Config{Interfaces: []string{"a"}, Queues: 2, CPUs: []int{0}}},
		{"no CPU", Config{Interfaces: []string{"a"}, CPUs: []int{-1}}},
		{"zero-copy", Config{Interfaces: []string{"a"}, Attach: nic.AttachSKB, Copy: nic.ZeroCopyForced}},
		{"out of range", Config{Interfaces: []string{"a"}, Poll: 9}},
	} {
		if _, err := New(c.c); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.c, err, c.want)
		}
	}
}

func TestPortsHaveNumbersBeforeStart(t *testing.T) {
	e, err := New(Config{Interfaces: []string{"left", "right"}, Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	ports := e.Snapshot(false).Ports
	if len(ports) != 2 || ports[1].Index != 1 || ports[1].Name != "right" || ports[1].Mode != "-" || ports[1].Queues != 2 {
		t.Errorf("%+v", ports)
	}
	if e.Running() {
		t.Error("runs before it was started")
	}
	if err := e.Stop(); err != nil {
		t.Errorf("stop of what does not run: %v", err)
	}
}

func TestResetKeepsTheAccountsClosed(t *testing.T) {
	base := &tally{countRX: 10, countTX: 3, countHeld: 2}
	now := tally{countRX: 15, countTX: 9, countHeld: 4}
	if got := now.since(base); got[countRX] != 7 || got[countTX] != 6 || got[countHeld] != 4 {
		t.Errorf("rx %d, tx %d, held %d", got[countRX], got[countTX], got[countHeld])
	}
}

// The largest rings and holds take more memory than many machines have. They are refused before
// anything is changed.
func TestTooMuchMemoryIsRefused(t *testing.T) {
	c := Config{Interfaces: []string{"a", "b"}, Rings: MaxRings, Hold: MaxHold}
	const need = 8 * 2 * (3*MaxRings + MaxHold) * 4096
	if err := enoughMemory(&c, 8, 4096, need); err != nil {
		t.Errorf("what is there was refused: %v", err)
	}
	err := enoughMemory(&c, 8, 4096, need-1)
	if err == nil || !strings.Contains(err.Error(), "memory: 22528 MiB needed (rings of 32768 frames, 262144 held, queues 8, interfaces 2), 22527 MiB available") {
		t.Errorf("error %v", err)
	}
	if n := availableMemory(); n < 1<<20 || n > 1<<50 {
		t.Errorf("%d bytes available", n)
	}
}

// A change of the policy does not wait for an interface that is being attached, which may take
// seconds: it does not take the lock that a start holds.
func TestUpdateWaitsForNoInterface(t *testing.T) {
	e, err := New(Config{Interfaces: []string{"left", "right"}})
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock() // as a start does
	defer e.mu.Unlock()
	i, ok := e.PortNamed("right")
	if !ok || i != 1 || len(e.PortNames()) != 2 || e.PortNames()[0] != "left" {
		t.Errorf("%d %v, %v", i, ok, e.PortNames())
	}
	if err := e.Update(func(p *policy.Policy) error { p.Taps[0].RX[i] = true; return nil }); err != nil || !e.Policy().Taps[0].RX[1] {
		t.Errorf("%v, %+v", err, e.Policy())
	}
}
