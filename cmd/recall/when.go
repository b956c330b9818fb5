// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"math/big"
	"strings"
	"time"
)

// errTime says what a time looks like.
var errTime = errors.New("a time such as '2026-11-29 10:00', 10:00:05.25, '10:00 UTC', -5m or @1764410400")

// days and clocks are the layouts of dates and times of day. Fractions of a second are read with
// any layout that has seconds.
var (
	days   = []string{"2006-01-02", "2006/01/02", "20060102"}
	clocks = []string{"15:04:05", "15:04", ""}
	zones  = []string{"", "Z07:00", "-0700", "-07"}
)

// parseTime reads a time: a date with or without a time of day, a time of day of today, -5m before
// now, +5m after the time base, or @ and seconds since the epoch. A zone may follow: Z, +01:00, or a
// name such as UTC or Europe/Berlin after a blank; without it the time is local.
func parseTime(s string, now, base time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "now":
		return now, nil
	case strings.HasPrefix(s, "-"):
		d, err := time.ParseDuration(s[1:])
		if err != nil || d < 0 {
			return time.Time{}, errTime
		}
		return now.Add(-d), nil
	case strings.HasPrefix(s, "+"):
		d, err := time.ParseDuration(s[1:])
		switch {
		case err != nil || d < 0:
			return time.Time{}, errTime
		case base.IsZero():
			return time.Time{}, errors.New("a time with + is for --to, and counted from --from, which is missing")
		}
		return base.Add(d), nil
	case strings.HasPrefix(s, "@"):
		return parseEpoch(s[1:])
	}
	zone := now.Location()
	if at := strings.LastIndexByte(s, ' '); at > 0 && strings.IndexFunc(s[at:], isLetter) >= 0 {
		l, err := time.LoadLocation(s[at+1:])
		if err != nil || s[at+1:] == "Local" {
			return time.Time{}, errors.New("no time zone is called " + s[at+1:])
		}
		s, zone = s[:at], l
	}
	for _, clock := range clocks {
		for _, z := range zones {
			if clock != "" {
				if t, err := time.ParseInLocation(clock+z, s, zone); err == nil {
					y, m, d := now.In(t.Location()).Date()
					return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location()), nil
				}
			}
			for _, day := range days {
				for _, between := range []string{" ", "T"} {
					layout := day + between + clock + z
					if clock == "" {
						layout = day + z
					}
					if t, err := time.ParseInLocation(layout, s, zone); err == nil {
						return inRange(t)
					}
				}
			}
		}
	}
	return time.Time{}, errTime
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }

// inRange refuses a time that ns since the epoch do not hold.
func inRange(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 1678 || y > 2261 {
		return t, errors.New("the years go from 1678 to 2261")
	}
	return t, nil
}

// parseEpoch reads seconds since the epoch, with a fraction or without.
func parseEpoch(s string) (time.Time, error) {
	r, ok := new(big.Rat).SetString(s)
	if !ok || strings.ContainsAny(s, "/eEpPxX") {
		return time.Time{}, errTime
	}
	ns := new(big.Int).Quo(r.Mul(r, big.NewRat(1e9, 1)).Num(), r.Denom())
	if !ns.IsInt64() {
		return time.Time{}, errors.New("the years go from 1678 to 2261")
	}
	return time.Unix(0, ns.Int64()), nil
}
