// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// Every counter of a thread and every number of PortStats is in the table once, and what is counted
// at an index appears under its name.
func TestCountersAreComplete(t *testing.T) {
	var counts tally
	for i := range counts {
		counts[i] = 1000 + uint64(i)
	}
	const lost = 5000000
	s := counts.portStats(lost, 0)
	places, names, values := map[int]string{}, map[string]bool{}, map[uint64]string{}
	for i := range Counters {
		c := &Counters[i]
		if c.Name == "" || c.Key == "" || c.Help == "" || names[c.Name] || names["key "+c.Key] {
			t.Errorf("%+v lacks something, or stands twice", c)
		}
		names[c.Name], names["key "+c.Key] = true, true
		// No row shows whether this name is that of another.
		if c.Rows == NoRow && strings.ReplaceAll(strings.ToLower(c.Name), " ", "_") != c.Key {
			t.Errorf("%s has the key %s", c.Name, c.Key)
		}
		if other := values[c.Of(&s)]; other != "" {
			t.Errorf("%s and %s show the same", c.Name, other)
		}
		values[c.Of(&s)] = c.Name
		if c.at == derived {
			continue
		}
		if c.at < 0 || c.at >= countErr || places[c.at] != "" {
			t.Errorf("%s is counted in place %d, as %q", c.Name, c.at, places[c.at])
		}
		places[c.at] = c.Name
		want := counts[c.at]
		if c.at == countLost {
			want += lost
		}
		if c.Of(&s) != want {
			t.Errorf("%s: %d, counted %d", c.Name, c.Of(&s), want)
		}
	}
	if len(places) != countErr {
		t.Errorf("%d of %d places have a counter", len(places), countErr)
	}
	for v, i := reflect.ValueOf(s), 0; i < v.NumField(); i++ {
		if f := v.Field(i); f.Kind() == reflect.Uint64 && values[f.Uint()] == "" {
			t.Errorf("PortStats.%s is in no row of the table", v.Type().Field(i).Name)
		}
	}
	for fault, n := range s.ByFI {
		if values[n] == "" {
			t.Errorf("%s is in no row of the table", policy.Faults[fault].Name)
		}
	}
	if s.Err == 0 {
		t.Error("err is not the sum of its reasons")
	}
	for _, gone := range []uint64{9, 1 << 40} { // the second is more than was stored since the reset
		s, stored := counts.portStats(0, gone), counts[countTapStored]
		if s.TapLost != min(gone, stored) || s.TapStored+s.TapLost != stored {
			t.Errorf("of %d tapped %d were lost: %d and %d", stored, gone, s.TapStored, s.TapLost)
		}
	}

	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	if keys["rx"] != float64(counts[countRX]) || keys["tap_full"] != float64(counts[countTapRefused]) || len(keys) != len(Counters)+2 {
		t.Errorf("%s", b)
	}
}

// A socket that no longer tells what the kernel counted takes no counter back, neither before it is
// closed nor after.
func TestKernelCountDoesNotFall(t *testing.T) {
	mute := new(xsk.Socket) // has no descriptor of a socket
	if _, err := mute.Statistics(); err == nil {
		t.Fatal("it tells")
	}
	k := kernelCount{past: unix.XDPStatistics{Rx_dropped: 1}, last: unix.XDPStatistics{Rx_dropped: 20}}
	if n := k.total(mute).Rx_dropped; n != 21 {
		t.Errorf("open: %d", n)
	}
	k.close(mute)
	if n := k.total(nil).Rx_dropped; n != 21 {
		t.Errorf("closed: %d", n)
	}
}

// A metric never falls between two resets, though what was lost with the TAP queue's file leaves `tapped`.
func TestTotalsDoNotFall(t *testing.T) {
	var now tally
	now[countTapStored] = 100
	before, after := now.portStats(0, 0), now.portStats(0, 40)
	for i := range Counters {
		if c := &Counters[i]; !c.Gauge && c.Total(&after) < c.Total(&before) {
			t.Errorf("%s falls from %d to %d", c.Key, c.Total(&before), c.Total(&after))
		}
	}
	if after.TapStored != 60 {
		t.Errorf("tapped is %d", after.TapStored)
	}
}
