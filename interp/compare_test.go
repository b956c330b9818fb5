// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"math"
	"net/netip"
	"testing"

	"ethertap/interp"
)

// comparable are values of all kinds, some in several forms.
func comparable() []interp.Value {
	mac, ip := [6]byte{0, 0x23, 0x7d, 0x86, 0x71, 0xff}, netip.MustParseAddr("10.0.0.9")
	all := []interp.Value{
		interp.NewInt(0), interp.NewInt(1), interp.NewInt(-1), interp.NewInt(9), interp.NewInt(10), interp.NewInt(math.MinInt64), interp.NewInt(math.MaxInt64),
		interp.NewUint(interp.Uint8, 1), interp.NewUint(interp.Int8, 0xff), interp.NewUint(interp.Uint8, 0xff), interp.NewUint(interp.Uint32, 10),
		interp.NewUint(interp.Uint64, 1<<63), interp.NewUint(interp.Uint64, math.MaxUint64), interp.NewUint(interp.Int64, math.MaxUint64),
		interp.NewMAC(mac), interp.NewMAC([6]byte{}), interp.NewMACRange([6]byte{}, mac), interp.NewMACRange(mac, mac),
		interp.NewIP(ip), interp.NewIP(netip.MustParseAddr("10.0.0.10")), interp.NewIP(netip.MustParseAddr("::ffff:10.0.0.9")), interp.NewIP(netip.MustParseAddr("fe80::1")),
		interp.NewIPRange(ip, ip), interp.NewIPRange(ip, netip.MustParseAddr("10.0.0.10")), interp.NewIPRange(netip.IPv6Unspecified(), netip.IPv6Unspecified()),
		interp.NewData(nil), interp.NewData([]byte{1}), interp.NewData(mac[:]), interp.NewData(ip.AsSlice()), interp.NewData([]byte("9")),
	}
	for _, text := range []string{"", "a", "b", "9", "10", "09", "0x9", "0b1001", "-1", "1a", "9x", "99999999999999999999", "0xffffffffffffffff",
		"10.0.0.9", "10.0.0.10", "::ffff:10.0.0.9", "fe80::1", "FE80::1", "00:23:7d:86:71:ff", "00-23-7D-86-71-FF", "0023.7d86.71ff", "00237d8671ff", "001122334455",
		"10.0.0.9-10.0.0.10", "00:00:00:00:00:00-00:23:7d:86:71:ff", "00000000000000-00237d8671ff", "::-::", "10.0.0.9-10.0.0.1"} {
		all = append(all, interp.NewString(text))
	}
	return all
}

// Of two values one is less, or the other is, or they are equal; and the order is transitive.
func TestComparingHasOneRule(t *testing.T) {
	all := comparable()
	compare := func(v, w interp.Value) (int, bool) {
		c, err := v.Compare(w)
		return c, err == nil
	}
	for _, v := range all {
		for _, w := range all {
			c, ok := compare(v, w)
			d, ok2 := compare(w, v)
			if ok != ok2 || c != -d {
				t.Errorf("%s to %s is %d (%v), and back %d (%v)", v.Source(), w.Source(), c, ok, d, ok2)
			}
			if v.Same(w) != (ok && c == 0) {
				t.Errorf("%s and %s are the same: %v, and compare as %d (%v)", v.Source(), w.Source(), v.Same(w), c, ok)
			}
			if m, err := v.Int(); err == nil && v.Subtype() != interp.Uint64 && w.Subtype() != interp.Uint64 {
				if n, err := w.Int(); err == nil && (!ok || c < 0 != (m < n) || c == 0 != (m == n)) {
					t.Errorf("%s and %s add as numbers and compare as %d (%v)", v.Source(), w.Source(), c, ok)
				}
			}
			for _, x := range all {
				if v.Kind() != w.Kind() || w.Kind() != x.Kind() || v.Subtype() != w.Subtype() || w.Subtype() != x.Subtype() {
					continue // values that can be in one list
				}
				e, _ := compare(w, x)
				if f, _ := compare(v, x); ok && c <= 0 && e <= 0 && f > 0 {
					t.Errorf("%s, %s and %s have no order", v.Source(), w.Source(), x.Source())
				}
			}
		}
	}
}

func TestComparisons(t *testing.T) {
	for _, c := range []struct{ line, stack string }{
		{`1 num->uint8 1 num->uint32 =  255 num->uint8 -1 num->int8 =  -1 num->int8 -1 num->int32 =`, `-1 0 -1`},
		{`1 num->uint8 1 num->uint32 <  1 num->uint8 2 num->uint32 <  200 num->uint8 1 num->uint64 >`, `0 -1 -1`},
		{`-1 num->uint64 -1 =  -1 num->uint64 1 >  -1 num->uint64 "5" >`, `0 -1 -1`},
		{`"10" "9" >  "10" "9" max  "10" "9" min  "010" "10" =  "0x0a" "10" =  "10" "9" "11" within`, `-1 "10" "9" -1 -1 -1`},
		{`"10" case "0xa" of "yes" endof drop "no" endcase`, `"yes"`},
		{`"10" "1a" <  "b" "a" >  "10" "ten" <  "9z" "10z" >`, `-1 -1 -1 -1`},
		{`"10.0.0.10" "10.0.0.9" >  "FE80::1" "fe80::1" =  "10.0.0.7" "10.0.0.0" "10.0.1.0" within`, `-1 -1 -1`},
		{`00-23-7d-86-71-ff 0023.7d86.71ff = 00237d8671FF 00:23:7d:86:71:ff =  "00-23-7D-86-71-FF" "0023.7d86.71ff" =`, `-1 -1 -1`},
		{`"001122334455" 00:11:22:33:44:55 =  123456789012  "001122334455" str->mac_t`, `-1 123456789012 00:11:22:33:44:55`},
		{`"abc" "abc" str->data =  1 num->uint16 "0001" hex->data =  00:23:7d:86:71:ff "00237d8671ff" hex->data =`, `-1 -1 -1`},
	} {
		s, _ := session(t)
		if err := s.Interpret(c.line); err != nil || stack(s) != c.stack {
			t.Errorf("%s leaves %s (%v), not %s", c.line, stack(s), err, c.stack)
		}
	}
}

func TestMACLiterals(t *testing.T) {
	const mac = "00:23:7d:86:71:ff"
	for tok, want := range map[string]string{
		"00:23:7D:86:71:FF": mac, "00-23-7d-86-71-ff": mac, "0023.7d86.71ff": mac, "00237d8671ff": mac, "00237D8671FF": mac,
		"12-34-56-78-90-12": "12:34:56:78:90:12", "1234.5678.9012": "12:34:56:78:90:12", "deadbeefcafe": "de:ad:be:ef:ca:fe",
		"00-23-7d-00-00-00-00-23-7d-ff-ff-ff": "00:23:7d:00:00:00-00:23:7d:ff:ff:ff", "0023.7d00.0000-0023.7dff.ffff": "00:23:7d:00:00:00-00:23:7d:ff:ff:ff",
		"00237d000000-00237dffffff": "00:23:7d:00:00:00-00:23:7d:ff:ff:ff", "000000000000-00237dffffff": "00:00:00:00:00:00-00:23:7d:ff:ff:ff",
		"12-34-56-78-90-12-12-34-56-78-90-13": "12:34:56:78:90:12-12:34:56:78:90:13",
		// numbers come first
		"123456789012": "123456789012", "0b1010101010": "682", "0x1234567890": "78187493520", "-12345678901": "-12345678901",
		// these are not addresses
		"00-23-7d:86:71:ff": "", "00.23.7d.86.71.ff": "", "0023-7d86-71ff": "", "0023.7d86:71ff": "", "00237d8671f": "", "00237d8671fg": "", "00237d8671ff0": "",
		"123456789012-123456789013": "", "0023.7d86.71ff.": "", ".0023.7d86.71ff": "", "00237d86.71ff": "",
	} {
		v, ok, err := interp.ParseLiteral(tok)
		got := ""
		if ok && err == nil {
			got = v.Source()
		}
		if got != want {
			t.Errorf("%s reads as %q (%v), not %q", tok, got, err, want)
		}
	}
}
