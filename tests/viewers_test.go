// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// viewers is how many look at a tap at a time.
const viewers = 10

// watchPage reads the changes of the page, until the test ends, and tells of each.
func watchPage(t *testing.T, socket string, seen chan<- struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	q, err := http.NewRequestWithContext(ctx, "GET", "http://localhost/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := overSocket(socket)
	c.Timeout = 0
	a, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if a.StatusCode != 200 {
		t.Fatal(a.Status)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewReaderSize(a.Body, 1<<20)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "data: ") {
				select {
				case seen <- struct{}{}:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); a.Body.Close(); <-done })
}

// Ten viewers of the page, and ten of the terminal view, take less than 32 MiB of ethertap's memory in a minute of
// traffic.
func TestSoakViewersMemory(t *testing.T) {
	if !soak() {
		t.Skip("takes two minutes: make soak")
	}
	for _, kind := range []string{"pages", "terminals"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t)
			socket := filepath.Join(r.dir, "http.sock")
			r.daemon("--http", socket)
			r.rpcl("0 tap.rx.enable")
			frames := netlab.Mix(1, 2000)
			r.sendAll(frames...)
			before, _ := resident(t, r.pid())
			seen := make(chan struct{}, 1)
			var seats []*seat
			for range viewers {
				if kind == "pages" {
					watchPage(t, socket, seen)
					continue
				}
				s := sitAt(t, r.command(r.control, "ethertap", "live"))
				s.shows(true, "1 d1  up · ")
				seats = append(seats, s)
			}
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
				r.send(frames...)
			}
			_, most := resident(t, r.pid())
			grown := (most - before) >> 10
			t.Logf("%d KiB without viewers, at most %d with %d: %d MiB more", before, most, viewers, grown)
			if grown >= 32 {
				t.Errorf("%d MiB more", grown)
			}
			if kind == "pages" {
				<-seen
			}
			for _, s := range seats {
				s.Type("q")
				s.ends(0)
			}
		})
	}
}

// A thousand clients by HTTP keep no frame from its way. Those for whom there is room send half a request, or take
// nothing of an answer; the others are told so, and the prompt and a viewer go on.
func TestThousandClientsWhileBridging(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	socket := filepath.Join(r.dir, "http.sock")
	r.daemon("--http", socket)
	r.rpcl("0 tap.rx.enable")
	seen := make(chan struct{}, 1)
	watchPage(t, socket, seen)
	frames := netlab.Mix(1, 2000)
	const clients, slow = 1000, 127 // there is room for one more, the viewer
	refused := 0
	for n := range clients {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		request := "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
		switch {
		case n >= slow:
		case n%2 == 0:
			request = "GET / HTTP/1.1\r\nHost: loc" // the rest does not come
		default:
			request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n" // and nobody reads
		}
		_, err = io.WriteString(c, request)
		if n >= slow { // it is served only if one of the slow ones has been given up meanwhile
			a, err := http.ReadResponse(bufio.NewReader(c), nil)
			switch {
			case err != nil:
				t.Fatalf("client %d: %v", n, err)
			case a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
				refused++
			case a.StatusCode != http.StatusOK:
				t.Fatalf("client %d: %v", n, a)
			}
		} else if err != nil {
			t.Fatalf("client %d: %v", n, err)
		}
		if n%100 == 99 {
			r.sendAll(frames[n/100*200:][:200]...)
		}
	}
	if refused == 0 {
		t.Errorf("none of %d was refused", clients)
	}
	t.Logf("%d were refused", refused)
	netlab.Await(t, "all frames have left", func() bool { return r.stat(1, "tx") == fmt.Sprint(len(frames)) })
	r.rpcl("if.check")
	for range 2 { // the viewer that came first
		select {
		case <-seen:
		case <-time.After(patience):
			t.Fatal("the page does not change any more")
		}
	}
}
