// SPDX-License-Identifier: BSD-3-Clause

package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type kind uint8

const (
	end    kind = iota
	word        // a keyword or a name
	name        // \name: never a keyword
	number      // 32 bits
	dotted      // 10.1, 192.168.1, 1.2.3.4
	mac
	ipv6
	symbol // operators and brackets
)

// token is a piece of the expression.
type token struct {
	kind kind
	text string
	at   int        // byte in the expression, from 0
	n    uint32     // of number and dotted
	bits int        // of dotted: 8 per part
	mac  [6]byte    // of mac
	addr netip.Addr // of ipv6
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return strconv.Quote(t.text)
}

var (
	wordRun   = regexp.MustCompile(`^[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?`)
	colonRun  = regexp.MustCompile(`^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`)
	macColons = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}$`)
	macDashes = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}-){5}[0-9A-Fa-f]{1,2}$`)
	macDots   = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}\.){5}[0-9A-Fa-f]{1,2}$|^(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$`)
	macBare   = regexp.MustCompile(`^[0-9A-Fa-f]{12}$`)
	numberRun = regexp.MustCompile(`^(?:0[xX][0-9A-Fa-f]+|[0-9]+)$`)
	dottedRun = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+){1,3}$`)
	escaped   = regexp.MustCompile(`^\\[^ !()\n\t]+`)
	symbols   = regexp.MustCompile(`^(?:&&|\|\||<<|>>|<=|>=|!=|==|[][()!=<>+*/%&|^:-])`)
)

// lex splits an expression into tokens, the last of which is the end.
func lex(s string) ([]token, error) {
	var tokens []token
	for at := 0; ; {
		rest := strings.TrimLeft(s[at:], " \t\r\n")
		at = len(s) - len(rest)
		if rest == "" {
			return append(tokens, token{kind: end, at: at}), nil
		}
		t, err := first(rest)
		if err != nil {
			return nil, fmt.Errorf("at %d: %w", at+1, err)
		}
		t.at = at
		at += len(t.text)
		if t.kind == name {
			t.text = t.text[1:]
		}
		tokens = append(tokens, t)
	}
}

// first returns the token that the text begins with.
func first(s string) (token, error) {
	if run := colonRun.FindString(s); run != "" {
		if macColons.MatchString(run) {
			return macToken(run)
		}
		// "tcp[0:2]" and "ether[2:" are not addresses.
		if a, err := netip.ParseAddr(run); err == nil {
			return token{kind: ipv6, text: run, addr: a}, nil
		}
		if strings.Count(run, ":") > 1 {
			return token{}, fmt.Errorf("%s is neither a MAC nor an IPv6 address", run)
		}
	}
	run := wordRun.FindString(s)
	switch {
	case run == "":
	case macBare.MatchString(run), macDashes.MatchString(run), macDots.MatchString(run):
		return macToken(run)
	case numberRun.MatchString(run):
		n, err := strconv.ParseUint(strings.ToLower(run), 0, 32)
		if err != nil {
			return token{}, fmt.Errorf("%s is not a number of 32 bits", run)
		}
		return token{kind: number, text: run, n: uint32(n)}, nil
	case dottedRun.MatchString(run):
		return dottedToken(run)
	default:
		if n, ok := constants[run]; ok {
			return token{kind: number, text: run, n: n}, nil
		}
		return token{kind: word, text: run}, nil
	}
	if run := escaped.FindString(s); run != "" {
		return token{kind: name, text: run}, nil
	}
	if run := symbols.FindString(s); run != "" {
		return token{kind: symbol, text: run}, nil
	}
	return token{}, fmt.Errorf("%q has no meaning here", s[:1])
}

func dottedToken(run string) (token, error) {
	t := token{kind: dotted, text: run}
	for part := range strings.SplitSeq(run, ".") {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return t, fmt.Errorf("%s is no address: %s is beyond 255", run, part)
		}
		t.n = t.n<<8 | uint32(n)
		t.bits += 8
	}
	return t, nil
}

func macToken(run string) (token, error) {
	t := token{kind: mac, text: run}
	parts := strings.FieldsFunc(run, func(r rune) bool { return r == ':' || r == '-' || r == '.' })
	if len(parts) != 6 { // groups of four digits, or all twelve
		digits := strings.Join(parts, "")
		parts = nil
		for pair := range slices.Chunk([]byte(digits), 2) {
			parts = append(parts, string(pair))
		}
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return t, errors.New(run + " is no MAC address")
		}
		t.mac[i] = byte(n)
	}
	return t, nil
}
