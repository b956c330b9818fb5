// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the program itself when it is started as recall by a test.
func TestMain(m *testing.M) {
	if os.Getenv("RECALL_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program returns recall with arguments, in a directory.
func program(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "RECALL_TEST_PROGRAM=1", "TZ=UTC")
	return cmd
}

// classic returns a pcap stream of frames that carry a number, from a second on.
func classic(from, n int) []byte {
	le := binary.LittleEndian
	var b []byte
	put := func(v ...uint32) {
		for _, v := range v {
			b = le.AppendUint32(b, v)
		}
	}
	put(0xa1b2c3d4, 2|4<<16, 0, 0, 65535, 1)
	for i := from; i < from+n; i++ {
		data := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, byte(6 * (i % 2))}, byte(i))
		put(uint32(i), 0, uint32(len(data)), uint32(len(data)))
		b = append(b, data...)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// numbers returns the seconds of the packets of a classic stream.
func numbers(b []byte) (all []uint32) {
	for at := 24; at+16 <= len(b); at += 16 + int(binary.LittleEndian.Uint32(b[at+8:])) {
		all = append(all, binary.LittleEndian.Uint32(b[at:]))
	}
	return all
}

// What is asked for comes out, and the exit status and messages say how it went.
func TestRecall(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.pcap", classic(100, 10))
	write(t, dir+"/b.pcap", classic(105, 10))
	write(t, dir+"/cut.pcap", classic(100, 10)[:300])
	for _, c := range []struct {
		args           []string
		stdin          []byte
		status         int
		stdout, stderr string
	}{
		{args: []string{"--count", "", "a.pcap"}, stdout: "10\n"},
		{args: []string{"--count", "arp", "a.pcap", "b.pcap"}, stdout: "10\n"},
		{args: []string{"--count", "arp"}, stdin: classic(100, 10), stdout: "5\n"},
		{args: []string{"--count", "udp", "-"}, stdin: classic(100, 10), stdout: "0\n"},
		{args: []string{"--count", "", "--from", "@105", "--to", "+2s", "a.pcap", "b.pcap"}, stdout: "4\n"},
		{args: []string{"--count", "", "--from", "1970-01-01 00:01:45", "a.pcap"}, stdout: "5\n"},
		{args: []string{"--count", "", "-n", "3", "a.pcap"}, stdout: "3\n"},
		{args: []string{"--count", "", "cut.pcap"}, status: failed, stdout: "8\n", stderr: "recall: cut.pcap: the file ends within a packet or block, of which there are 28 bytes, at byte 272, after 8 whole packets\n"},
		{args: []string{"--count", "", "absent", "a.pcap"}, status: failed, stdout: "10\n", stderr: "recall: stat absent: no such file or directory\n"},
		{args: []string{"--count", "", "absent"}, status: failed, stderr: "recall: stat absent: no such file or directory\n"},
		{args: []string{"", "-w", "a.pcap", "a.pcap"}, status: failed, stderr: "recall: a.pcap is both read and written; choose another name for the output\n"},
		{args: []string{"--count", "", "--interface", "eth9", "a.pcap"}, status: failed, stdout: "10\n", stderr: "recall: no file has names of interfaces, so none is of eth9\n"},
		{args: []string{}, status: wrongUsage, stderr: "recall: the filter is missing; '' takes every packet; recall -h shows usage\n"},
		{args: []string{"a.pcap"}, status: wrongUsage, stderr: "recall: the first operand is the filter, and a.pcap is a file; recall '' a.pcap takes every packet; recall -h shows usage\n"},
		{args: []string{"tcp porrt", "a.pcap"}, status: wrongUsage, stderr: "recall: filter \"tcp porrt\": at 5: \"porrt\" is not expected here; recall -h shows usage\n"},
		{args: []string{"", "--from", "yesterday", "a.pcap"}, status: wrongUsage, stderr: "recall: --from yesterday: " + errTime.Error() + "; recall -h shows usage\n"},
		{args: []string{"", "--from", "@5", "--to", "@5", "a.pcap"}, status: wrongUsage, stderr: "recall: --from @5 is not before --to @5; recall -h shows usage\n"},
		{args: []string{"", "--first", "--last", "a.pcap"}, status: wrongUsage, stderr: "recall: --first and --last exclude each other; recall -h shows usage\n"},
		{args: []string{"--list", "--count"}, status: wrongUsage, stderr: "recall: --list lists files and looks for no packets, so --count has no meaning; recall -h shows usage\n"},
		{args: []string{"", "--json", "a.pcap"}, status: wrongUsage, stderr: "recall: --json is for --list; recall -h shows usage\n"},
		{args: []string{"", "--format", "text", "a.pcap"}, status: wrongUsage, stderr: "recall: --format text: pcap, pcap-ns or pcapng; recall -h shows usage\n"},
		{args: []string{"--list", "a.pcap"}, stdout: "first packet                last packet                 packets  size   format  index  interfaces  file\n1970-01-01 00:01:40.000000  1970-01-01 00:01:49.000000  10       334 B  pcap    no     -           a.pcap\n"},
		{args: []string{"--index", "."}, status: ok, stdout: "a.pcap.index 236 B\ncut.pcap.index 236 B\nb.pcap.index 236 B\n"},
		{args: []string{"--index", "."}},
		{args: []string{"--list", "a.pcap"}, stdout: "first packet                last packet                 packets  size   format  index  interfaces  file\n1970-01-01 00:01:40.000000  1970-01-01 00:01:49.000000  10       334 B  pcap    yes    -           a.pcap\n"},
		{args: []string{"--count", "arp", "a.pcap", "b.pcap"}, stdout: "10\n"},
		{args: []string{"--count", "--whole", "arp", "a.pcap", "b.pcap"}, stdout: "10\n"},
		{args: []string{"--count", "udp", "a.pcap"}, stdout: "0\n"},
	} {
		cmd := program(t, dir, c.args...)
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.stdin), &out, &errs
		cmd.Run()
		wantOut := c.stdout
		if c.status == failed && strings.HasPrefix(c.stderr, "recall: no file has names") {
			wantOut = "0\n"
		}
		if status := cmd.ProcessState.ExitCode(); status != c.status || out.String() != wantOut || errs.String() != c.stderr {
			t.Errorf("%q: status %d\n%s%s\nnot %d\n%s%s", c.args, status, out.String(), errs.String(), c.status, wantOut, c.stderr)
		}
	}
}

// The list as JSON has what is whole of a damaged file, and where it breaks.
func TestListAsJSON(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cut.pcap", classic(100, 10)[:300])
	cmd := program(t, dir, "--list", "--json", "cut.pcap")
	out, err := cmd.Output()
	var l listing
	if cmd.ProcessState.ExitCode() != failed || json.Unmarshal(out, &l) != nil || len(l.Files) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	f := l.Files[0]
	first, ferr := time.Parse(time.RFC3339Nano, f.First)
	last, lerr := time.Parse(time.RFC3339Nano, f.Last)
	if ferr != nil || lerr != nil || first.Unix() != 100 || last.Unix() != 107 {
		t.Errorf("%s to %s: %v, %v", f.First, f.Last, ferr, lerr)
	}
	if f.File != "cut.pcap" || f.Bytes != 300 || f.Format != "pcap" || f.Packets != 8 || f.Indexed || f.Growing || len(f.Interfaces) != 0 || !strings.Contains(f.Error, "at byte 272") {
		t.Errorf("%+v", f)
	}
}

// Files, pipes and formats of the output.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.pcap", classic(100, 10))
	run := func(args ...string) []byte {
		t.Helper()
		cmd := program(t, dir, args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Fatalf("%q: %v\n%s", args, err, errs.String())
		}
		return out
	}
	if out := run("arp", "a.pcap"); binary.LittleEndian.Uint32(out) != 0x0a0d0d0a {
		t.Errorf("a pipe gets %x, not pcapng", out[:4])
	}
	run("arp", "a.pcap", "-w", "b.pcap")
	b, err := os.ReadFile(dir + "/b.pcap")
	if err != nil || len(numbers(b)) != 5 || numbers(b)[0] != 101 {
		t.Errorf("%v, %d", err, numbers(b))
	}
	run("--last", "", "a.pcap", "-w", "c.pcapng.zst")
	if out := run("--format", "pcap", "", "c.pcapng.zst"); len(numbers(out)) != 1 || numbers(out)[0] != 109 {
		t.Errorf("%d", numbers(out))
	}
	if st, err := os.Stat(dir + "/c.pcapng.zst"); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if b, _ := os.ReadFile(dir + "/c.pcapng.zst"); binary.LittleEndian.Uint32(b) != 0xfd2fb528 {
		t.Errorf("%x is not zstd", b[:4])
	}
}

// A reader that has enough ends the program, without a message.
func TestReaderGone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.pcap", classic(100, 200_000))
	cmd := program(t, dir, "", "a.pcap")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 100))
	out.Close()
	if err := cmd.Wait(); err != nil || errs.Len() > 0 {
		t.Errorf("%v, %q", err, errs.String())
	}
}

// Ctrl-C ends it with what was found, which can be read.
func TestCtrlC(t *testing.T) {
	dir := t.TempDir()
	cmd := program(t, dir, "arp", "-w", "out.pcap")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(classic(100, 5000)); err != nil { // more than a pipe holds, so it has read some
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if b, _ := os.ReadFile(dir + "/out.pcap"); len(b) > 24 {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 || !strings.Contains(errs.String(), "recall: ended by signal: interrupt; ") {
		t.Errorf("status %d, %q", status, errs.String())
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.pcap"))
	if n := len(numbers(b)); err != nil || n < 1000 || n > 2500 {
		t.Errorf("%v, %d packets", err, n)
	}
}

// Times are read as the manual says.
func TestTimes(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	now := time.Date(2026, 11, 29, 15, 30, 0, 0, zone)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"2026-11-29 10:00":                "2026-11-29T10:00:00+01:00",
		"2026-11-29T10:00:05.25":          "2026-11-29T10:00:05.25+01:00",
		"2026-11-29":                      "2026-11-29T00:00:00+01:00",
		"20261129 10:00":                  "2026-11-29T10:00:00+01:00",
		"2026/11/29 10:00":                "2026-11-29T10:00:00+01:00",
		"2026-11-29T10:00:05Z":            "2026-11-29T10:00:05Z",
		"2026-11-29T10:00:05+05:30":       "2026-11-29T10:00:05+05:30",
		"2026-11-29 10:00-0800":           "2026-11-29T10:00:00-08:00",
		"2026-11-29 10:00 UTC":            "2026-11-29T10:00:00Z",
		"10:00":                           "2026-11-29T10:00:00+01:00",
		"10:00:05.123456789":              "2026-11-29T10:00:05.123456789+01:00",
		"10:00 UTC":                       "2026-11-29T10:00:00Z",
		"10:00Z":                          "2026-11-29T10:00:00Z",
		"-5m":                             "2026-11-29T15:25:00+01:00",
		"-1h30m":                          "2026-11-29T14:00:00+01:00",
		"+1.5s":                           "2026-01-01T00:00:01.5Z",
		"now":                             "2026-11-29T15:30:00+01:00",
		"@1764410400":                     "2025-11-29T10:00:00Z",
		"@1764410400.000000001":           "2025-11-29T10:00:00.000000001Z",
		"yesterday":                       errTime.Error(),
		"25:00":                           errTime.Error(),
		"2026-02-30":                      errTime.Error(),
		"-5":                              errTime.Error(),
		"--5m":                            errTime.Error(),
		"@":                               errTime.Error(),
		"@1e9":                            errTime.Error(),
		"10:00 Nowhere":                   "no time zone is called Nowhere",
		"9999-01-01":                      "the years go from 1678 to 2261",
		"@99999999999":                    "the years go from 1678 to 2261",
		"2026-11-29 10:00 Europe/Nowhere": "no time zone is called Europe/Nowhere",
	} {
		got, err := parseTime(s, now, base)
		text := got.Format(time.RFC3339Nano)
		if err != nil {
			text = err.Error()
		}
		if same, serr := time.Parse(time.RFC3339Nano, want); err == nil && serr == nil && same.Equal(got) {
			continue
		}
		if text != want {
			t.Errorf("%s: %s, not %s", s, text, want)
		}
	}
	if _, err := parseTime("+5m", now, time.Time{}); err == nil {
		t.Error("+5m without --from is no error")
	}
}

// The line says how much is left.
func TestProgressLine(t *testing.T) {
	var p progress
	p.total = 20e9
	p.Read.Store(5e9)
	p.Packets.Store(1234)
	if got, want := p.line(10*time.Second), "  25 %, 5.0 GB of 20.0 GB  500.0 MB/s  1234 packets  0:00:30 left"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	p.total = 0
	if got, want := p.line(10*time.Second), "  5.0 GB read  500.0 MB/s  1234 packets"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
