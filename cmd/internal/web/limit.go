// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"io"
	"net"
	"sync"
	"time"
)

// Limits of a server.
const (
	maxClients = 128             // connections at a time
	maxRefused = 256             // connections that are being told that there are too many
	refuseTime = 2 * time.Second // how long that may take
)

// refusal is what a connection too many is answered.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 21\r\n\r\ntoo many connections\n"

// limited is a listener with at most max connections at a time. One too many is answered, and closed.
type limited struct {
	net.Listener
	serving chan struct{} // a token for each connection
	refused chan struct{}
}

func limit(l net.Listener, max int) *limited {
	return &limited{l, make(chan struct{}, max), make(chan struct{}, maxRefused)}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.serving <- struct{}{}:
			return &counted{Conn: c, leave: func() { <-l.serving }}, nil
		default:
			l.refuse(c)
		}
	}
}

// refuse answers a connection without waiting for its request. What the client sends meanwhile is read, since a connection that is
// closed with unread data is reset, by which the client may lose the answer. When many are refused at a time, that is left out.
func (l *limited) refuse(c net.Conn) {
	answer := func() {
		c.SetDeadline(time.Now().Add(refuseTime))
		io.WriteString(c, refusal) // fits in any send buffer; whoever is gone needs no answer
	}
	select {
	case l.refused <- struct{}{}:
		go func() {
			defer func() { <-l.refused }()
			defer c.Close()
			answer()
			if half, ok := c.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
			io.CopyN(io.Discard, c, 64<<10)
		}()
	default:
		answer()
		c.Close()
	}
}

// counted is a connection that gives its token back when it is closed.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
