// SPDX-License-Identifier: BSD-3-Clause

package stamp

import (
	"encoding/binary"
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWallTime(t *testing.T) {
	const second, seen = int64(time.Second), int64(1_800_000_000_000_000_000)
	device := Clock{at: 100 * second, offset: seen - 100*second} // is at 100 s when it is seen
	for _, c := range []struct {
		name  string
		clock Clock
		stamp uint64
		want  int64
		ok    bool
	}{
		{"the wall clock itself", Clock{}, uint64(seen - 5000), seen - 5000, true},
		{"none", Clock{}, 0, 0, false},
		{"none of a clock that began with it", Clock{offset: seen}, 0, 0, false},
		{"just now", device, uint64(100 * second), seen, true},
		{"a little later, as comparing is not exact", device, uint64(100*second + 999_999), seen + 999_999, true},
		{"later", device, uint64(100*second + 1_000_001), 0, false},
		{"in the ring for a while", device, uint64(41 * second), seen - 59*second, true},
		{"too old", device, uint64(39 * second), 0, false},
		{"TAI, which is ahead", Clock{}, uint64(seen + 37*second), 0, false},
		{"an address of the kernel", device, 0xffffc90000123456, 0, false},
		{"all ones", Clock{}, math.MaxUint64, 0, false},
		{"the largest", Clock{offset: math.MaxInt64}, math.MaxInt64, 0, false},
		{"drift", Clock{at: 100 * second, offset: seen - 110*second, drift: -1e-4}, uint64(109 * second), seen - second - 900_000, true},
	} {
		got, ok := c.clock.Wall(c.stamp, seen)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, got-seen, ok, c.want-seen, c.ok)
		}
	}
}

// A clock that is 40 parts in a million too fast and some hours off is followed: between two
// comparisons its times are right to the error of these.
func TestClockIsFollowed(t *testing.T) {
	const second = int64(time.Second)
	wall := func(device int64) int64 { return 7200*second + device - device/25000 }
	read := func(device, fault int64) reading { return reading{device, wall(device) + fault, 200} }
	var last reading
	now := relate(&last, read(50*second, 100), Clock{})
	for i := int64(51); i < 60; i++ {
		now = relate(&last, read(i*second, 100-200*(i%2)), now)
		for _, later := range []int64{0, second / 10, second} {
			at := i*second + later
			got, ok := now.Wall(uint64(at), wall(at)+1000)
			if off := got - wall(at); !ok || off > 400 || off < -400 {
				t.Fatalf("%d ns after %d s: %d ns off, %v", later, i, off, ok)
			}
		}
	}
	// Comparing again soon does not blow up the error of the drift.
	drift := now.drift
	if now = relate(&last, read(59*second+second/100, -100), now); now.drift != drift {
		t.Errorf("drift %g after a hundredth of a second, %g before", now.drift, drift)
	}
	// Somebody sets one of the clocks.
	if now = relate(&last, reading{1000 * second, 5 * second, 200}, now); now.drift != 0 {
		t.Errorf("drift %g after the clock was set", now.drift)
	}
	if got, ok := now.Wall(uint64(1000*second+5), 5*second+10); !ok || got != 5*second+5 {
		t.Errorf("then %d, %v", got, ok)
	}
}

// The clocks of the devices of this machine can be compared, and tell the time.
func TestDeviceClock(t *testing.T) {
	found := 0
	for number := range 8 {
		d, err := OpenDevice(number)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		found++
		if _, err := d.Compare(); err != nil {
			t.Fatal(err)
		}
		c, err := d.Compare()
		if err != nil {
			t.Fatal(err)
		}
		var at unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.FdToClockID(int(d.file.Fd())), &at); err != nil {
			t.Fatal(err)
		}
		after := time.Now()
		got, ok := c.Wall(uint64(at.Nano()), after.UnixNano())
		if slack := time.Millisecond.Nanoseconds(); !ok || got < before.UnixNano()-slack || got > after.UnixNano()+slack {
			t.Errorf("%s: %v (%v), read between %v and %v", d.Name, time.Unix(0, got), ok, before, after)
		}
		t.Logf("%s: compared to %d ns", d.Name, d.last.width/2)
	}
	if found == 0 {
		t.Skip("no device here has a clock")
	}
}

func TestFrontOfFrame(t *testing.T) {
	front := func(stamp, sealed uint64) []byte {
		return binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, stamp), sealed)
	}
	const stamp = 1_800_000_000_123_456_789
	for _, c := range []struct {
		name  string
		front []byte
		port  int
		want  uint64
	}{
		{"sealed", front(stamp, stamp^uint64(Seal(1))), 1, stamp},
		{"of the other port", front(stamp, stamp^uint64(Seal(1))), 0, 0},
		{"none", front(0, uint64(Seal(0))), 0, 0},
		{"never written", front(0, 0), 0, 0},
		{"something else", front(stamp, stamp), 0, 0},
		{"no room", nil, 0, 0},
	} {
		if got := Read(c.front, c.port); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
