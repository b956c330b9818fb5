// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"errors"
	"fmt"
	"math"
	"time"

	"ethertap/interp"
)

var timeWords = []interp.Word{
	{Name: "now", Stack: "( - ns )", Help: "nanoseconds since the beginning of 1970, UTC", Example: "now 1000000000 / .", Func: now},
	{Name: "ticks", Stack: "( - ns )", Help: "nanoseconds of a clock that only goes forward, for measuring", Example: "ticks 5 ms ticks swap - 5000000 >= .", Func: ticks},
	{Name: "ms", Stack: "( n - )", Help: "waits n milliseconds, or until Ctrl-C", Example: "10 ms", Func: sleep},
	{Name: "time->str", Stack: "( ns - string )", Help: "a time of now as text, in local time", Example: "now time->str .\n0 time->str str.len .", Func: timeToStr},
	{Name: "str->time", Stack: "( string - ns )", Help: "the time in text such as 2026-11-24 06:30:00 or 2026-11-24T06:30:00Z; without a zone it is local time", Example: "\"1970-01-01T00:00:01Z\" str->time .", Func: strToTime},
	{Name: "time&date", Stack: "( - second minute hour day month year )", Help: "the local time and date", Example: "time&date . . . . . .", Func: timeAndDate},
	{Name: "timer-start", Stack: "( - )", Help: "starts the stopwatch", Example: "timer-start", Func: timerStart},
	{Name: "timer-show", Stack: "( - )", Help: "shows the time since timer-start", Example: "timer-start timer-show", Func: timerShow},
}

// started is the beginning of the clock of ticks.
var started = time.Now()

func now(s *interp.Session) error { return s.Push(interp.NewInt(time.Now().UnixNano())) }

func ticks(s *interp.Session) error { return s.Push(interp.NewInt(int64(time.Since(started)))) }

// popMilliseconds takes a duration that is not negative.
func popMilliseconds(s *interp.Session) (time.Duration, error) {
	n, err := s.PopRange("milliseconds", 0, math.MaxInt64/int64(time.Millisecond))
	return time.Duration(n) * time.Millisecond, err
}

func sleep(s *interp.Session) error {
	d, err := popMilliseconds(s)
	if err != nil {
		return err
	}
	return s.Sleep(d)
}

// timeForms are the forms of time that str->time reads; time->str writes the first.
var timeForms = []string{"2006-01-02 15:04:05.000000", "2006-01-02 15:04:05.999999999", "2006-01-02", time.RFC3339Nano}

func timeToStr(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(time.Unix(0, n).Format(timeForms[0])))
}

func strToTime(s *interp.Session) error {
	text, err := s.PopString()
	if err != nil {
		return err
	}
	for _, form := range timeForms[1:] {
		t, err := time.ParseInLocation(form, text, time.Local)
		if err != nil {
			continue
		}
		if t.Year() < 1678 || t.Year() > 2261 { // the years that fit in 64 bits of nanoseconds
			return fmt.Errorf("%s is too far away for nanoseconds since 1970", shown(text))
		}
		return s.Push(interp.NewInt(t.UnixNano()))
	}
	return interp.NewString(text).Unfit("a time such as 2026-11-24 06:30:00 or 2026-11-24T06:30:00Z")
}

func timeAndDate(s *interp.Session) error {
	t := time.Now()
	for _, n := range []int{t.Second(), t.Minute(), t.Hour(), t.Day(), int(t.Month()), t.Year()} {
		if err := s.Push(interp.NewInt(int64(n))); err != nil {
			return err
		}
	}
	return nil
}

var errTimer = errors.New("no timer is running; start one with timer-start")

// stopwatch is the key under which a session keeps the start of its timer.
type stopwatch struct{}

func timerStart(s *interp.Session) error {
	s.SetLocal(stopwatch{}, time.Now())
	return nil
}

func timerShow(s *interp.Session) error {
	start, ok := s.Local(stopwatch{}).(time.Time)
	if !ok {
		return errTimer
	}
	s.Printf("%d microseconds elapsed\n", time.Since(start).Microseconds())
	return nil
}
