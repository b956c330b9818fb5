// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
	"ethertap/collect/index"
	"ethertap/shm"
	"ethertap/tests/need"
)

// tool runs a reader of captures; without it the test is skipped, or fails in CI.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	need.Tool(t, name)
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, errs.String())
	}
	return string(out)
}

// well runs collect to a good end.
func well(t *testing.T, args ...string) {
	t.Helper()
	if status, out, errs := outcome(t, command(t, args...)); status != 0 || out != "" || errs != "" {
		t.Fatalf("%v: status %d, %q, %q", args, status, out, errs)
	}
}

// Every format, compressed or not, is read by tcpdump, tshark and capinfos.
func TestFormats(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	for i, c := range []struct{ format, kind, precision string }{
		{"pcap", "Wireshark/tcpdump/... - pcap", "microseconds (6)"},
		{"pcap-ns", "Wireshark/tcpdump/... - nanosecond pcap", "nanoseconds (9)"},
		{"pcapng", "Wireshark/... - pcapng", "nanoseconds (9)"},
	} {
		path := filepath.Join(t.TempDir(), "x")
		put(t, p, 10*i, 10*i+10)
		well(t, "-nsq", queue, "-p", "10", "--format", c.format, path)
		if out := tool(t, "tcpdump", "-n", "-r", path); strings.Count(out, "0x88b5") != 10 {
			t.Errorf("%s: tcpdump reads %q", c.format, out)
		}
		if out := tool(t, "tshark", "-n", "-r", path); strings.Count(out, "0x88b5") != 10 {
			t.Errorf("%s: tshark reads %q", c.format, out)
		}
		out := tool(t, "capinfos", path)
		for _, want := range []string{"File type:           " + c.kind, "Time precision = " + c.precision, "Number of packets:   10"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: capinfos does not say %q:\n%s", c.format, want, out)
			}
		}
		put(t, p, 10*i, 10*i+10)
		well(t, "-nsq", queue, "-p", "10", "--zstd", "--format="+c.format, path)
		tool(t, "zstd", "-q", "-t", path+".zst")
		if out := tool(t, "tshark", "-n", "-r", path+".zst"); strings.Count(out, "0x88b5") != 10 {
			t.Errorf("%s, zstd: tshark reads %q", c.format, out)
		}
	}
}

// Packets have the time of reception where they may have waited for long or the format is
// ours to fill, and otherwise that of writing, as documented of old; the option says which.
func TestDefaultTimestamps(t *testing.T) {
	for args, received := range map[string]bool{
		"x": false, "x --format pcap-ns": false, "-": false, "x --zstd": false, "%s.pcap": false, "-d /x": false,
		"x --format pcapng": true, "x --noreset": true, "x --rotate packets=1": true, "x --rotate size=1M --ring 2": true,
		"x --timestamp receive": true, "x --timestamp write --format pcapng --noreset --rotate packets=1": false,
	} {
		if o, err := parse(strings.Fields(args)); err != nil || o.received != received {
			t.Errorf("%s: time of reception %v, %v", args, o.received, err)
		}
	}
}

// Packets that are old when they are written are told of, if that shows in their time.
func TestOldPacketsAreToldOf(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	for flag, want := range map[string]string{
		"write":   "collect: 2 packets were written more than a second after they were received (up to 9",
		"receive": "",
	} {
		now := time.Now()
		// Those of the future are not old, however late a busy machine writes them.
		for _, age := range []time.Duration{90 * time.Second, -30 * time.Second, 2 * time.Second, -time.Hour} {
			p.Put([]shm.Record{{Data: frame(1), Timestamp: now.Add(-age).UnixNano()}})
		}
		p.Put([]shm.Record{{Data: frame(1)}}) // whose producer tells no time
		status, _, errs := outcome(t, command(t, "-nq", queue, "-p5", "--timestamp", flag, filepath.Join(t.TempDir(), "x.pcap")))
		_, said, _ := strings.Cut(errs, "/x.pcap\n")
		if status != 0 || (want == "") != (said == "") || !strings.HasPrefix(said, want) || strings.Count(said, "\n") > 1 {
			t.Errorf("--timestamp %s: status %d, %q", flag, status, errs)
		}
	}
}

// The time of reception is the record's, that of writing is now; it stands for one that
// is not told.
func TestTimestamps(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	for flag, want := range map[string]bool{"receive": true, "write": false, "untold": false} {
		b := frame(1)
		when := int64(1_234_567_890_123_456_789)
		if flag == "untold" {
			flag, when = "receive", 0
		}
		p.Put([]shm.Record{{Data: b, Timestamp: when}})
		path := filepath.Join(t.TempDir(), "x.pcap")
		well(t, "-nsq", queue, "-p1", "--format", "pcap-ns", "--timestamp", flag, path)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seconds, fraction := binary.LittleEndian.Uint32(file[24:]), binary.LittleEndian.Uint32(file[28:])
		if got := seconds == 1_234_567_890 && fraction == 123_456_789; got != want || seconds < 1_234_567_890 {
			t.Errorf("--timestamp %s: %d.%09d of %d", flag, seconds, fraction, when)
		}
	}
}

// A filter chooses; what it throws away is told.
func TestFilterOption(t *testing.T) {
	queue := setup(t)
	put(t, producer(t, queue), 0, 20)
	path := filepath.Join(t.TempDir(), "x.pcap")
	status, _, errs := outcome(t, command(t, "-nq", queue, "-p", "1", "--filter", "ether proto 0x88b5 and ether[16] = 7", path))
	if status != 0 || !strings.HasSuffix(errs, path+" (7 did not match the filter)\n") {
		t.Errorf("status %d, %q", status, errs)
	}
	checkFile(t, path, 7, 8)
}

// Rotation, ring and names; limits are those of all files together.
func TestRotateOptions(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	set := func(pattern string) []string {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	dir := t.TempDir()
	put(t, p, 0, 25)
	well(t, "-nsq", queue, "-p", "25", "--rotate", "packets=10", filepath.Join(dir, "a.pcap"))
	for i, name := range set(dir + "/a_*.pcap") {
		checkFile(t, name, 10*i, min(25, 10*i+10))
	}
	if n := len(set(dir + "/*")); n != 6 {
		t.Errorf("packets: %v", set(dir+"/*"))
	}
	for _, name := range set(dir + "/a_*.pcap") {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		x, err := index.Open(name, f)
		if err != nil {
			t.Error(err)
		} else if x.Close(); x.Packets != 10 && x.Packets != 5 {
			t.Errorf("%s: an index of %d packets", name, x.Packets)
		}
		f.Close()
	}
	put(t, p, 0, 2)
	well(t, "-nsq", queue, "-p", "2", "--index=false", "--rotate", "packets=1", filepath.Join(dir, "e.pcap"))
	if names := set(dir + "/e_*"); len(names) != 2 {
		t.Errorf("--index=false: %v", names)
	}
	put(t, p, 0, 25)
	well(t, "-nsq", queue, "-p", "25", "--rotate=size=1000,packets=20", "--ring", "2", filepath.Join(dir, "b.pcap"))
	if names := set(dir + "/b_*.pcap"); len(names) != 2 || len(set(dir+"/b_*")) != 4 {
		t.Errorf("ring: %v", set(dir+"/b_*"))
	} else {
		checkFile(t, names[0], 12, 24)
		checkFile(t, names[1], 24, 25)
	}
	put(t, p, 0, 25)
	well(t, "-nsq", queue, "-b", "1k", "--rotate", "size=500", "--rotate", "interval=1h", filepath.Join(dir, "c-%N.pcap"))
	total := int64(0)
	for _, name := range set(dir + "/c-0000?.pcap") {
		st, err := os.Stat(name)
		if err != nil || st.Size() > 500 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
		total += st.Size()
	}
	if total > 1000 || total < 900 {
		t.Errorf("%d bytes of at most 1000", total)
	}
	// time: files of a second each, begun and closed without any packet
	cmd := command(t, "-nsq", queue, "--rotate", "seconds=1", filepath.Join(dir, "d.pcap"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three files of a second", func() bool { return len(set(dir+"/d_*.pcap")) >= 3 })
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if left := set(dir + "/*.part"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// The time ends a run as a signal does, unless another limit is reached before.
func TestDuration(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	put(t, p, 0, 5)
	for i, c := range []struct {
		args     string
		from, to int
	}{
		{"--duration 1h -p 3", 0, 3},
		{"--duration 1s", 3, 5},
		{"--duration 0.05", 0, 0},
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		well(t, append(strings.Fields(c.args), "-nsq", queue, path)...)
		checkFile(t, path, c.from, c.to)
	}
	well(t, "--duration", "50ms", "--rotate", "seconds=1", "-sq", queue, filepath.Join(dir, "x"))
	if names, _ := filepath.Glob(dir + "/*.part"); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// So many bytes of each packet are kept, with the length it had; the filter sees all.
func TestSnapLen(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	for _, format := range []string{"pcap", "pcapng"} {
		put(t, p, 0, 10)
		path := filepath.Join(t.TempDir(), "x")
		well(t, "-nsp1", "-q", queue, "--format", format, "--snaplen", "20", "--filter", "ether[16] = 7 and ether[59] = 0", path)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Index(b, frame(7)[:20]); n < 0 || bytes.Contains(b, frame(7)[:21]) {
			t.Errorf("%s: % x", format, b)
		} else if le := binary.LittleEndian; le.Uint32(b[n-8:]) != 20 || le.Uint32(b[n-4:]) != 60 {
			t.Errorf("%s: %d bytes of %d", format, le.Uint32(b[n-8:]), le.Uint32(b[n-4:]))
		}
		if format == "pcap" && (binary.LittleEndian.Uint32(b[16:]) != 20 || len(b) != 24+16+20) {
			t.Errorf("header % x, %d bytes", b[:24], len(b))
		}
		if out := tool(t, "tshark", "-r", path, "-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"); out != "20\t60\n" {
			t.Errorf("%s: tshark reads %q", format, out)
		}
		well(t, "-nsp2", "-q", queue, os.DevNull) // the rest
	}
}

// The summary names files that are there.
func TestSummary(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	for _, c := range []struct{ args, want string }{
		{"--zstd a.pcap", `/a\.pcap\.zst`},
		{"--rotate packets=2 b.pcap", `/b_00002_\d{14}\.pcap \(the last of 2 files\)`},
		{"--rotate packets=1 --ring 2 %Y/c-%N.pcap", `/20\d\d/c-00003\.pcap \(the last of 3 files, of which the ring keeps 2\)`},
	} {
		put(t, p, 0, 3)
		args := strings.Fields(c.args)
		args[len(args)-1] = filepath.Join(dir, args[len(args)-1])
		status, _, errs := outcome(t, command(t, append(args, "-np3", "-q", queue)...))
		m := regexp.MustCompile(`^  3 packets  .*  (/\S+)(?: \(.*\))?\n$`).FindStringSubmatch(errs)
		if status != 0 || m == nil || !regexp.MustCompile(regexp.QuoteMeta(dir)+c.want+`\n$`).MatchString(errs) {
			t.Errorf("%s: status %d, %q", c.args, status, errs)
		} else if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
	// A directory that is not there is made only if its name has a conversion.
	status, _, errs := outcome(t, command(t, "-sq", queue, filepath.Join(dir, "no", "%Y", "x.pcap")))
	if want := "; make the directory " + dir + "/no first\n"; status != 1 || !strings.HasSuffix(errs, want) {
		t.Errorf("status %d, %q", status, errs)
	}
}

// The floor ends the run before it begins to fill the disk up.
func TestFloorOption(t *testing.T) {
	queue := setup(t)
	put(t, producer(t, queue), 0, 5)
	path := filepath.Join(t.TempDir(), "x.pcap")
	status, _, errs := outcome(t, command(t, "-nsq", queue, "--floor", "8000000T", path))
	if status != 1 || !strings.HasPrefix(errs, "collect: "+path+": ") || !strings.Contains(errs, "less than the floor of 8000.0 PB; ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, %q", status, errs)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// SIGHUP begins the next file of a set, and a single file anew that was moved away.
func TestHangup(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.pcap")
	cmd := command(t, "-nsq", queue, path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
	put(t, p, 0, 3)
	eventually(t, "3 packets", sizeIs(path, streamOf+3*76))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	infos, err := rundir.List(t.Context(), "collect")
	if err != nil || len(infos) != 1 {
		t.Fatal(infos, err)
	}
	if err := rundir.Signal(infos[0], unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file anew", sizeIs(path, streamOf))
	put(t, p, 3, 5)
	eventually(t, "2 packets", sizeIs(path, streamOf+2*76))
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil || errs.Len() > 0 {
		t.Errorf("%v, %q", err, errs.String())
	}
	checkFile(t, path+".1", 0, 3)
	checkFile(t, path, 3, 5)
	if err := rundir.Signal(infos[0], unix.SIGHUP); err == nil {
		t.Error("one that has ended was signalled")
	}
}

// The queue keeps what it has when the file cannot be made.
func TestQueueIsNotEmptiedInVain(t *testing.T) {
	queue := setup(t)
	put(t, producer(t, queue), 0, 5)
	if status, _, errs := outcome(t, command(t, "-sq", queue, filepath.Join(t.TempDir(), "no", "x.pcap"))); status != 1 {
		t.Errorf("status %d, %q", status, errs)
	}
	path := filepath.Join(t.TempDir(), "x.pcap")
	well(t, "-nsq", queue, "-p5", path)
	checkFile(t, path, 0, 5)
}

func TestWrongUsageOfStreams(t *testing.T) {
	t.Setenv(mainEnv, "1")
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"a --format pcapx":              "--format pcapx: pcap, pcap-ns or pcapng",
		"a --timestamp now":             "--timestamp now: write or receive",
		"a --filter (tcp":               `at 5: ")" is expected`,
		"a --rotate daily":              "--rotate daily: size=1G, packets=n, seconds=n or interval=1h",
		"a --rotate size=0":             `"0" is no size such as 100M`,
		"a --rotate size=1X":            `"1X" is no size`,
		"a --rotate packets=x":          `"x" is no number of packets`,
		"a --rotate seconds=0.1s":       `"0.1s" is no time`,
		"a --rotate interval=25h":       "at most 24h",
		"a --rotate hours=1":            "no such condition as hours",
		"a --ring 3":                    "--ring is for files that --rotate makes",
		"a --rotate packets=1 --ring 0": "--ring 0: at least 1 file",
		"- --rotate packets=1":          "standard output is one stream",
		"- --floor 1G":                  "standard output is no disk",
		"a --floor x":                   "a number of bytes such as 5000, 100M or 4Gi",
		"a --name=":                     "--name is empty",
		"a --duration 0":                "--duration 0: a time such as",
		"a --duration x":                "--duration x: a time such as",
		"a --snaplen -1":                "--snaplen -1: at most 262144",
		"a --snaplen 262145":            "--snaplen 262145: at most 262144",
		"a --log x":                     "--log is for --daemon",
		"a -b 99999999999T":             "a number of bytes",
	} {
		status, out, errs := outcome(t, command(t, strings.Fields(args)...))
		if status != 2 || out != "" || !strings.HasPrefix(errs, "collect: ") || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q", args, status, out, errs)
		}
	}
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "run"))
	for args, want := range map[string]string{
		"x%q.pcap --rotate packets=1":    "%q is none of",
		"x.pcapng --format pcapng -b 30": "less than an empty stream",
	} {
		queue := fmt.Sprintf("test.collect.%d.wrong", os.Getpid())
		status, _, errs := outcome(t, command(t, append(strings.Fields(args), "-sq", queue)...))
		if status != 1 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q", args, status, errs)
		}
		shm.Delete(queue)
	}
	if names, _ := filepath.Glob("*"); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
