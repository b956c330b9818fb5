// Package systemd is what a program says to a service manager: its state, by
// sd_notify(3), and its log, by the journal's stream. Without one both are nothing.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// States for Notify.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Reloading is the state of a program that reads its configuration anew; Ready ends it.
func Reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// Managed says whether a service manager has started this program.
func Managed() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Notify tells the service manager the state, if there is one that listens
// (NOTIFY_SOCKET). It waits for nothing.
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

// journal is where the journal takes streams of lines; see systemd-cat(1).
var journal = "/run/systemd/journal/stdout"

// Journal opens a stream into the journal: every line written to it becomes an entry
// of the program.
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
