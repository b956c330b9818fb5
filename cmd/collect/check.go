package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"ethertap/cmd/internal/detach"
	"ethertap/collect"
	"ethertap/shm"
)

// checked says what would keep a recording from beginning, a line for each mistake, beside
// those of the command line. It makes no file and takes no packet.
func checked(o options, stderr *os.File) (status int) {
	status = ok
	mistake := func(err error) {
		if err != nil {
			fmt.Fprintf(stderr, "collect: %v\n", err)
			status = failed
		}
	}
	q, err := shm.Open(o.queue, shm.Options{Role: shm.RoleOther, Name: "check", NoCreate: true})
	if err == nil {
		q.Close()
	} else if !errors.Is(err, fs.ErrNotExist) && !(errors.Is(err, shm.ErrStrange) && os.Geteuid() == 0) {
		mistake(err)
	}
	if o.output != "-" {
		mistake(collect.Check(o.output, o.streams))
	}
	mistake(detach.CheckLog(o.log))
	return status
}
