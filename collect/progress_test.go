// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		Counts
		rate uint64
		want string
	}{
		{Counts{}, 0, "  0 packets  0 B  0/s  lost 0  00:00:00"},
		{Counts{12345, 1_234_567, 0, 12*time.Second + 999*time.Millisecond, 0, ""}, 4567, "  12,345 packets  1.2 MB  4,567/s  lost 0  00:00:12"},
		{Counts{999, 999, 1000, time.Hour - time.Second, 0, ""}, 999, "  999 packets  999 B  999/s  lost 1,000  00:59:59"},
		{Counts{1000, 1000, 999999, 100 * time.Hour, 0, ""}, 1e6, "  1,000 packets  1.0 kB  1,000,000/s  lost 999,999  100:00:00"},
		{Counts{1, 999_949, 0, 0, 0, ""}, 0, "  1 packets  999.9 kB  0/s  lost 0  00:00:00"},
		{Counts{1, 999_950, 0, 0, 0, ""}, 0, "  1 packets  1.0 MB  0/s  lost 0  00:00:00"},
		{Counts{1, 43_200_000_000, 0, 0, 0, ""}, 0, "  1 packets  43.2 GB  0/s  lost 0  00:00:00"},
		{Counts{1, 1 << 63, 0, 0, 0, ""}, 0, "  1 packets  9223.4 PB  0/s  lost 0  00:00:00"},
		{Counts{5000, 1000, 7, 0, 1234, ""}, 0, "  5,000 packets  1.0 kB  0/s  lost 7  truncated 1,234  00:00:00"},
		{Counts{5, 1000, 7, 0, 1, "acknowledged 4  behind 1"}, 0, "  5 packets  1.0 kB  0/s  lost 7  truncated 1  acknowledged 4  behind 1  00:00:00"},
	} {
		if got := line(c.Counts, c.rate); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestProgressOnTerminal(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, true)
	p.Show(Counts{Packets: 1000, Bytes: 2000, Elapsed: 500 * time.Millisecond})
	p.Show(Counts{Packets: 1500, Bytes: 3000, Elapsed: time.Second})
	p.Say("something")
	p.Say("something else")
	p.Show(Counts{Packets: 1500, Bytes: 3000, Elapsed: 2 * time.Second})
	p.End(Counts{Packets: 1500, Bytes: 3000, Elapsed: 2 * time.Second}, "x.pcap")
	want := "\r  1,000 packets  2.0 kB  2,000/s  lost 0  00:00:00" +
		"\r  1,500 packets  3.0 kB  1,000/s  lost 0  00:00:01" +
		"\rsomething                                         \nsomething else\n" +
		"\r  1,500 packets  3.0 kB  0/s  lost 0  00:00:02" +
		"\r  1,500 packets  3.0 kB  750/s  lost 0  00:00:02  x.pcap\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}

func TestProgressElsewhere(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, false)
	p.Show(Counts{Packets: 10, Bytes: 2000, Elapsed: 10 * time.Second})
	p.Say("something")
	// There are fewer than before: some could not be written in the end.
	p.Show(Counts{Packets: 5, Bytes: 1000, Elapsed: 20 * time.Second})
	p.End(Counts{Packets: 5, Bytes: 1000, Elapsed: 20 * time.Second}, "x.pcap")
	want := "  10 packets  2.0 kB  1/s  lost 0  00:00:10\nsomething\n" +
		"  5 packets  1.0 kB  0/s  lost 0  00:00:20\n" +
		"  5 packets  1.0 kB  0/s  lost 0  00:00:20  x.pcap\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}

func TestProgressRun(t *testing.T) {
	shown := make(chan Counts, 1)
	done := make(chan struct{})
	ended := make(chan struct{})
	var b strings.Builder
	go func() {
		defer close(ended)
		NewProgress(&b, true).Run(done, func() Counts {
			c := Counts{Packets: 7}
			select {
			case shown <- c:
			default:
			}
			return c
		})
	}()
	<-shown
	<-shown // shown by the clock
	close(done)
	<-ended
	if !strings.HasPrefix(b.String(), "\r  7 packets") {
		t.Errorf("shown %q", b.String())
	}
}

func TestFollowing(t *testing.T) {
	const s = int64(time.Second)
	for _, c := range [][3]int64{
		{0, 5, 5},
		{100 * s, 101 * s, 101 * s},
		{100 * s, 100*s - 1, 100 * s},
		{100 * s, 99 * s, 99 * s},
		{100 * s, 5 * s, 5 * s},
	} {
		if got := following(c[0], c[1]); got != c[2] {
			t.Errorf("after %d comes %d as %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
