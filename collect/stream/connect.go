// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

const (
	// patience is how long a server has for an answer, and openPatience how long servers are asked when a
	// stream is opened: when one of a cluster has died, the others choose a leader first.
	patience     = 10 * time.Second
	openPatience = 30 * time.Second

	// closePatience is how long the end waits for a server when no packet hangs on it: until it has taken back
	// what a reader has not written, or knows that a run has ended.
	closePatience = 2 * time.Second

	// A connection whose server has not answered two questions, one every pingEvery, is given up.
	pingEvery = 3 * time.Second

	// A server that is gone is tried again after retryFirst, then after twice that, up to retryLast.
	retryFirst, retryLast = 100 * time.Millisecond, 5 * time.Second

	// leaderPatience is how long a cluster has to choose a leader: its servers call for a vote within 9 s
	// (minElectionTimeout and maxElectionTimeout of nats-server), and may need a second one.
	leaderPatience = 15 * time.Second

	// sayEvery is how often it is said that a stream does not answer, and how often another server is tried.
	sayEvery = time.Minute

	// leastPayload is the least limit of a server for messages, in bytes.
	leastPayload = 72 << 10

	// headroom is what the headers of a message may take, in bytes.
	headroom = 4 << 10
)

// Access says who we are and whom we trust: names of files, as of the options of nats(1) with the same
// names. "" is none.
type Access struct {
	Creds string // credentials: a JWT and its seed
	NKey  string // the seed of an NKEY
	CA    string // certificates of authorities, PEM
	Cert  string // our certificate, PEM
	Key   string // its key, PEM
}

// options returns the options of the client. It looks into the files itself, as the errors of the client come late or
// do not name the file.
func (a Access) options() ([]nats.Option, error) {
	var o []nats.Option
	if a.Creds != "" {
		b, err := os.ReadFile(a.Creds)
		if err != nil {
			return nil, err
		}
		_, noToken := nkeys.ParseDecoratedJWT(b)
		if _, err := nkeys.ParseDecoratedUserNKey(b); err != nil || noToken != nil {
			return nil, fmt.Errorf("%s: these are no credentials of a user, which have a JWT and an NKEY", a.Creds)
		}
		o = append(o, nats.UserCredentials(a.Creds))
	}
	if a.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(a.NKey)
		if err != nil {
			return nil, inFile(a.NKey, err)
		}
		o = append(o, key)
	}
	if a.CA != "" {
		b, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s: there is no certificate in it (PEM)", a.CA)
		}
		o = append(o, nats.RootCAs(a.CA))
	}
	if a.Cert != "" {
		if _, err := tls.LoadX509KeyPair(a.Cert, a.Key); err != nil {
			return nil, inFile(a.Cert+" and "+a.Key, err)
		}
		o = append(o, nats.ClientCert(a.Cert, a.Key))
	}
	return o, nil
}

// inFile returns an error that names the file. That of the system does so, without what the client puts in front of it.
func inFile(name string, err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path
	}
	return fmt.Errorf("%s: %w", name, err)
}

// link is a connection to the servers of a stream.
type link struct {
	address Address
	nc      *nats.Conn
	js      jetstream.JetStream
	logf    func(format string, args ...any)

	mu     sync.Mutex
	notify func()    // the connection was lost or made again, or something is not allowed; nil: nobody wants to know
	lost   time.Time // since when there is no server; zero: there is one
	left   time.Time // when a server was left for another
	closed bool
	denied error // what the server said last that it does not allow
}

// connect connects to one of the servers. It returns an error if none can be used: later ones are
// waited for, this one is not.
func connect(ctx context.Context, a Address, access Access, logf func(string, ...any)) (*link, error) {
	l := &link{address: a, logf: logf}
	o, err := access.options()
	if err != nil {
		return nil, l.wrong(err)
	}
	o = append(o,
		nats.Name("EtherTAP"), nats.Timeout(patience/2), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // what is not acknowledged is sent again, so nothing is kept for a server that is gone
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(patience),
		nats.CustomReconnectDelay(backoff),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.disconnected(err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { l.reconnected(nc) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.told(err) }),
	)
	// Connect knows no context, but ends by itself: each server has half of patience.
	if l.nc, err = nats.Connect(strings.Join(a.Servers, ","), o...); err != nil {
		return nil, l.wrong(reason(err))
	}
	if ctx.Err() != nil {
		l.close()
		return nil, l.wrong(context.Cause(ctx))
	}
	if a.Domain != "" {
		l.js, err = jetstream.NewWithDomain(l.nc, a.Domain)
	} else {
		l.js, err = jetstream.New(l.nc)
	}
	if err == nil && l.nc.MaxPayload() < leastPayload {
		err = fmt.Errorf("its max_payload is %d bytes, and packets need %d", l.nc.MaxPayload(), leastPayload)
	}
	if err != nil {
		l.close()
		return nil, l.wrong(err)
	}
	return l, nil
}

// backoff returns how long to wait before another attempt.
func backoff(attempts int) time.Duration { return pause(attempts, retryLast) }

// pause returns how long to wait before another attempt, and no longer than longest and a quarter.
func pause(attempts int, longest time.Duration) time.Duration {
	d := min(retryFirst<<min(max(attempts-1, 0), 10), longest)
	return d + rand.N(d/4) // not all taps at once
}

// wrong returns an error that names the address.
func (l *link) wrong(err error) error { return fmt.Errorf("%s: %w", l.address, err) }

// reason says in the words of this program what the client means.
func reason(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, nats.ErrNoServers), strings.Contains(text, "connection refused"):
		return errors.New("no server answers there")
	case errors.Is(err, nats.ErrAuthorization), strings.Contains(strings.ToLower(text), "authorization violation"):
		return errors.New("the server does not let us in; --creds, --nkey, or --tlscert with --tlskey say who we are")
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return errors.New("the certificate of the server is not of an authority that we trust; --tlsca names one")
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("the certificate of the server does not hold: %s", strings.TrimPrefix(text, "nats: tls error: tls: failed to verify certificate: "))
	case strings.Contains(text, "closed by remote after TLS handshake"), strings.Contains(text, "remote error: tls: "):
		return errors.New("the server wants a certificate of us that it trusts; --tlscert and --tlskey name one")
	case errors.Is(err, errUnanswered):
		return err
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return errors.New("the server has no JetStream for us; it is switched on in its configuration: jetstream {}")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, nats.ErrConnectionReconnecting),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded):
		return errUnanswered
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code == 503 { // it knows no leader
		return errUnanswered
	}
	return err
}

var errUnanswered = errors.New("the server does not answer; a cluster may be choosing a leader, or have lost its majority")

// opening calls open until it succeeds or fails for good. Servers that do not answer are asked again, for as
// long as openPatience.
func (l *link) opening(ctx context.Context, open func(context.Context) error) error {
	end := time.Now().Add(openPatience)
	for attempt := 1; ; attempt++ {
		asked, cancel := context.WithTimeout(ctx, patience/2)
		err := open(asked)
		cancel()
		switch {
		case ctx.Err() != nil:
			return l.wrong(context.Cause(ctx))
		case !errors.Is(err, errUnanswered) || time.Now().After(end):
			return err
		}
		if attempt == 1 {
			l.logf("%v; asking again", err)
		}
		if !sleep(ctx, backoff(attempt)) {
			return l.wrong(context.Cause(ctx))
		}
	}
}

// sleep waits, and returns false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (l *link) disconnected(err error) {
	l.mu.Lock()
	said := !l.lost.IsZero() || l.closed
	if !said {
		l.lost = time.Now()
	}
	l.mu.Unlock()
	if said {
		return
	}
	why := ""
	if err != nil {
		why = ": " + strings.TrimPrefix(err.Error(), "nats: ")
	}
	l.logf("%s: the server is gone%s; waiting for one", l.address, why)
	l.changed()
}

func (l *link) reconnected(nc *nats.Conn) {
	l.mu.Lock()
	since := time.Since(l.lost)
	l.lost = time.Time{}
	l.mu.Unlock()
	l.logf("%s: connected to %s, after %.1f s", l.address, nc.ConnectedAddr(), since.Seconds())
	l.changed()
}

// elsewhere leaves a server for another one that the address or the server names, if a stream has not answered
// there since a time for the reason why. It does so after wait, and then every sayEvery. A
// server that has lost the others of its cluster is such a one: it has clients, and no leader.
func (l *link) elsewhere(since time.Time, wait time.Duration, why error) {
	if len(l.nc.Servers()) < 2 {
		return
	}
	l.mu.Lock()
	due := since.Add(wait)
	if l.left.After(since) {
		due = l.left.Add(sayEvery)
	}
	now := time.Now()
	leave := now.After(due) && l.lost.IsZero() && !l.closed
	if leave {
		l.left, l.lost = now, now
	}
	l.mu.Unlock()
	if leave {
		l.logf("%s: %v; trying another server than %s", l.address, why, l.nc.ConnectedAddr())
		l.nc.ForceReconnect()
	}
}

// hasten has a server that is gone tried again now.
func (l *link) hasten() {
	if !l.gone().IsZero() {
		l.nc.ForceReconnect()
	}
}

// told takes what the server or the client says on its own.
func (l *link) told(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return // of slow answers and the like, which are seen where they matter
	}
	l.mu.Lock()
	l.denied = fmt.Errorf("the server does not allow it: %s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "nats: "), "permissions violation: "))
	l.mu.Unlock()
	l.changed()
}

// denial returns what the server said last that it does not allow, and forgets it.
func (l *link) denial() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.denied
	l.denied = nil
	return err
}

// gone returns since when there is no server; zero: there is one.
func (l *link) gone() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// tell sets what is called when the connection was lost or made again, or something is not allowed.
func (l *link) tell(f func()) {
	l.mu.Lock()
	l.notify = f
	l.mu.Unlock()
}

func (l *link) changed() {
	l.mu.Lock()
	f := l.notify
	l.mu.Unlock()
	if f != nil {
		f()
	}
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.nc.Close()
}

// asked returns the error of a question to the server.
func (l *link) asked(err error) error {
	if denied := l.denial(); err != nil && denied != nil {
		err = denied
	}
	return l.wrong(reason(err))
}

// Check returns the error with which Publish or Read would fail, as far as the server can say it without
// being changed. That a stream is not there yet is none.
func Check(ctx context.Context, a Address, access Access) error {
	l, err := connect(ctx, a, access, func(string, ...any) {})
	if err != nil {
		return err
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := l.js.Stream(ctx, a.Stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return l.asked(err)
	}
	return nil
}
