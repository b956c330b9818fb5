package main

import (
	"os"
	"os/signal"
	"syscall"
)

// caught delivers the signals that stop the program cleanly. From the start of the
// program's changes on, none of them ends it in the midst of things; a second one,
// should stopping hang, does.
type caught struct {
	C   <-chan os.Signal
	raw chan os.Signal
}

func catchSignals() caught {
	stopping := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		stopping = append(stopping, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // a reader of our output that went away is an error of the write
	raw, c := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(raw, stopping...)
	go func() {
		if s, ok := <-raw; ok {
			signal.Reset(stopping...)
			c <- s
		}
	}()
	return caught{c, raw}
}

func (s caught) stop() {
	signal.Stop(s.raw)
	close(s.raw)
}
