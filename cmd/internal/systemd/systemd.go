// SPDX-License-Identifier: BSD-3-Clause

// Package systemd talks to a service manager: it sends the state, by sd_notify(3), and the log,
// to the stream of the journal. Without a service manager it does nothing.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// These are states for Notify.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Reloading returns the state of a program that reads its configuration again; Ready ends it.
func Reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// Managed says whether a service manager has started this program.
func Managed() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Notify sends the state to the service manager, if one listens (NOTIFY_SOCKET). It does not
// wait.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // an abstract name
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}

// journal is the socket of the journal for streams of lines; see systemd-cat(1).
var journal = "/run/systemd/journal/stdout"

// Journal opens a stream into the journal: every line written to it becomes an entry of the
// program.
func Journal(program string) (*os.File, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: journal, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer conn.Close()
	const information = 6 // the priority of lines that do not begin with "<N>"
	// identifier, unit, priority, level prefix, forward to syslog, kmsg, console
	if _, err := fmt.Fprintf(conn, "%s\n\n%d\n1\n0\n0\n0\n", program, information); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	f, err := conn.File()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return f, nil
}
