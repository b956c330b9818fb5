// SPDX-License-Identifier: BSD-3-Clause

// Package stream puts the packets of a run into a stream of NATS JetStream, and takes them out of one.
//
//	collect.Collector → Output: collect.Sections → message → the stream ( acknowledges )
//	the stream → Reader: tap by tap in order → merged by time → collect.Collector ( acknowledges )
//	the stream → Open: headers → the messages that can have what is looked for → collect/recall
//
// A message is a whole PCAPNG section of at most 512 KiB, so any program can read it, and messages one
// after the other are a file. docs/many-taps.md specifies subjects and headers.
//
// The package does nothing on the network before Publish, Read or Open is called. It knows no command
// lines and no queues.
package stream

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Address names a stream and chooses taps in it.
type Address struct {
	Servers []string // nats://host:port
	Stream  string
	Domain  string // of JetStream, "" is the server's own
	// Patterns of path.Match for the taps that are read; "" is all.
	Host, Instance, Queue string

	text string
}

// Is says whether a name is meant as the address of a stream.
func Is(name string) bool {
	return strings.HasPrefix(name, "nats://") || strings.HasPrefix(name, "tls://")
}

var errAddress = errors.New("an address such as nats://host:4222,host2:4222/STREAM")

// Parse reads an address: nats://host:port,host2:port/STREAM?host=rack*&instance=a&queue=tap&domain=hub.
// tls:// in the place of nats:// insists on TLS.
func Parse(text string) (Address, error) {
	a := Address{text: text}
	fail := func(format string, args ...any) (Address, error) {
		return a, fmt.Errorf("%s: %s", text, fmt.Sprintf(format, args...))
	}
	scheme, rest, _ := strings.Cut(text, "://")
	if !Is(text) {
		return fail("%v", errAddress)
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		a.text = scheme + "://" + rest[at+1:]
		return a, fmt.Errorf("%s: a password in an address can be seen by all users of the machine; --creds, --nkey or --tlskey name a file", a.text)
	}
	rest, query, _ := strings.Cut(rest, "?")
	servers, name, _ := strings.Cut(rest, "/")
	for _, s := range strings.Split(servers, ",") {
		u, err := url.Parse(scheme + "://" + s)
		if err != nil || u.Hostname() == "" || s == "" {
			return fail("%q is no server; %v", s, errAddress)
		}
		a.Servers = append(a.Servers, u.String())
	}
	if a.Stream = name; name == "" {
		return fail("the name of the stream is missing; %v", errAddress)
	}
	if strings.ContainsAny(name, " \t.*>/\\") {
		return fail("%q cannot be the name of a stream: it has no blanks, dots, slashes, * or >", name)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return fail("%v", err)
	}
	fields := map[string]*string{"host": &a.Host, "instance": &a.Instance, "queue": &a.Queue, "domain": &a.Domain}
	for key, all := range values {
		field := fields[key]
		if field == nil {
			return fail("no such choice as %s; there are host, instance, queue and domain", key)
		}
		if len(all) > 1 {
			return fail("%s is there twice; a pattern may have *, ? and [abc]", key)
		}
		if _, err := path.Match(all[0], ""); err != nil {
			return fail("%s=%s: %v", key, all[0], err)
		}
		*field = all[0]
	}
	return a, nil
}

// String returns the address as it was given.
func (a Address) String() string { return a.text }

// Chooses says whether the address chooses taps among those of the stream.
func (a Address) Chooses() bool { return a.Host != "" || a.Instance != "" || a.Queue != "" }

// matches says whether a tap is chosen.
func (a Address) matches(t Tap) bool {
	for _, f := range [...][2]string{{a.Host, t.Host}, {a.Instance, t.Instance}, {a.Queue, t.Queue}} {
		if ok, err := path.Match(f[0], f[1]); f[0] != "" && (err != nil || !ok) {
			return false
		}
	}
	return true
}

// subject returns the subject of all taps that can be chosen: the server passes on no others. A part
// with a pattern is one that the server cannot choose by.
func (a Address) subject() string {
	part := func(pattern string) string {
		if pattern == "" || strings.ContainsAny(pattern, `*?[\`) {
			return "*"
		}
		return token(pattern)
	}
	return subjects + "." + part(a.Host) + "." + part(a.Instance) + "." + part(a.Queue)
}

// Tap is where packets come from: a queue of a host, and the ethertap that fills it.
type Tap struct{ Host, Instance, Queue string }

// String returns the three parts with slashes between them.
func (t Tap) String() string { return t.Host + "/" + t.Instance + "/" + t.Queue }

// subjects is what the subject of each tap begins with.
const subjects = "ethertap"

// subject returns the subject of a tap.
func (t Tap) subject() string {
	return subjects + "." + token(t.Host) + "." + token(t.Instance) + "." + token(t.Queue)
}

// token makes a part of a subject of a name.
func token(name string) string {
	t := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(".*>", r) {
			return '_'
		}
		return r
	}, name)
	if t == "" {
		return "_"
	}
	return t
}
