// SPDX-License-Identifier: BSD-3-Clause

package stamp

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Clock relates the clock of a device to the wall clock. It does not change; the zero Clock is a
// device whose clock is the wall clock.
type Clock struct {
	at     int64   // a moment on the device's clock, ns
	offset int64   // the wall clock less the device's clock at that moment, ns
	drift  float64 // the change of offset for each ns
}

// The time of a stamp has to lie in this range around the moment at which a program first saw the
// frame. The wall clock may have been set since it was compared with the device's, by which a stamp can
// seem to be later than it was.
const (
	latest = time.Millisecond
	oldest = time.Minute
)

// Wall returns the time of a stamp in ns since the Unix epoch. seen is when a program first saw the
// frame. ok is false if the stamp is 0, or cannot be right: it is later than seen by more than a
// millisecond, or earlier by more than a minute.
func (c *Clock) Wall(stamp uint64, seen int64) (ns int64, ok bool) {
	if stamp == 0 || stamp > math.MaxInt64 {
		return 0, false
	}
	ns = int64(stamp) + c.offset + int64(float64(int64(stamp)-c.at)*c.drift)
	late := ns - seen
	return ns, late <= int64(latest) && late >= -int64(oldest)
}

// A reading is one comparison of both clocks, in ns.
type reading struct {
	device, wall int64
	width        int64 // the wall clock's reading is right to half of this
}

// Device is the clock of a device, which is open.
type Device struct {
	Name string // of its file
	file *os.File
	last reading
	now  Clock
}

// OpenDevice opens the PTP hardware clock with a number.
func OpenDevice(number int) (*Device, error) {
	name := fmt.Sprintf("/dev/ptp%d", number)
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &Device{Name: name, file: f}, nil
}

// Close closes the clock. Close on nil does nothing.
func (d *Device) Close() error {
	if d == nil {
		return nil
	}
	return d.file.Close()
}

const (
	comparisons = 9
	// maxDrift is the largest plausible difference between the rates of two clocks. Where one was set, no
	// drift is computed.
	maxDrift = 1e-3
	// minSpan is the shortest time from which a drift is computed, in ns. The error of a reading
	// divided by it is the error of the drift.
	minSpan = int64(500 * time.Millisecond)
)

// Compare compares the clock of the device with the wall clock, and returns how they are related
// from now on. The next call takes into account how the two drift, so it should come once a second
// or so.
func (d *Device) Compare() (Clock, error) {
	r, err := d.read()
	if err != nil {
		return Clock{}, fmt.Errorf("%s: %w", d.Name, err)
	}
	d.now = relate(&d.last, r, d.now)
	return d.now, nil
}

// relate returns the clock after a reading, and keeps in last the one from which the drift is
// computed next time.
func relate(last *reading, r reading, before Clock) Clock {
	c := Clock{at: r.device, offset: r.wall - r.device, drift: before.drift}
	span := r.device - last.device
	if last.device != 0 && span >= 0 && span < minSpan {
		return c
	}
	c.drift = 0
	if last.device != 0 && span > 0 {
		if drift := float64(c.offset-(last.wall-last.device)) / float64(span); math.Abs(drift) < maxDrift {
			c.drift = drift
		}
	}
	*last = r
	return c
}

// read returns the best of several comparisons: that in whose middle the device's clock was read
// fastest.
func (d *Device) read() (best reading, err error) {
	best.width = math.MaxInt64
	keep := func(before, device, after int64) {
		if width := after - before; width >= 0 && width < best.width {
			best = reading{device, before + width/2, width}
		}
	}
	fd := int(d.file.Fd())
	// The kernel reads the wall clock closest to the register of the device, where the driver can.
	if offsets, err := unix.IoctlPtpSysOffsetExtended(fd, comparisons); err == nil {
		for _, ts := range offsets.Ts[:comparisons] {
			keep(nanoseconds(ts[0]), nanoseconds(ts[1]), nanoseconds(ts[2]))
		}
	} else {
		for range comparisons {
			var before, device, after unix.Timespec
			if err := errors.Join(
				unix.ClockGettime(unix.CLOCK_REALTIME, &before),
				unix.ClockGettime(unix.FdToClockID(fd), &device),
				unix.ClockGettime(unix.CLOCK_REALTIME, &after)); err != nil {
				return best, err
			}
			keep(before.Nano(), device.Nano(), after.Nano())
		}
	}
	if best.width == math.MaxInt64 {
		return best, errors.New("the wall clock went backwards at each comparison")
	}
	return best, nil
}

func nanoseconds(t unix.PtpClockTime) int64 { return t.Sec*int64(time.Second) + int64(t.Nsec) }
