// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text returns the value as `.` prints it, without the final newline: numbers, text and addresses
// as people read them, generic data as a hexdump.
func (v Value) Text() string {
	switch v.Kind() {
	case KindInt:
		return strconv.FormatInt(v.n, 10)
	case KindString:
		return v.ref.bytes
	case KindMAC:
		return formatMAC(bitsMAC(v.n))
	case KindMACRange:
		b := []byte(v.ref.bytes)
		return formatMAC([6]byte(b[:6])) + "-" + formatMAC([6]byte(b[6:]))
	case KindIP:
		return v.addr().String()
	case KindIPRange:
		lo, hi := v.bounds()
		return lo.String() + "-" + hi.String()
	}
	if t := subtypes[v.ref.sub]; t.size > 0 {
		if t.signed {
			return strconv.FormatInt(v.ref.dataInt(), 10)
		}
		return fmt.Sprintf("0x%0*x", 2*t.size, uint64(v.ref.dataInt()))
	}
	return strings.TrimSuffix(Hexdump([]byte(v.ref.bytes)), "\n")
}

// Source returns the value as the user would type it. Data is shown by its type and length:
// `[data length 99]`. `.s` and `.d` show this text.
func (v Value) Source() string {
	switch v.Kind() {
	case KindString:
		return Quote(v.ref.bytes)
	case KindData:
		return fmt.Sprintf("[%s length %d]", v.ref.sub, len(v.ref.bytes))
	}
	return v.Text()
}

// Quote returns s as an RPCL string literal.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError && n == 1:
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}

const hexDigits = "0123456789abcdef"

func formatMAC(a [6]byte) string {
	var b [17]byte
	for i, x := range a {
		b[3*i], b[3*i+1] = hexDigits[x>>4], hexDigits[x&15]
		if i < 5 {
			b[3*i+2] = ':'
		}
	}
	return string(b[:])
}

// Int returns v as an integer. Strings that read as a number convert, and data of a fixed-width
// subtype; a uint64 above 2^63-1 wraps, as in Forth.
func (v Value) Int() (int64, error) {
	switch v.Kind() {
	case KindInt:
		return v.n, nil
	case KindString:
		if n, ok, err := parseInt(v.ref.bytes); ok {
			if err != nil {
				err = v.Unfit("a number of 64 bits")
			}
			return n, err
		}
	case KindData:
		if v.ref.sub != Generic {
			return v.ref.dataInt(), nil
		}
	}
	return 0, v.Unfit("a number")
}

// Str returns v as a string. All values but data convert, to the form in which they print; data
// converts if it is a fixed-width number.
func (v Value) Str() (string, error) {
	if v.Kind() == KindData && v.ref.sub == Generic {
		return "", v.Unfit("a string")
	}
	return v.Text(), nil
}

// Data returns v as bytes. Strings convert to their UTF-8 bytes, addresses and ranges to their
// bytes in network order. Integers do not convert, since they have no width.
func (v Value) Data() ([]byte, error) {
	if v.Kind() == KindInt {
		return nil, v.Unfit("data")
	}
	return v.Bytes(), nil
}

// MAC returns v as an Ethernet address. A string that reads as one converts, even one of twelve
// decimal digits, and so do six bytes of data.
func (v Value) MAC() ([6]byte, error) {
	switch v.Kind() {
	case KindMAC:
		return bitsMAC(v.n), nil
	case KindString:
		if a, ok := parseMAC(v.ref.bytes); ok {
			return a, nil
		}
	case KindData:
		if len(v.ref.bytes) == 6 {
			return [6]byte([]byte(v.ref.bytes)), nil
		}
	}
	if v.ref == nil && v.n >= 0 && v.n < 1e12 { // perhaps an address that was typed without a letter
		return [6]byte{}, v.Unfit("a MAC address; write it as 00:23:7d:86:71:ff")
	}
	return [6]byte{}, v.Unfit("a MAC address")
}

// IP returns v as an IP address. Strings that read as one convert, and data of 4 or 16 bytes.
func (v Value) IP() (netip.Addr, error) {
	switch v.Kind() {
	case KindIP:
		return v.addr(), nil
	case KindString:
		if a, ok := parseIP(v.ref.bytes); ok {
			return a, nil
		}
	case KindData:
		if a, ok := netip.AddrFromSlice([]byte(v.ref.bytes)); ok {
			return a, nil
		}
	}
	return netip.Addr{}, v.Unfit("an IP address")
}

// abbreviate shortens s for an error message that has to fit on a line.
func abbreviate(s string) string { return shorten(s, 60) }

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Shown returns a value for an error message: as the user would type it, and shortened.
func Shown(v Value) string { return abbreviate(v.Source()) }

// Printable returns s with every character that a terminal might obey replaced by a question
// mark. It is for names that come from outside.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}
