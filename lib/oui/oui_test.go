// SPDX-License-Identifier: BSD-3-Clause

package oui

import (
	"encoding/binary"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"ethertap/tests/need"
)

func mac(t testing.TB, s string) (m [6]byte) {
	t.Helper()
	digits := strings.ReplaceAll(s, ":", "")
	v, err := strconv.ParseUint(digits, 16, 48)
	if err != nil || len(digits) != 12 {
		t.Fatalf("bad address %q", s)
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	return [6]byte(b[2:])
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ mac, want string }{
		{"00:23:7d:86:71:ff", "Hewlett Packard"},
		{"50:1e:2d:49:c2:24", "StreamUnlimited Engineering GmbH"},
		{"3c:2a:f4:07:f0:4b", "Brother Industries, LTD."},
		{"52:54:00:23:b1:1a", localAddress},
		{"02:00:00:00:00:00", localAddress},
		{"02:60:8c:01:02:03", "3COM"},                                                               // registered in spite of its local bit
		{"70:b3:d5:f2:f0:00", "TELEPLATFORMS"},                                                      // 36 bits
		{"70:b3:d5:f2:ff:ff", "TELEPLATFORMS"},                                                      // to its end
		{"00:50:c2:7d:50:00", "DEUTA-WERKE GmbH"},                                                   // 36 bits of an IAB
		{"20:85:93:b0:00:00", "IOG Products LLC"},                                                   // 28 bits
		{"20:85:93:bf:ff:ff", "IOG Products LLC"},                                                   // to their end
		{"70:b3:d5:00:10:00", "SOREDI touch systems GmbH"},                                          // first of its block
		{"01:00:0c:cc:cc:cc", "Cisco Systems, Inc"},                                                 // group address
		{"01:80:c2:00:00:0e", "IEEE 802.1 Chair"},                                                   // group address
		{"70:b3:d5:00:00:00", "IEEE Registration Authority"},                                        // not handed on
		{"33:33:00:00:00:01", localAddress},                                                         // group address with local bit
		{"ff:ff:ff:ff:ff:ff", ""},                                                                   // broadcast
		{"00:00:00:00:00:00", "XEROX CORPORATION"},                                                  // first entry
		{"fc:ff:ff:ff:ff:ff", ""},                                                                   // beyond the last
		{"11:11:11:00:00:00", "Private"},                                                            // registered with its group bit
		{"08:00:30:00:00:00", "CERN / NETWORK RESEARCH CORPORATION / ROYAL MELBOURNE INST OF TECH"}, // three owners
	} {
		if got := Describe(mac(t, c.mac)); got != c.want {
			t.Errorf("Describe(%s) = %q, want %q", c.mac, got, c.want)
		}
	}
	if name, ok := vendor(mac(t, "52:54:00:23:b1:1a")); ok || name != "" {
		t.Errorf("Vendor of a local address is %q, %t", name, ok)
	}
}

// TestLongestPrefix checks that blocks of the Registration Authority belong to
// it only where they are not handed on.
func TestLongestPrefix(t *testing.T) {
	small, wide := mac(t, "70:b3:d5:f2:f0:00"), [3]byte{0x70, 0xb3, 0xd5}
	place, ok := search(tablesAt, int(number(countsAt, 4)), 6, uint64(wide[0])<<16|uint64(wide[1])<<8|uint64(wide[2]))
	if !ok {
		t.Fatal("70:b3:d5 has no 24-bit assignment, so it shows nothing")
	}
	if place == placeOf(t, small) {
		t.Error("36-bit and 24-bit assignments have the same name")
	}
	if got := Describe(small); got == "IEEE Registration Authority" || got == "" {
		t.Errorf("Describe(%x) = %q", small, got)
	}
	// The 28-bit block's neighbour is somebody else's.
	if a, b := Describe(mac(t, "20:85:93:b0:00:00")), Describe(mac(t, "20:85:93:c0:00:00")); a == b {
		t.Errorf("neighbouring 28-bit blocks both belong to %q", a)
	}
}

func placeOf(t *testing.T, m [6]byte) int {
	t.Helper()
	long, medium, small := int(number(countsAt, 4)), int(number(countsAt+4, 4)), int(number(countsAt+8, 4))
	var b [8]byte
	copy(b[2:], m[:])
	place, ok := search(tablesAt+6*long+6*medium, small, 7, binary.BigEndian.Uint64(b[:])>>12)
	if !ok {
		t.Fatalf("%x has no 36-bit assignment", m)
	}
	return place
}

// TestData walks through all of the data: the tables ascend, every place is
// the beginning of a name, names are in order and fit.
func TestData(t *testing.T) {
	if !strings.HasPrefix(data, "ETAPOUI1") {
		t.Fatalf("data begin with %q", data[:8])
	}
	if _, err := time.Parse(time.DateOnly, date()); err != nil {
		t.Error(err)
	}
	if len(data) >= 1<<20 {
		t.Errorf("data have %d bytes, want less than a MiB", len(data))
	}
	at := tablesAt
	var placesUsed []int
	for i, width := range []int{6, 6, 7} {
		n := int(number(countsAt+4*i, 4))
		if n == 0 {
			t.Errorf("table %d is empty", i)
		}
		last := -1
		for ; n > 0; n-- {
			entry := number(at, width)
			prefix := int(entry >> placeBits)
			if prefix <= last {
				t.Fatalf("table %d: prefix %x after %x", i, prefix, last)
			}
			last = prefix
			placesUsed = append(placesUsed, int(entry&(1<<placeBits-1)))
			at += width
		}
	}
	slices.Sort(placesUsed)
	var places []int
	seen := map[string]bool{}
	for names := data[at:]; names != ""; {
		places = append(places, len(data)-at-len(names))
		size := int(names[0])
		name := names[1 : 1+size]
		names = names[1+size:]
		if seen[name] {
			t.Errorf("%q is there twice", name)
		}
		seen[name] = true
		if !utf8.ValidString(name) || name == "" || name != strings.Join(strings.Fields(name), " ") ||
			strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("bad name %q", name)
		}
	}
	if used := slices.Compact(placesUsed); !slices.Equal(used, places) {
		t.Errorf("%d places in the tables, %d names", len(used), len(places))
	}
}

// TestRegistry looks up the first and the last address of every assignment in
// the files that the data were made from.
func TestRegistry(t *testing.T) {
	const dir = "/usr/share/ieee-data"
	stamp, err := os.ReadFile(filepath.Join(dir, ".lastupdate"))
	if err != nil {
		need.Skip(t, "needs the package ieee-data: %v", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(stamp)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if fetched := time.Unix(seconds, 0).UTC().Format(time.DateOnly); fetched != date() {
		t.Skipf("ieee-data is of %s, our data of %s: go generate ./lib/oui", fetched, date())
	}
	longer := map[string]bool{} // prefixes that are divided further
	var rows [][]string
	for _, file := range []string{"oui36.csv", "iab.csv", "mam.csv", "oui.csv"} {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := csv.NewReader(f)
		for {
			row, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if row[0] == "Registry" {
				continue
			}
			rows = append(rows, row)
			for _, digits := range []int{6, 7} {
				if len(row[1]) > digits {
					longer[row[1][:digits]] = true
				}
			}
		}
	}
	if len(rows) < 40000 {
		t.Fatalf("%d assignments in %s", len(rows), dir)
	}
	for _, row := range rows {
		prefix := row[1]
		if longer[prefix] {
			continue // parts of it are others'
		}
		want := plain(row[2])
		for _, fill := range []string{"0", "f"} {
			address := mac(t, prefix+strings.Repeat(fill, 12-len(prefix)))
			got, ok := vendor(address)
			if names := strings.Split(plain(got), "/"); !ok || plain(got) != want && !slices.Contains(names, want) {
				t.Errorf("%s: %x is %q, %t, want %q", prefix, address, got, ok, row[2])
			}
		}
	}
}

// plain leaves of a name what white space and invisible characters do not touch.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
}

func TestNoAllocation(t *testing.T) {
	addresses := [][6]byte{mac(t, "00:23:7d:86:71:ff"), mac(t, "70:b3:d5:f2:f0:00"), mac(t, "52:54:00:23:b1:1a"), mac(t, "fc:ff:ff:ff:ff:ff")}
	if n := testing.AllocsPerRun(100, func() {
		for _, a := range addresses {
			Describe(a)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDescribe(f *testing.F) {
	for _, seed := range []string{"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "70:b3:d5:f2:ff:ff", "20:85:93:b0:00:00", "01:80:c2:00:00:0e"} {
		m := mac(f, seed)
		f.Add(m[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m [6]byte
		copy(m[:], b)
		name, ok := vendor(m)
		if ok != (name != "") || !utf8.ValidString(name) {
			t.Errorf("Vendor(%x) = %q, %t", m, name, ok)
		}
		if got := Describe(m); ok && m != [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} && got != name {
			t.Errorf("Describe(%x) = %q, but the vendor is %q", m, got, name)
		}
	})
}

func BenchmarkDescribe(b *testing.B) {
	m := mac(b, "00:23:7d:86:71:ff")
	for b.Loop() {
		Describe(m)
	}
}

// date returns when Debian fetched the registries, as year-month-day.
func date() string { return data[dateAt:countsAt] }
