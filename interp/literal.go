// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseLiteral reads a bare token as a literal: integer, character, MAC, MAC range, IP or IP
// range. ok is false if the token has none of their forms. An error says that it has one of the
// forms, but no value (a number out of range, a range that ends before it begins).
func ParseLiteral(tok string) (v Value, ok bool, err error) {
	if tok == "" || !literalStart(tok[0]) {
		return Value{}, false, nil
	}
	if n, ok, err := parseForth(tok); ok {
		return NewInt(n), true, err
	}
	if n, ok, err := parseInt(tok); ok {
		return NewInt(n), true, err
	}
	if a, ok := parseMAC(tok); ok { // a number would have been found before
		return NewMAC(a), true, nil
	}
	if lo, hi, ok := parseMACRange(tok); ok {
		if macBits(lo[:]) > macBits(hi[:]) {
			return Value{}, true, errBackwards
		}
		return NewMACRange(lo, hi), true, nil
	}
	if !strings.ContainsAny(tok, ".:") {
		return Value{}, false, nil
	}
	if a, ok := parseIP(tok); ok {
		return NewIP(a), true, nil
	}
	lo, hi, found := strings.Cut(tok, "-")
	if !found {
		return Value{}, false, nil
	}
	if a, ok := parseIP(lo); ok {
		if b, ok := parseIP(hi); ok {
			switch {
			case a.Is4() != b.Is4():
				return Value{}, true, errors.New("the range mixes IPv4 and IPv6")
			case b.Less(a):
				return Value{}, true, errBackwards
			}
			return NewIPRange(a, b), true, nil
		}
	}
	return Value{}, false, nil
}

// literalStart says whether a literal may begin with c, to save the parsers other tokens.
func literalStart(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' ||
		c == '-' || c == ':' || c == '$' || c == '%' || c == '\''
}

// parseForth reads the numbers for which Forth has prefixes: $ff, %101, each with an optional
// minus sign before or after the prefix, and 'a', the number of a character. They are literals
// only in source; a string such as "$5" is not a number.
func parseForth(s string) (n int64, ok bool, err error) {
	if r, size := utf8.DecodeRuneInString(strings.TrimPrefix(s, "'")); len(s) == size+2 && s[0] == '\'' && s[size+1] == '\'' {
		return int64(r), true, nil
	}
	digits, minus := strings.CutPrefix(s, "-")
	base := 0
	switch {
	case len(digits) < 2:
		return 0, false, nil
	case digits[0] == '$':
		base = 16
	case digits[0] == '%':
		base = 2
	default:
		return 0, false, nil
	}
	digits = digits[1:]
	if !minus {
		digits, minus = strings.CutPrefix(digits, "-")
	}
	return parseBits(digits, base, minus)
}

// parseBits reads digits that may use all 64 bits; with a minus sign they wrap then.
func parseBits(digits string, base int, minus bool) (n int64, ok bool, err error) {
	u, err := strconv.ParseUint(digits, base, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, false, nil
	case err != nil:
		return 0, true, errRange
	case minus:
		u = -u
	}
	return int64(u), true, nil
}

// parseInt reads decimal, 0x and 0b numbers, with an optional minus sign. Hexadecimal and binary
// ones may use all 64 bits, and wrap then.
func parseInt(s string) (n int64, ok bool, err error) {
	digits, minus := strings.CutPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, false, nil
	}
	if len(digits) > 2 && digits[0] == '0' {
		base := 0
		switch digits[1] {
		case 'x', 'X':
			base = 16
		case 'b', 'B':
			base = 2
		}
		if base != 0 {
			return parseBits(digits[2:], base, minus)
		}
	}
	n, err = strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, false, nil
	}
	if err != nil {
		return 0, true, errRange
	}
	return n, true, nil
}

var (
	errRange     = errors.New("number out of range (64 bits)")
	errBackwards = errors.New("the range ends before it begins")
)

// parseMAC reads an Ethernet address in the usual forms: six pairs of hexadecimal digits with
// colons or dashes between them, three groups of four with dots, or twelve digits. Twelve decimal
// digits are an address where one is wanted; as a literal they are a number.
func parseMAC(s string) (a [6]byte, ok bool) {
	group, separator := 12, byte(0)
	switch len(s) {
	case 12:
	case 14:
		group, separator = 4, '.'
	case 17:
		if group, separator = 2, s[2]; separator != ':' && separator != '-' {
			return a, false
		}
	default:
		return a, false
	}
	at := 0
	for i := range 12 {
		if i > 0 && i%group == 0 {
			if s[at] != separator {
				return a, false
			}
			at++
		}
		digit := hexValue(s[at])
		if digit < 0 {
			return a, false
		}
		a[i/2] = a[i/2]<<4 | byte(digit)
		at++
	}
	return a, true
}

// parseMACRange reads two Ethernet addresses with a dash between them. Two decimal numbers of
// twelve digits are not a range.
func parseMACRange(s string) (lo, hi [6]byte, ok bool) {
	for _, n := range []int{12, 14, 17} { // digits of the first address
		if len(s) > n && s[n] == '-' {
			lo, ok = parseMAC(s[:n])
			if !ok {
				continue
			}
			if hi, ok = parseMAC(s[n+1:]); ok {
				return lo, hi, len(s) != 12+1+12 || strings.Trim(s, "0123456789-") != ""
			}
		}
	}
	return lo, hi, false
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseIP reads an IP address without a zone.
func parseIP(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == ""
}
