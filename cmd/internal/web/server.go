// SPDX-License-Identifier: BSD-3-Clause

// Package web serves what a running tap shows by HTTP: metrics, health, and a page for people. Nothing that
// it serves can change anything, and no client can keep it from serving others: connections, headers and times are limited.
// It reads the tap through a reading.Source and knows nothing of its words.
package web

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ethertap/cmd/internal/metrics"
	"ethertap/cmd/internal/reading"
)

// Times of a connection.
const (
	headerTime = 5 * time.Second  // to send the header of a request
	answerTime = 30 * time.Second // to take the answer
	idleTime   = time.Minute      // between two requests
	readyTime  = 2 * time.Second  // to find out whether frames are forwarded
)

// maxHeader is how many bytes the header of a request may have, besides what net/http adds for its buffers (4096).
const maxHeader = 8 << 10

// scrapes is how many scrapes are answered at a time.
const scrapes = 4

// Options describe a server.
type Options struct {
	Instance string // the name of the instance
	Source   *reading.Source
	Top      int // senders in the metrics; see metrics.Options
}

// Server is an HTTP server of one tap.
type Server struct {
	http *http.Server
	live *live
	end  context.CancelFunc // of what live does
	ends context.Context
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{live: newLive(o.Instance, o.Source)}
	s.ends, s.end = context.WithCancel(context.Background())
	s.http = &http.Server{
		ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		Handler: routes(o, s.live), ErrorLog: log.New(io.Discard, "", 0), // what clients do wrong is theirs, and could fill a disk
	}
	return s
}

// routes are all paths that there are.
func routes(o Options, l *live) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", l.page)
	mux.HandleFunc("GET /events", l.events)
	for _, f := range []struct{ name, file, kind string }{
		{"style.css", "style.css", "text/css"}, {"live.js", "live.js", "text/javascript"},
		{"icon.svg", "icon.svg", "image/svg+xml"}, {"favicon.ico", "icon.svg", "image/svg+xml"}, // browsers ask for the latter unasked
	} {
		b, err := files.ReadFile(f.file)
		if err != nil {
			panic(err) // it is in the program
		}
		mux.HandleFunc("GET /"+f.name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", f.kind+"; charset=utf-8")
			w.Write(b)
		})
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics.Registry(metrics.Options{Source: o.Source, Top: o.Top}), promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapes, EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		now, err := o.Source.Get(ctx, false)
		if err == nil {
			err = now.Ready()
		}
		if err != nil {
			say(w, http.StatusServiceUnavailable, withoutPaths(err.Error()))
			return
		}
		say(w, http.StatusOK, "forwarding")
	})
	return mux
}

// say answers with a line.
func say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, line+"\n") // a client that is gone needs none
}

// Serve answers on a listener until Close, and returns nil then. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	s.http.Handler = guard(s.http.Handler, loopback(l))
	go s.live.run(s.ends)
	if err := s.http.Serve(limit(l, maxClients)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends all connections at once.
func (s *Server) Close() error {
	s.end()
	return s.http.Close()
}

// allowed is what a browser may do with what it gets: load style, script and events from here, and nothing else.
const allowed = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard sets the headers of every answer, and refuses what could not be meant for a tap. local says that the listener
// is on a loopback address.
func guard(next http.Handler, local bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", allowed)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case local && !ownHost(r.Host):
			say(w, http.StatusMisdirectedRequest, "this is not the host that was asked for")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			h.Set("Connection", "close") // a body is not read
			say(w, http.StatusMethodNotAllowed, "only GET and HEAD: nothing can be changed here")
		default:
			next.ServeHTTP(w, r)
		}
	})
}
