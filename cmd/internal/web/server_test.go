// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/dataplane/policy"
)

// patience bounds what a test waits for; nothing takes so long when all is well.
const patience = 30 * time.Second

// idle returns a source of readings of an engine that is in some state.
func idle(s dataplane.Snapshot) *reading.Source {
	s.Policy = policy.New()
	return reading.NewSource(func(bool) *reading.Reading {
		now := s
		now.Time = time.Now()
		return &reading.Reading{Snapshot: now}
	}, time.Minute)
}

// serve starts a server on a port of its own and returns its address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	a, err := ParseAddress("0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s := New(o)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// get asks for a path.
func get(t *testing.T, address, path string) (status int, body string, header http.Header) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

func TestPaths(t *testing.T) {
	address := serve(t, Options{Source: idle(dataplane.Snapshot{Waiting: "bypass: /sys/fs/bpf/ethertap: busy"})})
	for _, c := range []struct {
		path   string
		status int
		body   string // a part of it
	}{
		{"/metrics", 200, "\nethertap_running 0\n"},
		{"/healthz", 200, "ok\n"},
		{"/readyz", 503, "not forwarding: bypass: …: busy\n"},
		{"/etc/passwd", 404, ""},
		{"/../../etc/passwd", 404, ""},
		{"/metrics/", 404, ""},
		{"/debug/pprof/", 404, ""},
	} {
		status, body, h := get(t, address, c.path)
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s: %d %q", c.path, status, body)
		}
		if h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", c.path, h)
		}
		if strings.Contains(body, "passwd") {
			t.Errorf("%s: the path comes back: %q", c.path, body)
		}
	}
	ready := serve(t, Options{Source: idle(dataplane.Snapshot{Running: true})})
	if status, body, _ := get(t, ready, "/readyz"); status != 200 || body != "forwarding\n" {
		t.Errorf("ready: %d %q", status, body)
	}
}

// Nothing but GET and HEAD, and nothing that was meant for another host.
func TestRefused(t *testing.T) {
	address := serve(t, Options{Source: idle(dataplane.Snapshot{})})
	for _, c := range []struct {
		method, host string
		status       int
	}{
		{"GET", address, 200}, {"HEAD", address, 200}, {"GET", "localhost:1", 200}, {"GET", "[::1]:99", 200},
		{"POST", address, 405}, {"PUT", address, 405}, {"DELETE", address, 405}, {"CONNECT", address, 405}, {"BREW", address, 405},
		{"GET", "evil.example", 421}, {"GET", "127.0.0.1.evil.example:80", 421}, {"POST", "evil.example", 421},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, c.method+" /healthz HTTP/1.1\r\nHost: "+c.host+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s for %s: %v", c.method, c.host, err)
		}
		if r.StatusCode != c.status {
			t.Errorf("%s for %s: %d, want %d", c.method, c.host, r.StatusCode, c.status)
		}
		conn.Close()
	}
}

// A header that is too long is refused.
func TestHeaderHasALimit(t *testing.T) {
	address := serve(t, Options{Source: idle(dataplane.Snapshot{})})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 1<<16)+"\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v, %v", r, err)
	}
}

// Of a thousand connections that say nothing as many as there is room for are kept. The others are told, at once, and when one
// leaves there is room again.
func TestThousandConnections(t *testing.T) {
	address := serve(t, Options{Source: idle(dataplane.Snapshot{Running: true})})
	const clients = 1000
	var mu sync.Mutex
	var silent []net.Conn
	refused := 0
	var wg sync.WaitGroup
	defer func() {
		for _, c := range silent {
			c.Close()
		}
	}()
	// The first ones are served, as their answers show, and then stay.
	for range maxClients {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != 200 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	for range clients - maxClients {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
				t.Errorf("one too many: %v, %v", r, err)
				return
			}
			mu.Lock()
			refused++
			mu.Unlock()
		})
	}
	wg.Wait()
	if refused != clients-maxClients {
		t.Errorf("%d of %d were refused", refused, clients-maxClients)
	}
	silent[0].Close()
	for deadline := time.Now().Add(patience); ; {
		if status, _, _ := get(t, address, "/healthz"); status == 200 {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("there is no room after one has left")
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	a, err := ParseAddress(path)
	if err != nil {
		t.Fatal(err)
	}
	stale, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second one: %v", err)
	}
	if err := a.Check(false); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second one: %v", err)
	}
	if err := a.Check(true); err != nil {
		t.Errorf("one in the place of the first: %v", err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	l, err := a.Listen()
	if err != nil {
		t.Fatalf("over a stale one: %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	s := New(Options{Source: idle(dataplane.Snapshot{Running: true})})
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	r, err := c.Get("http://anything/readyz")
	if err != nil || r.StatusCode != 200 {
		t.Errorf("%v, %v", r, err)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	os.WriteFile(path, []byte("precious"), 0o600)
	if _, err := a.Listen(); err == nil {
		t.Error("a file was replaced")
	}
}

// What Listen would say is known before, and nothing is left of the question.
func TestCheckAddress(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		address   string
		replacing bool
		want      string // part of the error; "": none
	}{
		{address: "0"},
		{address: l.Addr().String(), want: "address already in use"},
		{address: l.Addr().String(), replacing: true},
		{address: "192.0.2.1:9977", replacing: true, want: "cannot assign requested address"},
		{address: filepath.Join(dir, "sock")},
		{address: file, replacing: true, want: "is no socket"},
		{address: filepath.Join(dir, "none/sock"), replacing: true, want: "none/sock: "},
		{address: "/" + strings.Repeat("x", 120), want: "longer than"},
	} {
		a, err := ParseAddress(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Check(c.replacing); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %v: %v", c.address, c.replacing, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"9977": "127.0.0.1:9977", ":9977": ":9977", "0.0.0.0:80": "0.0.0.0:80", "[::1]:80": "[::1]:80", "tap.example:80": "tap.example:80", "/run/x.sock": "/run/x.sock", "0": "127.0.0.1:0",
	} {
		if a, err := ParseAddress(text); err != nil || a.address != want {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "http", "65536", "-1", "::1:80", "host:", "host:http", "a:b:c", "run/x.sock"} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%q: %+v", text, a)
		}
	}
}

func TestWithoutPaths(t *testing.T) {
	for in, want := range map[string]string{
		"port eth0: bind: device busy":         "port eth0: bind: device busy",
		"open /sys/fs/bpf/x/y: no such file":   "open …: no such file",
		"/a: b (/c/d), 10/100 Mbit/s, x='/e'.": "…: b (…), 10/100 Mbit/s, x='…'.",
	} {
		if got := withoutPaths(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Whatever is sent, an answer is a whole one of HTTP or none, and the server lives.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\n\r\nGET /events HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\nAccept-Encoding: gzip, zstd\r\n\r\n",
		"GET http://evil/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
		"GET /%2e%2e/%00 HTTP/1.1\r\nHost: [::1]\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "GET /metrics?name[]=a HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1,1-2\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	s := New(Options{Source: idle(dataplane.Snapshot{Running: true})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	go s.Serve(l)
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, request []byte) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		go func() {
			c.Write(request)
			c.(*net.TCPConn).CloseWrite()
		}()
		answer, err := io.ReadAll(c)
		var op *net.OpError
		if err != nil && !errors.As(err, &op) { // a reset is an answer, too
			t.Fatal(err)
		}
		if err == nil && len(answer) > 0 {
			r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
			if err != nil {
				t.Fatalf("%q: %v", answer, err)
			}
			if r.StatusCode == http.StatusInternalServerError {
				t.Fatalf("%q", answer)
			}
		}
	})
}
