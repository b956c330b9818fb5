// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"fmt"
	"net/netip"
	"strconv"

	"ethertap/interp"
)

// Words that need another type convert by themselves. These conversions are words too, so that a
// script can ask for a type and find out whether a value converts.
var convertWords = append([]interp.Word{
	{Name: "typeof", Stack: "( item - string )", Help: "the type of an item: integer string data mac macrange ip ip4 iprange, or that of a fixed-width number such as uint32", Example: "10.1.1.1 typeof .\nrandom32 typeof .", Func: typeOf},
	{Name: "num?", Stack: "( item - flag )", Help: "whether an item is a number or reads as one", Example: "\"0x10\" num? .", Func: isNumber},
	{Name: "num->str", Stack: "( n - string )", Help: "a number as decimal text", Example: "42 num->str .", Func: toString},
	{Name: "num->base", Stack: "( n base - string )", Help: "a number as text in a base of 2 to 36", Example: "0x88cc 2 num->base .\n-255 16 num->base .", Func: numToBase},
	{Name: "str->num", Stack: "( string - n )", Help: "the number that a string reads as: decimal, 0x hexadecimal, 0b binary", Example: "\"0x10\" str->num .", Func: toNumber},
	{Name: "base->num", Stack: "( string base - n )", Help: "the number that a string reads as in a base of 2 to 36", Example: "\"zz\" 36 base->num .", Func: baseToNum},
	{Name: "code->str", Stack: "( code - string )", Help: "the character with a Unicode number, as a string", Example: "65 code->str .", Func: codeToStr},
	{Name: "str->mac_t", Stack: "( string - mac )", Help: "converts a string to an Ethernet address", Example: "\"00:23:7d:86:71:ff\" str->mac_t .", Func: toMAC},
	{Name: "str->macrange_t", Stack: "( string - macrange )", Help: "converts a string to a range of Ethernet addresses", Example: "\"00:23:7d:00:00:00-00:23:7d:ff:ff:ff\" str->macrange_t .", Func: toMACRange},
	{Name: "str->ip_t", Stack: "( string - ip )", Help: "converts a string to an IP address of 16 bytes", Example: "\"10.1.1.1\" str->ip_t .", Func: toIP},
	{Name: "str->ip4_t", Stack: "( string - ip4 )", Help: "converts a string to an IP address of 4 bytes", Example: "\"::ffff:10.1.1.1\" str->ip4_t .", Func: toIP4},
	{Name: "str->iprange_t", Stack: "( string - iprange )", Help: "converts a string to a range of IP addresses; a prefix such as 10.0.0.0/24 is one too", Example: "\"10.0.0.0/24\" str->iprange_t .", Func: toIPRange},
	{Name: "mac->num", Stack: "( mac - n )", Help: "an Ethernet address as a number", Example: "00:00:00:00:01:02 mac->num .", Func: macToNum},
	{Name: "num->mac", Stack: "( n - mac )", Help: "the Ethernet address with a number", Example: "258 num->mac .", Func: numToMAC},
	{Name: "ip4->num", Stack: "( ip4 - n )", Help: "an IPv4 address as a number", Example: "0.0.1.2 ip4->num .", Func: ip4ToNum},
	{Name: "num->ip4", Stack: "( n - ip4 )", Help: "the IPv4 address with a number", Example: "0x0a010101 num->ip4 .", Func: numToIP4},
}, fixedWords()...)

// fixedWords returns the conversions to the fixed-width integers.
func fixedWords() []interp.Word {
	var words []interp.Word
	for _, t := range interp.Subtypes() {
		lo, hi := t.Bounds()
		help := fmt.Sprintf("a number of the type %s, from %d to %d", t, lo, hi)
		if t == interp.Uint64 {
			help = "a number of the type uint64; one below 0 keeps its bits"
		}
		words = append(words, interp.Word{
			Name: "num->" + t.String(), Stack: "( n - " + t.String() + " )", Help: help,
			Example: "42 num->" + t.String() + " .",
			Func: func(s *interp.Session) error {
				n, err := s.PopRange("number", lo, hi)
				if err != nil {
					return err
				}
				return s.Push(interp.NewUint(t, uint64(n)))
			},
		})
	}
	return words
}

func typeOf(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(v.TypeName()))
}

func isNumber(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	_, err = v.Int()
	return s.Push(interp.NewFlag(err == nil))
}

func toString(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(strconv.FormatInt(n, 10)))
}

func toNumber(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(n))
}

func popBase(s *interp.Session) (int, error) {
	n, err := s.PopRange("base", 2, 36)
	return int(n), err
}

func numToBase(s *interp.Session) error {
	base, err := popBase(s)
	if err != nil {
		return err
	}
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(strconv.FormatInt(n, base)))
}

func baseToNum(s *interp.Session) error {
	base, err := popBase(s)
	if err != nil {
		return err
	}
	text, err := s.PopString()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		return interp.NewString(text).Unfit(fmt.Sprintf("a number of 64 bits in base %d", base))
	}
	return s.Push(interp.NewInt(n))
}

// shown returns text for an error message, quoted and shortened.
func shown(text string) string { return interp.Shown(interp.NewString(text)) }

func codeToStr(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	if err := checkRune(n); err != nil {
		return err
	}
	return s.Push(interp.NewString(string(rune(n))))
}

func toMAC(s *interp.Session) error {
	a, err := s.PopMAC()
	if err != nil {
		return err
	}
	return s.Push(interp.NewMAC(a))
}

func toMACRange(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	lo, hi, err := v.MACRange()
	if err != nil {
		return err
	}
	return s.Push(interp.NewMACRange(lo, hi))
}

func toIP(s *interp.Session) error {
	a, err := s.PopIP()
	if err != nil {
		return err
	}
	return s.Push(interp.NewIP(netip.AddrFrom16(a.As16())))
}

// popIP4 takes an IP address that fits in 4 bytes.
func popIP4(s *interp.Session) (netip.Addr, error) {
	a, err := s.PopIP()
	if err != nil {
		return a, err
	}
	if a = a.Unmap(); !a.Is4() {
		return a, fmt.Errorf("%s is not an IPv4 address", a)
	}
	return a, nil
}

func toIP4(s *interp.Session) error {
	a, err := popIP4(s)
	if err != nil {
		return err
	}
	return s.Push(interp.NewIP(a))
}

func toIPRange(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	lo, hi, err := v.IPRange()
	if err != nil {
		return err
	}
	return s.Push(interp.NewIPRange(lo, hi))
}

func macToNum(s *interp.Session) error {
	a, err := s.PopMAC()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(number(a[:])))
}

func numToMAC(s *interp.Session) error {
	n, err := s.PopRange("Ethernet address", 0, 1<<48-1)
	if err != nil {
		return err
	}
	return s.Push(macValue(lowest(n, 6)))
}

func ip4ToNum(s *interp.Session) error {
	a, err := popIP4(s)
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(number(a.AsSlice())))
}

func numToIP4(s *interp.Session) error {
	n, err := s.PopRange("IPv4 address", 0, 1<<32-1)
	if err != nil {
		return err
	}
	return s.Push(ipValue(lowest(n, 4)))
}
