// SPDX-License-Identifier: BSD-3-Clause

// Package pcap is the port that is a capture file. In reads one, and its packets are the frames that the engine
// receives; Out writes one from the frames that leave. Frames between two files keep the times of the packets:
// see port.Facts.Timed. The package does not know the other end.
package pcap

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ethertap/lib/capture"
)

// Prefix begins the name of such a port. The path of the file follows.
const Prefix = "pcap:"

// choice says which packets of a file are read.
type choice struct {
	any    bool   // those that were received on any interface
	number int    // else those of the interface with this number, if name is ""
	name   string // or with this name
}

// split divides the name of a port that is read into the path of the file and what is behind a #, a number or the
// name of an interface. A # belongs to the path if there is such a file.
func split(name string) (path string, c choice, err error) {
	path = strings.TrimPrefix(name, Prefix)
	if path == "" {
		return "", c, fmt.Errorf("%s: a path is needed, %sFILE", name, Prefix)
	}
	at := strings.LastIndexByte(path, '#')
	if at < 0 {
		return path, choice{any: true}, nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, choice{any: true}, nil
	}
	which := path[at+1:]
	path = path[:at]
	if path == "" || which == "" {
		return "", c, fmt.Errorf("%s: %sFILE#INTERFACE, by number or name", name, Prefix)
	}
	if n, err := strconv.Atoi(which); err == nil {
		if n < 0 {
			return "", c, fmt.Errorf("%s: interfaces have numbers from 0", name)
		}
		return path, choice{number: n}, nil
	}
	return path, choice{name: which}, nil
}

// of says whether a packet is to be read.
func (c *choice) of(r *capture.Reader, p *capture.Packet) bool {
	switch {
	case c.any:
		return p.Direction() != capture.Outbound
	case c.name != "":
		return r.Interfaces()[p.Interface].Name == c.name
	}
	return p.Interface == c.number
}

// there says whether the file has described the interface that is read.
func (c *choice) there(r *capture.Reader) bool {
	for i, f := range r.Interfaces() {
		if c.any || c.name != "" && f.Name == c.name || c.name == "" && i == c.number {
			return true
		}
	}
	return false
}

// SameFile says whether two ports would read and write the same file.
func SameFile(in, out string) bool {
	from, _, err := split(in)
	if err != nil {
		return false
	}
	a, errA := os.Stat(from)
	b, errB := os.Stat(strings.TrimPrefix(out, Prefix))
	return errors.Join(errA, errB) == nil && os.SameFile(a, b)
}
