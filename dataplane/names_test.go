// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A reason that is an errno has the errno's name; the others say what happened.
func TestNamesOfReasons(t *testing.T) {
	for _, errno := range []unix.Errno{
		unix.ENETDOWN, unix.ENXIO, unix.ENOBUFS, unix.EAGAIN, unix.EBUSY, unix.EINVAL, unix.EMSGSIZE,
	} {
		if got := reasonOf(errno).String(); got != unix.ErrnoName(errno) {
			t.Errorf("%v is counted as %s", errno, got)
		}
	}
	for r, want := range map[reason]string{reasonFull: "full", reasonLong: "long", reasonStopped: "stopped", reasonOf(unix.EOPNOTSUPP): "EOPNOTSUPP", reasonOf(unix.EIO): "other"} {
		if r.String() != want {
			t.Errorf("%s, not %s", r, want)
		}
	}
}

// Each mode has the name by which it is asked for.
func TestNamesOfPollModes(t *testing.T) {
	for name, want := range map[string]PollMode{"adaptive": PollAdaptive, "spin": PollSpin, "sleep": PollSleep} {
		if got, err := ParsePollMode(name); err != nil || got != want || got.String() != name {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
}

// The kernel's statistics have the names of its structure, and are added and subtracted each
// by itself.
func TestNamesOfKernelStatistics(t *testing.T) {
	var a, b unix.XDPStatistics
	va, vb := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	for i := range va.NumField() {
		va.Field(i).SetUint(uint64(10 * (i + 1)))
		vb.Field(i).SetUint(uint64(i + 1))
	}
	sum, difference := reflect.ValueOf(plus(a, b)), reflect.ValueOf(minus(a, b))
	got := map[string]uint64{}
	for _, c := range named(a) {
		got[c.Name] = c.N
	}
	if len(got) != va.NumField() {
		t.Errorf("%d names for %d fields", len(got), va.NumField())
	}
	for i := range va.NumField() {
		name, n := strings.ToLower(va.Type().Field(i).Name), uint64(i+1)
		if got[name] != 10*n || sum.Field(i).Uint() != 11*n || difference.Field(i).Uint() != 9*n {
			t.Errorf("%s: %d, sum %d, difference %d", name, got[name], sum.Field(i).Uint(), difference.Field(i).Uint())
		}
	}
}
