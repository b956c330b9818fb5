// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"sync"
	"time"

	"ethertap/cmd/internal/reading"
)

// beat is how often the page changes.
const beat = time.Second

// Limits of the page's viewers.
const (
	maxViewers = 64               // at a time
	viewerTime = 10 * time.Second // to take one change
)

//go:embed page.html style.css live.js icon.svg
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page.html"))

// parts are the templates that change, each in the element whose id is its name.
var parts = []string{"state", "ports", "plots", "losses", "tap", "senders", "kinds", "force"}

// live takes a reading once a second, keeps what the plots need, and draws the page for all viewers at once.
type live struct {
	instance string
	source   *reading.Source

	mu      sync.Mutex // guards what follows
	past    *past
	viewers map[chan []byte]bool // each holds the newest change that its viewer has not taken
}

func newLive(instance string, source *reading.Source) *live {
	return &live{instance: instance, source: source, past: newPast(), viewers: map[chan []byte]bool{}}
}

// run follows the tap until ctx ends.
func (l *live) run(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.step(ctx)
		}
	}
}

// step takes a reading and tells the viewers, if there are any. One without an answer leaves the page as it is.
func (l *live) step(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	r, err := l.source.Get(ctx, l.watched())
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past.add(r)
	if len(l.viewers) == 0 {
		return
	}
	change, err := drawParts(newView(l.instance, r, l.past))
	if err != nil {
		return // a template cannot fail on its own values; tests draw them all
	}
	for v := range l.viewers {
		select { // what a slow viewer has not taken is out of date
		case <-v:
		default:
		}
		v <- change
	}
}

func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.viewers) > 0
}

// drawParts returns the parts by their ids, as JSON.
func drawParts(v *view) ([]byte, error) {
	all := map[string]string{}
	for _, name := range parts {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, name, v); err != nil {
			return nil, err
		}
		all[name] = b.String()
	}
	return json.Marshal(all)
}

// page serves the whole page.
func (l *live) page(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	now, err := l.source.Get(ctx, true)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	l.mu.Lock()
	v := newView(l.instance, now, l.past)
	l.mu.Unlock()
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "page", v); err != nil {
		say(w, http.StatusInternalServerError, "the page cannot be drawn")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// events serves the changes of the page, one a second, as server-sent events.
func (l *live) events(w http.ResponseWriter, r *http.Request) {
	changes := make(chan []byte, 1)
	if !l.enter(changes) {
		w.Header().Set("Retry-After", "10")
		say(w, http.StatusServiceUnavailable, "too many viewers")
		return
	}
	defer l.leave(changes)
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Time{}) != nil { // the stream lasts longer than a request may
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(text ...[]byte) bool {
		if control.SetWriteDeadline(time.Now().Add(viewerTime)) != nil {
			return false
		}
		_, err := w.Write(bytes.Join(text, nil))
		return err == nil && control.Flush() == nil
	}
	if !send([]byte("retry: 2000\n\n")) {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case c := <-changes:
			if !send([]byte("data: "), c, []byte("\n\n")) {
				return
			}
		}
	}
}

func (l *live) enter(viewer chan []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.viewers) >= maxViewers {
		return false
	}
	l.viewers[viewer] = true
	return true
}

func (l *live) leave(viewer chan []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, viewer)
}
