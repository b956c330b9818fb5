// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp/console"
)

// Address is where a server listens.
type Address struct {
	network, address string
}

// ParseAddress reads an address: a port alone (on 127.0.0.1), HOST:PORT, :PORT (on all addresses), or the path of a Unix
// socket, which is absolute. Its errors do not name the option.
func ParseAddress(text string) (Address, error) {
	if strings.HasPrefix(text, "/") {
		return Address{"unix", text}, nil
	}
	host, port := "127.0.0.1", text
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return Address{}, errors.New("a port, HOST:PORT or the absolute path of a Unix socket")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Address{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
	} else {
		port = strconv.FormatUint(n, 10)
	}
	return Address{"tcp", net.JoinHostPort(host, port)}, nil
}

// Listen opens the address. A Unix socket is for the user and the group of the process; one that a dead process left is replaced.
func (a Address) Listen() (net.Listener, error) {
	if a.network == "tcp" {
		return net.Listen(a.network, a.address)
	}
	stale, err := isStale(a.address)
	if err == nil && stale {
		err = os.Remove(a.address)
	}
	if err != nil {
		return nil, err
	}
	return console.Listen(a.address, console.OwnGroup)
}

// Check returns the error with which Listen would fail now, and leaves nothing behind. With replacing, the address may be in use,
// by the process in whose place this one is to come.
func (a Address) Check(replacing bool) error {
	if a.network == "tcp" {
		l, err := net.Listen(a.network, a.address)
		switch {
		case err == nil:
			return l.Close()
		case replacing && errors.Is(err, unix.EADDRINUSE):
			return nil
		}
		return err
	}
	if _, err := isStale(a.address); err != nil && !(replacing && errors.Is(err, errInUse)) {
		return err
	}
	// A socket beside it shows what else there may be: no such directory, no right to write, a path that is too long.
	beside := a.address
	for _, end := range "~+-_0123456789" {
		beside = a.address[:len(a.address)-1] + string(end)
		if _, err := os.Lstat(beside); errors.Is(err, fs.ErrNotExist) && beside != a.address {
			break
		}
	}
	l, err := console.Listen(beside, console.OwnGroup)
	if err != nil {
		return fmt.Errorf("%s: %w", a.address, err)
	}
	return l.Close()
}

var errInUse = errors.New("somebody listens on it")

// isStale says whether there is a socket on which nobody listens. What is no socket is an error, and so is a socket of
// somebody who lives.
func isStale(path string) (bool, error) {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case st.Mode().Type() != fs.ModeSocket:
		return false, fmt.Errorf("%s is there and is no socket", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return false, fmt.Errorf("%s: %w", path, errInUse)
	case errors.Is(err, unix.ECONNREFUSED):
		return true, nil
	}
	return false, fmt.Errorf("%s: %w", path, err)
}

// loopback says whether only processes of this machine reach a listener by its address.
func loopback(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// ownHost says whether the Host of a request is a name that a listener on a loopback address may have. Any other means
// that a page of somebody else has made a browser ask here (DNS rebinding).
func ownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host) != nil
}
