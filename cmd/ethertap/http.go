// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"time"

	"ethertap/cmd/internal/reading"
	"ethertap/cmd/internal/web"
)

// fresh is how old a reading may be that is shown by HTTP: the engine is asked no more often, whoever asks.
const fresh = 100 * time.Millisecond

// serveHTTP serves what the tap shows, if that is wanted, until stop is called. It begins before the configuration runs, so that
// an address that is in use is an error before an interface is touched.
func (p *program) serveHTTP() (stop func(), err error) {
	if p.http == nil {
		return func() {}, nil
	}
	l, err := p.http.Listen()
	if err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	p.logf("http: listening on %s", l.Addr())
	source := reading.NewSource(func(tables bool) *reading.Reading { return reading.Read(p.engine, tables) }, fresh)
	s := web.New(web.Options{Instance: p.name, Source: source, Top: p.top})
	go func() {
		if err := s.Serve(l); err != nil {
			p.logf("http: %v", err)
		}
	}()
	return func() {
		s.Close()
		l.Close() // if Serve has not begun yet
	}, nil
}
