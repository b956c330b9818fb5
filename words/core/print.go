package core

import (
	"errors"
	"time"

	"ethertap/interp"
)

var printWords = []interp.Word{
	{Name: ".", Stack: "( item - )", Help: "prints an item; generic data as a hexdump", Example: "10.1.1.1 .", Func: printItem},
	{Name: ".x", Stack: "( item - )", Help: "prints any item as a hexdump", Example: "\"abc\" .x", Func: printHex},
	{Name: ".s", Stack: "( - )", Help: "shows the stack, top first", Example: "1 \"two\" 00:23:7d:86:71:ff .s", Func: printStack},
	{Name: "timer-start", Stack: "( - )", Help: "starts the stopwatch", Example: "timer-start", Func: timerStart},
	{Name: "timer-show", Stack: "( - )", Help: "shows the time since timer-start", Example: "timer-start", Func: timerShow},
}

func printItem(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	s.Print(v.Text() + "\n")
	return nil
}

func printHex(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	s.Print(interp.Hexdump(v.Bytes()))
	return nil
}

func printStack(s *interp.Session) error {
	for i := range s.Depth() {
		s.Printf("%2d %s\n", i, s.Peek(i).Source())
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
