// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/lib/capture"
	"ethertap/shm"
	"ethertap/tests/frames"
	"ethertap/tests/netlab"
)

// recorded is a packet of a capture: its bytes, its time in ns since 1970, and how many bytes the recorder has cut off.
type recorded struct {
	at      int64
	data    []byte
	missing uint32
}

// longest is the length of the longest packet of Ethernet in a capture.
const longest = 262144

// began is the time of the first packet of the captures made here.
const began = int64(1_700_000_000_123_456_789)

// writeClassic writes packets as a pcap file with ns.
func writeClassic(t *testing.T, path string, packets []recorded) {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = le.AppendUint32(b, 4<<16|2)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 262144)
	b = le.AppendUint32(b, 1)
	for _, p := range packets {
		b = le.AppendUint32(b, uint32(p.at/1e9))
		b = le.AppendUint32(b, uint32(p.at%1e9))
		b = le.AppendUint32(b, uint32(len(p.data)))
		b = le.AppendUint32(b, uint32(len(p.data))+p.missing)
		b = append(b, p.data...)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeNG writes packets as a PCAPNG file with interfaces of these names. number and flags say which interface a packet
// is of, and which epb_flags it has.
func writeNG(t *testing.T, path string, names []string, packets []recorded, of func(i int) (number, flags uint32)) {
	t.Helper()
	le := binary.LittleEndian
	var b []byte
	block := func(code uint32, body []byte) {
		body = append(body, make([]byte, -len(body)&3)...)
		b = le.AppendUint32(b, code)
		b = le.AppendUint32(b, uint32(len(body)+12))
		b = append(b, body...)
		b = le.AppendUint32(b, uint32(len(body)+12))
	}
	option := func(body []byte, code uint16, value []byte) []byte {
		body = le.AppendUint16(body, code)
		body = le.AppendUint16(body, uint16(len(value)))
		body = append(body, value...)
		return append(body, make([]byte, -len(value)&3)...)
	}
	block(0x0a0d0d0a, append(le.AppendUint32(le.AppendUint32(nil, 0x1a2b3c4d), 1), bytes.Repeat([]byte{255}, 8)...))
	for _, name := range names {
		body := option(option(le.AppendUint64(nil, 1), 2, []byte(name)), 9, []byte{9})
		block(1, option(body, 0, nil))
	}
	for i, p := range packets {
		number, flags := of(i)
		body := le.AppendUint32(nil, number)
		body = le.AppendUint32(le.AppendUint32(body, uint32(p.at>>32)), uint32(p.at))
		body = le.AppendUint32(le.AppendUint32(body, uint32(len(p.data))), uint32(len(p.data))+p.missing)
		body = append(body, p.data...)
		body = append(body, make([]byte, -len(p.data)&3)...)
		if flags != 0 {
			body = option(option(body, 2, le.AppendUint32(nil, flags)), 0, nil)
		}
		block(6, body)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// readCapture returns the packets of a file.
func readCapture(t *testing.T, path string) (packets []recorded) {
	t.Helper()
	r, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p := new(capture.Packet); ; {
		if err := r.Next(p); err == io.EOF {
			return packets
		} else if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, recorded{p.Time, bytes.Clone(p.Data), p.Wire - uint32(len(p.Data))})
	}
}

// samePackets compares packets, byte by byte and ns by ns.
func samePackets(t *testing.T, got, want []recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d packets, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := got[i], want[i]; g.at != w.at || g.missing != w.missing || !bytes.Equal(g.data, w.data) {
			t.Fatalf("packet %d: at %d, %d bytes cut off, %x\nwant at %d, %d, %x", i, g.at, g.missing, g.data, w.at, w.missing, w.data)
		}
	}
}

// traffic makes packets of all lengths, at times between which is a gap of up to twice the mean.
func traffic(seed uint64, n int, mean time.Duration) (packets []recorded) {
	random := rand.New(rand.NewPCG(seed, 1))
	at := began
	for i, data := range netlab.Mix(seed, n) {
		p := recorded{at: at, data: data}
		switch {
		case i%97 == 0: // a long one
			p.data = append(bytes.Clone(data), make([]byte, random.IntN(20000))...)
		case i%31 == 0 && len(data) > 80:
			p.data, p.missing = data[:80], uint32(len(data)-80)
		case i%53 == 0:
			p.data = data[:random.IntN(15)] // no whole header
		}
		packets = append(packets, p)
		at += random.Int64N(2*int64(mean) + 1)
	}
	return packets
}

// offline runs ethertap on files, as no particular user, and returns what it says and its exit status.
func offline(t *testing.T, dir string, args ...string) (out, errs string, status int) {
	t.Helper()
	return outcome(t, asNobody(t, dir, args...))
}

// scripted is offline with lines of standard input.
func scripted(t *testing.T, dir, script string, args ...string) (out, errs string, status int) {
	t.Helper()
	cmd := asNobody(t, dir, args...)
	cmd.Stdin = strings.NewReader(script)
	return outcome(t, cmd)
}

// asNobody prepares a run of ethertap in a directory as no particular user.
func asNobody(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() == 0 {
		for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "program") // where nobody reaches it
	if err := os.Link(netlab.Build(t, "./cmd/ethertap"), program); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// outcome runs an ethertap on files to its end.
func outcome(t *testing.T, cmd *exec.Cmd) (out, errs string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	late := time.AfterFunc(2*patience, func() { cmd.Process.Signal(syscall.SIGQUIT) })
	defer late.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(fmt.Sprintf("/dev/shm/ixdp.pqueue.pcap-%d", cmd.Process.Pid)); err != nil || len(names) > 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// through runs ethertap on files and wants it to end well.
func through(t *testing.T, dir string, args ...string) (out, errs string) {
	t.Helper()
	out, errs, status := offline(t, dir, args...)
	if status != 0 {
		t.Fatalf("%q: status %d, %s%s", args, status, out, errs)
	}
	return out, errs
}

// Captures come out as they went in, frame by frame and time by time, without root, plain and compressed; and again when what came out
// goes in.
func TestOfflineIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := traffic(1, 3000, 50*time.Microsecond)
	packets[1000].at = began - 5 // behind its time in the file
	for i, length := range []int{61410, 61440, 61441, 65549, longest - 1, longest} {
		packets[500+20*i].data = bytes.Repeat([]byte{byte(i)}, length)
	}
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)
	_, errs := through(t, dir, "pcap:in.pcap", "pcap:out.pcapng", "--queue-slots", "8192", "-e", "0 tap.rx.enable 1 tap.tx.enable")
	bytes, cut := 0, 0
	for _, p := range packets {
		bytes += len(p.data)
		if p.missing > 0 {
			cut++
		}
	}
	if want := fmt.Sprintf("pcap:in.pcap: 3000 packets read, %d bytes; %d of which the recorder has cut off the end\npcap:out.pcapng: 3000 frames written, %d bytes\n", bytes, cut, bytes); errs != want {
		t.Errorf("it says %q, want %q", errs, want)
	}
	samePackets(t, readCapture(t, filepath.Join(dir, "out.pcapng")), packets)
	through(t, dir, "pcap:out.pcapng", "pcap:again.pcapng.zst", "-q", "3")
	samePackets(t, readCapture(t, filepath.Join(dir, "again.pcapng.zst")), packets)
	through(t, dir, "pcap:again.pcapng.zst", "pcap:last.pcapng", "-e", "0 fault.enable") // nothing is set
	samePackets(t, readCapture(t, filepath.Join(dir, "last.pcapng")), packets)
}

// A capture with several interfaces gives what was received, or the packets of one.
func TestOfflineInterfaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := traffic(2, 400, 50*time.Microsecond)
	writeNG(t, filepath.Join(dir, "in.pcapng"), []string{"eth1", "eth2"}, packets, func(i int) (number, flags uint32) { return uint32(i % 2), uint32(i%4 + 1) })
	pick := func(wanted func(i int) bool) (some []recorded) {
		for i, p := range packets {
			if wanted(i) {
				some = append(some, p)
			}
		}
		return some
	}
	for name, wanted := range map[string]func(i int) bool{
		"":      func(i int) bool { return i%4 != 1 }, // 2: sent
		"#1":    func(i int) bool { return i%2 == 1 },
		"#eth1": func(i int) bool { return i%2 == 0 },
	} {
		out := "out" + name + ".pcapng"
		through(t, dir, "pcap:in.pcapng"+name, "pcap:"+out)
		samePackets(t, readCapture(t, filepath.Join(dir, out)), pick(wanted))
	}
	if _, errs, status := offline(t, dir, "pcap:in.pcapng#eth9", "pcap:none.pcapng"); status != 1 || !strings.Contains(errs, "ethertap: port pcap:in.pcapng#eth9: the file has no such interface; it has 0 eth1, 1 eth2\n") {
		t.Errorf("status %d, %q", status, errs)
	}
}

// The time between files is that of the packets: an hour of them takes a moment, and each comes out when the link would have given it.
func TestOfflineTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var packets, delayed, slow []recorded
	free := int64(0)
	for i := range 36000 { // ten a second
		p := recorded{at: began + int64(i)*1e8, data: netlab.UDP(125, uint64(i))}
		packets = append(packets, p)
		p.at += 250e6
		delayed = append(delayed, p)
		for n := 0; i%1000 == 0 && n < 5; n++ { // of a rate of 10 kbit/s each takes 100 ms; some come with others
			packets = append(packets, packets[len(packets)-1])
			delayed = append(delayed, p)
		}
	}
	for _, p := range packets {
		free = max(free, p.at) + 1e8
		p.at = free
		slow = append(slow, p)
	}
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)
	for file, c := range map[string]struct {
		words string
		want  []recorded
	}{"delayed.pcapng": {"250000 0 0 fault.delay", delayed}, "slow.pcapng": {"10 60000 0 fault.rate", slow}} {
		out, _ := through(t, dir, "pcap:in.pcap", "pcap:"+file, "--hold", "8192", "-e", "0 fault.enable "+c.words)
		if got := readCapture(t, filepath.Join(dir, file)); out != "" || len(got) != len(c.want) {
			t.Fatalf("%s: %d packets, want %d; %q", c.words, len(got), len(c.want), out)
		} else {
			samePackets(t, got, c.want)
		}
	}
	through(t, dir, "pcap:in.pcap", "pcap:outage.pcapng", "-e", "0 fault.enable 60000 0 fault.outage")
	var after []recorded
	for _, p := range packets {
		if p.at >= began+60e9 {
			after = append(after, p)
		}
	}
	samePackets(t, readCapture(t, filepath.Join(dir, "outage.pcapng")), after)

	// The steps of a trace follow the packets, too.
	if err := os.WriteFile(filepath.Join(dir, "tunnel"), []byte("0s 0%\n600s 100%\n1200s 0%\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	through(t, dir, "pcap:in.pcap", "pcap:trace.pcapng", "-e", "0 fault.enable \"tunnel\" 0 fault.trace")
	var outside []recorded
	for _, p := range packets {
		if p.at < began+600e9 || p.at >= began+1200e9 {
			outside = append(outside, p)
		}
	}
	samePackets(t, readCapture(t, filepath.Join(dir, "trace.pcapng")), outside)
}

// badLine are faults of all kinds.
const badLine = "42 fault.seed 0 fault.enable 2000 500 0 fault.delay 1000 0 fault.drop.probability 1000 0 fault.bitflip.probability 2000 0 fault.dup.probability " +
	"8000 20 0 fault.rate 500 0 fault.length.probability 100 20000 90000 1000 0 fault.burst 5 0 fault.outage 300 0 fault.reorder.every"

// The same capture, words and seed give the same bytes, with any number of threads and processors.
func TestSoakOfflineRepeats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeClassic(t, filepath.Join(dir, "in.pcap"), traffic(3, 10000, 300*time.Microsecond))
	hashes := map[[32]byte]int{}
	threads := []string{"1", "2", "8"}
	for i := range choose(100, 4) {
		through(t, dir, "pcap:in.pcap", "pcap:out.pcapng.zst", "-q", threads[i%3], "-e", badLine+" 0 tap.rx.enable 1 tap.tx.enable")
		b, err := os.ReadFile(filepath.Join(dir, "out.pcapng.zst"))
		if err != nil {
			t.Fatal(err)
		}
		hashes[sha256.Sum256(b)]++
	}
	if len(hashes) != 1 {
		t.Errorf("%d different files", len(hashes))
	}
	comments := map[string]int{}
	r, err := capture.Open(filepath.Join(dir, "out.pcapng.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p := new(capture.Packet); r.Next(p) == nil; {
		for _, c := range p.Options.Comments() {
			comments[c]++
		}
	}
	if comments["injected fault: bit flip"] == 0 || comments["injected fault: duplicate"] == 0 {
		t.Errorf("the file says of faults: %v", comments)
	}
}

// Of a damaged file everything whole is used, and then one line says where it breaks.
func TestOfflineDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := traffic(4, 300, 50*time.Microsecond)
	path := filepath.Join(dir, "in.pcap")
	writeClassic(t, path, packets)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)-len(packets[299].data)-7], 0o644); err != nil {
		t.Fatal(err)
	}
	_, errs, status := offline(t, dir, "pcap:in.pcap", "pcap:out.pcapng")
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	if status != 1 || len(lines) != 3 || !strings.HasPrefix(lines[2], "ethertap: port pcap:in.pcap: in.pcap: the file ends within a packet") || !strings.HasSuffix(lines[2], ", after 299 whole packets") {
		t.Errorf("status %d, %q", status, lines)
	}
	samePackets(t, readCapture(t, filepath.Join(dir, "out.pcapng")), packets[:299])
}

// What cannot be is said in a line, before anything is written.
func TestOfflineMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeClassic(t, filepath.Join(dir, "in.pcap"), traffic(5, 2000, 50*time.Microsecond))
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string // the last line
	}{
		{[]string{"pcap:none.pcap", "pcap:out"}, 1, "ethertap: port pcap:none.pcap: open none.pcap: no such file or directory\n"},
		{[]string{"pcap:text", "pcap:out"}, 1, "ethertap: port pcap:text: text: neither pcap nor pcapng, plain or compressed by zstd or gzip\n"},
		{[]string{"pcap:", "pcap:out"}, 2, "ethertap: pcap:: a path is needed, pcap:FILE; ethertap -h shows usage\n"},
		{[]string{"pcap:in.pcap#-1"}, 2, "ethertap: pcap:in.pcap#-1: interfaces have numbers from 0; ethertap -h shows usage\n"},
		{[]string{"pcap:in.pcap", "pcap:./in.pcap"}, 2, "ethertap: pcap:in.pcap and pcap:./in.pcap are the same file; ethertap -h shows usage\n"},
		{[]string{"pcap:in.pcap", "--pace", "fast"}, 2, "ethertap: --pace: \"fast\" is neither original, max, a factor such as 2, nor frames a second such as 10000/s; ethertap -h shows usage\n"},
		{[]string{"pcap:in.pcap", "--loop", "0"}, 2, "ethertap: --loop 0: at least 1; ethertap -h shows usage\n"},
		{[]string{"eth1", "--loop", "2"}, 2, "ethertap: --pace and --loop are for a file that is read: ethertap pcap:FILE …; ethertap -h shows usage\n"},
		{[]string{"pcap:in.pcap", "pcap:no/out"}, 1, "ethertap: port pcap:no/out: open no/out: no such file or directory; make the directory no first\n"},
		{[]string{"pcap:in.pcap", "pcap:/dev/full"}, 1, " more are lost\n"},
		{[]string{"pcap:in.pcap", "pcap:out", "-e", "replay.wait"}, 1, "replay.wait: the reading begins after the configuration and the lines of -e; wait in a line of standard input, with --stay\n"},
		{[]string{"pcap:/dev/zero"}, 1, "ethertap: port pcap:/dev/zero: neither a file nor a link to one; write the packets to a file first, and give that\n"},
	} {
		out, errs, status := offline(t, dir, c.args...)
		if status != c.status || out != "" || !strings.HasSuffix(errs, c.says) {
			t.Errorf("%q: status %d, %q, %q, want %q", c.args, status, out, errs, c.says)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

// A queue that somebody reads loses nothing, however small it is; one that nobody reads keeps what it has room for, and that is
// said.
func TestOfflineTapsWaitForTheirReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := traffic(7, 5000, 50*time.Microsecond)
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)
	queue := fmt.Sprintf("et-offline-%d", os.Getpid())
	common := []string{"pcap:in.pcap", "pcap:out.pcapng", "--queue-slots", "64", "--tap-queue", queue}
	const taps = "0 tap.rx.enable 1 tap.tx.enable 0 fault.enable 1000 0 fault.bitflip.probability 1000 0 fault.dup.probability"

	_, errs := through(t, dir, append(common, "-e", taps)...)
	if !strings.Contains(errs, "taps: 64 packets found room in a queue, 9") || !strings.Contains(errs, " found none: a reader that is there before them is waited for") {
		t.Errorf("without a reader it says %q", errs)
	}

	// Here the reader is another process, and begins late.
	remove := func() {
		if err := os.Remove("/dev/shm/" + queue); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	t.Cleanup(remove)
	remove() // it is nobody's
	q, err := shm.Open(queue, shm.Options{Role: shm.RoleOther, Name: "test", Slots: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := make(chan string, 1)
	cmd := asNobody(t, dir, append(common, "-e", taps)...)
	cmd.SysProcAttr.Credential = nil // the queue is ours
	go func() {
		defer close(said)
		_, errs, status := outcome(t, cmd)
		if status != 0 {
			t.Errorf("status %d: %s", status, errs)
		}
		said <- errs
	}()
	netlab.Await(t, "the queue is full", func() bool {
		s, err := q.Status()
		return err == nil && s.Waiting == 64
	})
	var received, sent int
	for over := false; ; {
		n, err := c.Drain(64, func(r *shm.Record) error {
			if r.Direction == shm.RX {
				if want := packets[received]; r.Timestamp != want.at || int(r.OrigLen) != len(want.data)+int(want.missing) {
					return fmt.Errorf("packet %d: at %d, %d bytes, want at %d, %d", received, r.Timestamp, r.OrigLen, want.at, len(want.data)+int(want.missing))
				}
				received++
			} else {
				sent++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			continue
		}
		if over {
			break
		}
		select {
		case errs = <-said:
			over = true
		case <-time.After(time.Millisecond):
		}
	}
	if n := len(readCapture(t, filepath.Join(dir, "out.pcapng"))); received != len(packets) || sent != n || n < len(packets) || strings.Contains(errs, "taps:") {
		t.Errorf("%d packets received, %d sent, %d in the file: %s", received, sent, n, errs)
	}

	remove()
	os.Remove(filepath.Join(dir, "out.pcapng")) // it is ours

	// A script in ethertap itself reads as much as it wants to, and does not hold the rest up when it has enough.
	script := ": take ( n - ) 0 do begin tap.queue.get dup data.len 0= while drop 1 ms repeat drop loop ;\n1000 take replay.wait \"taken\" . bye\n"
	out, errs, status := scripted(t, dir, script, append(common, "--stay", "-e", taps)...)
	var stored, lost int
	if _, err := fmt.Sscanf(errs, "taps: %d packets found room in a queue, %d found none", &stored, &lost); err != nil || stored < 1064 || lost == 0 {
		t.Errorf("%v: %q", err, errs)
	}
	if status != 0 || out != "taken\n" || !strings.Contains(errs, "5000 packets read") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// A capture is read again and again, each time later by its length.
func TestOfflineLoop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := []recorded{{began, netlab.UDP(60, 1), 0}, {began + 1000, netlab.UDP(60, 2), 0}, {began + 4000, netlab.UDP(60, 3), 0}}
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)
	through(t, dir, "pcap:in.pcap", "pcap:out.pcapng", "--loop", "3")
	var want []recorded
	for n := range int64(3) {
		for _, p := range packets {
			p.at += n * 6000 // 4000 and the mean gap
			want = append(want, p)
		}
	}
	samePackets(t, readCapture(t, filepath.Join(dir, "out.pcapng")), want)
}

// A capture is replayed onto a link, from a place that was sought, and a link is recorded as the other end of a bridge.
func TestReplayOntoALink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	var packets []recorded
	for i := range 300 { // 100 in each second
		packets = append(packets, recorded{began + int64(i)*int64(10*time.Millisecond), netlab.UDP(60+i, uint64(i)), 0})
	}
	writeNG(t, filepath.Join(dir, "in.pcapng"), []string{"eth7"}, packets, func(int) (uint32, uint32) { return 0, 0 })
	receiver := r.Snk.NewReceiver(netlab.K1)
	defer receiver.Close()
	from := func(first int) {
		t.Helper()
		got, err := receiver.Collect(len(packets)-first, patience)
		if err != nil {
			t.Fatal(err)
		}
		for i, frame := range got {
			if !bytes.Equal(frame, packets[first+i].data) {
				t.Fatalf("frame %d: %x\nwant %x", i, frame, packets[first+i].data)
			}
		}
	}
	common := []string{"--tap-queue", r.queue, "--config", os.DevNull}
	in := "pcap:" + filepath.Join(dir, "in.pcapng")

	_, errs, status := r.run(r.ethertap, append(common, "--pace", "max", in, netlab.D1)...)
	if status != 0 || !strings.Contains(errs, "300 packets read") {
		t.Errorf("status %d: %s", status, errs)
	}
	from(0)

	r.must(r.ethertap, append(common, "--daemon", "--stay", "--log", filepath.Join(dir, "log"), "-e", "replay.pause", "--pace", "max", in, netlab.D1)...)
	var now struct {
		State   string `json:"state"`
		Packets int    `json:"packets"`
	}
	if r.ask("replay.status.json", &now); now.State != "paused" || now.Packets != 0 {
		t.Errorf("before it was resumed: %+v", now)
	}
	r.rpcl("2000 replay.seek replay.resume replay.wait")
	from(200)
	if r.ask("replay.status.json", &now); now.State != "ended" || now.Packets != 100 {
		t.Errorf("at the end: %+v", now)
	}
	r.rpcl("if.check")
	r.must(r.control, "ethertap", "stop")

	// The other way round: the sink is a file.
	out := filepath.Join(dir, "out.pcapng")
	r.must(r.ethertap, append(common, "--daemon", "--log", filepath.Join(dir, "log"), netlab.D0, "pcap:"+out)...)
	var frames [][]byte
	for _, p := range packets[:100] {
		frames = append(frames, p.data)
	}
	r.send(frames...)
	var s [2]portStats
	netlab.Await(t, "all are in the file", func() bool { s = r.portStats(); return s[1].TX == uint64(len(frames)) })
	r.must(r.control, "ethertap", "stop")
	got := readCapture(t, out)
	if len(got) != len(frames) {
		t.Fatalf("%d frames in the file, want %d", len(got), len(frames))
	}
	for i, p := range got {
		if !bytes.Equal(p.data, frames[i]) || i > 0 && p.at < got[i-1].at {
			t.Fatalf("frame %d, at %d: %x, want %x", i, p.at, p.data, frames[i])
		}
	}
}

// A fault of a seed is the same offline and on a link: a capture replayed through a bridge of one queue comes out spoiled as it does
// from one file to another, in the threads and in the kernel.
func TestOfflineSpoilsAsALinkDoes(t *testing.T) {
	t.Parallel()
	const words = "9 fault.seed 0 fault.enable 3% 0 fault.drop.probability 8% 0 fault.bitflip.probability 8% 0 fault.length.probability " +
		"1% 20% 90% 1% 0 fault.burst 5% 0 fault.corrupt.probability 4% 0 fault.ecn.probability 10% 0 fault.drop.correlation"
	dir := t.TempDir()
	var packets []recorded
	random := frames.New(8)
	for i, data := range netlab.Mix(8, 3000) {
		if i%2 == 0 {
			data = random.Frame()
		}
		if len(data) < 14 || len(data) > 1514 || slices.Contains([]uint16{0x8100, 0x88a8, 0x9100, 0x9200}, binary.BigEndian.Uint16(data[12:])) { // a kernel takes no tag that is cut off
			data = netlab.UDP(60+i%1454, uint64(i))
		}
		packets = append(packets, recorded{began + int64(i)*20_000, data, 0})
	}
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)
	for name, c := range map[string]struct {
		words    string
		fastPath string
	}{
		"threads": {words + " 5% 0 fault.dup.probability", "false"}, // the kernel sends copies later
		"kernel":  {words, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			through(t, dir, "pcap:in.pcap", "pcap:"+name, "-e", c.words)
			want := readCapture(t, filepath.Join(dir, name))
			if n := len(want); n < 2000 || n == len(packets) {
				t.Fatalf("%d of %d frames are left offline", n, len(packets))
			}
			r := newRig(t)
			r.daemon("--fastpath="+c.fastPath, "-e", c.words)
			receiver := r.Snk.NewReceiver(netlab.K1)
			defer receiver.Close()
			replay := r.Src.Command(r.ethertap, "--name", "replay", "--tap-queue", r.queue+".replay", "--config", os.DevNull, "pcap:"+filepath.Join(dir, "in.pcap"), netlab.S0)
			r.further = append(r.further, r.queue+".replay")
			replay.Env = append(os.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(r.dir, "run"), "HOME="+r.dir)
			if _, errs, status := netlab.Run(t, replay); status != 0 || !strings.Contains(errs, "3000 packets read") {
				t.Fatalf("status %d: %s", status, errs)
			}
			got, err := receiver.Collect(len(want), patience)
			if err != nil {
				t.Fatal(err)
			}
			for i, frame := range got {
				if !bytes.Equal(frame, want[i].data) {
					t.Fatalf("frame %d of %d is %x\noffline it is %x", i, len(want), frame, want[i].data)
				}
			}
			var s [2]portStats
			netlab.Await(t, "all frames are accounted for", func() bool { s = r.portStats(); return s[0].RX == uint64(len(packets)) && s[1].TX == uint64(len(want)) })
			r.rpcl("if.check")
		})
	}
}

// The examples of the library: what a line did to a capture, and a regression test of rules.
func TestOfflineExamples(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var packets []recorded
	for i := range 6000 {
		packets = append(packets, recorded{began + int64(i)*500_000, netlab.UDP(60+i%1000, uint64(i)), 0})
	}
	writeClassic(t, filepath.Join(dir, "in.pcap"), packets)

	out, errs, status := scripted(t, dir, "show-spoiled bye\n", "--stay", "pcap:in.pcap", "pcap:out.pcapng", "--queue-slots", "64", "-e", `"bad-line" load 7 bad-line`)
	if status != 0 || strings.Contains(errs, "taps:") {
		t.Fatalf("status %d: %s", status, errs)
	}
	in := map[string]int{}
	r, err := capture.Open(filepath.Join(dir, "out.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p := new(capture.Packet); r.Next(p) == nil; {
		for _, c := range p.Options.Comments() {
			in[strings.TrimPrefix(c, "injected fault: ")]++
		}
	}
	shown := map[string]int{}
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "packet ") {
			shown[lines[i-1]]++
		}
	}
	if len(in) < 3 || fmt.Sprint(shown) != fmt.Sprint(in) {
		t.Errorf("shown are %v, in the file are %v", shown, in)
	}

	if err := os.WriteFile(filepath.Join(dir, "rules.rpcl"), []byte("02:65:74:00:00:01 drop.hash.insert\n\"udp and greater 1000\" 0 tap.rx.filter 0 tap.rx.enable\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	test := func(dropped int) (string, int) {
		script := fmt.Sprintf("\"expect\" load replay.wait\n0 \"rx\" counter 6000 \"frames received\" expect\n0 \"drop\" counter %d \"frames dropped\" expect\nbye\n", dropped)
		out, errs, status := scripted(t, dir, script, "--stay", "pcap:in.pcap", "pcap:out.pcapng", "--queue-slots", "8192", "-e", `"rules.rpcl" load`)
		if errs != "pcap:in.pcap: 6000 packets read, 3357000 bytes\npcap:out.pcapng: 0 frames written, 0 bytes\n" {
			t.Errorf("it says %q", errs)
		}
		return out, status
	}
	if out, status := test(6000); status != 0 || out != "ok      frames received\nok      frames dropped\n" {
		t.Errorf("status %d: %q", status, out)
	}
	if out, status := test(5); status != 1 || out != "ok      frames received\nDIFFERS frames dropped: it is 6000, not 5\n" {
		t.Errorf("status %d: %q", status, out)
	}
}
