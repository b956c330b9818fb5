// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	a, err := Parse("nats://a:4222,[::1]:4223,c/TAPS?host=rack*&queue=tap&domain=hub")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Servers, []string{"nats://a:4222", "nats://[::1]:4223", "nats://c"}) || a.Stream != "TAPS" || a.Host != "rack*" || a.Queue != "tap" || a.Domain != "hub" || !a.Chooses() {
		t.Errorf("%+v", a)
	}
	if got := a.subject(); got != "ethertap.*.*.tap" {
		t.Error(got)
	}
	for tap, want := range map[Tap]bool{{"rack1", "x", "tap"}: true, {"rack1", "x", "other"}: false, {"desk", "x", "tap"}: false} {
		if a.matches(tap) != want {
			t.Errorf("%v", tap)
		}
	}
	for text, want := range map[string]string{
		"nats://a:4222":               "the name of the stream is missing",
		"nats:///TAPS":                `"" is no server`,
		"nats://a,/TAPS":              `"" is no server`,
		"nats://u:secret@a/TAPS":      "nats://a/TAPS: a password in an address can be seen by all users of the machine; --creds, --nkey or --tlskey name a file",
		"nats://a/TA.PS":              "cannot be the name of a stream",
		"nats://a/x/y":                "cannot be the name of a stream",
		"nats://a/TAPS?hosts=x":       "no such choice as hosts; there are host, instance, queue and domain",
		"nats://a/TAPS?host=[":        "syntax error in pattern",
		"nats://a/TAPS?host=a&host=b": "host is there twice",
		"nats://a:b/TAPS":             `"a:b" is no server`,
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
}

// Subjects and the patterns of streams, as NATS compares them.
func TestSubjects(t *testing.T) {
	t.Parallel()
	if got := (Tap{"rack1.example.com", "a b", "*"}).subject(); got != "ethertap.rack1_example_com.a_b._" {
		t.Error(got)
	}
	for _, c := range []struct {
		pattern, subject string
		covers           bool
	}{
		{"ethertap.>", "ethertap.a.b.c", true}, {">", "ethertap.a.b.c", true}, {"ethertap.*.*.*", "ethertap.a.b.c", true},
		{"ethertap.a.>", "ethertap.b.b.c", false}, {"ethertap.*.*", "ethertap.a.b.c", false}, {"ethertap.a.b.c.>", "ethertap.a.b.c", false},
		{"ethertap.a.b.c.d", "ethertap.a.b.c", false},
	} {
		if covers(c.pattern, c.subject) != c.covers {
			t.Errorf("%+v", c)
		}
		if c.covers != overlaps([]string{"x.y", c.pattern}, c.subject) {
			t.Errorf("overlaps: %+v", c)
		}
	}
	if !overlaps([]string{"ethertap.a.>"}, "ethertap.*.*.tap") || overlaps([]string{"orders.>"}, "ethertap.*.*.*") {
		t.Error("overlaps")
	}
}

// The set of numbers keeps what follows each other as one.
func TestSpans(t *testing.T) {
	t.Parallel()
	var s spans
	for _, n := range []uint64{5, 7, 6, 1, 2, 9, 8, 3, 4} {
		if !s.add(n) || s.add(n) {
			t.Errorf("%d: %v", n, s)
		}
	}
	if !slices.Equal(s, spans{{1, 9}}) {
		t.Errorf("%v", s)
	}
	if !s.add(20) || s.add(5) || len(s) != 2 {
		t.Errorf("%v", s)
	}
}
