// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// What collect records, recall finds: while the last file is being written, and afterwards by the
// indexes that collect has made.
func TestRecallOfRecording(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable 1 tap.tx.enable")
	recall := netlab.Build(t, "./cmd/recall")
	frames := make([][]byte, 50)
	for i := range frames {
		frames[i] = netlab.UDP(100+i, uint64(i))
	}
	for _, options := range [][]string{nil, {"--zstd"}} {
		dir := t.TempDir()
		count := func(args ...string) string {
			out, errs, status := r.run(recall, append(append([]string{"--count"}, args...), dir)...)
			if status != 0 || errs != "" {
				t.Fatalf("recall %q: status %d, %s", args, status, errs)
			}
			return strings.TrimSpace(out)
		}
		p := r.collecting(append(options, "--format", "pcapng", "--rotate", "packets=40", filepath.Join(dir, "x.pcapng"))...)
		r.sendAll(frames...)
		// Each comes twice: received by d0, sent by d1.
		netlab.Await(t, "recall finds all packets", func() bool { return count("udp") == "100" })
		if part, _ := filepath.Glob(dir + "/*.part"); len(part) != 1 {
			t.Errorf("no file is being written: %q", part)
		}
		if err := p.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		ended(t, p)
		if indexes, _ := filepath.Glob(dir + "/*.index"); len(indexes) != 3 {
			t.Errorf("%q: indexes %q", options, indexes)
		}
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"udp"}, "100"}, {[]string{"--whole", "udp"}, "100"}, {[]string{"arp or tcp"}, "0"}, {[]string{"less 120"}, "42"},
			{[]string{"--interface", netlab.D0, ""}, "50"}, {[]string{"--direction", "out", "udp"}, "50"}, {[]string{"--interface", netlab.D0, "--direction", "out", ""}, "0"},
			{[]string{"-n", "7", ""}, "7"}, {[]string{"--from", "-1h", "udp"}, "100"}, {[]string{"--to", "-1h", "udp"}, "0"},
		} {
			if got := count(c.args...); got != c.want {
				t.Errorf("%q, recall %q: %s, not %s", options, c.args, got, c.want)
			}
		}
		if list := r.must(recall, "--list", dir); strings.Count(list, "  yes  ") != 3 || strings.Count(list, netlab.D0+","+netlab.D1) != 3 {
			t.Errorf("%q:\n%s", options, list)
		}
	}
}
