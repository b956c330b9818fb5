// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// Two collectors record different hosts, each from a further queue with a machash of its
// own, and the TAP queue has nothing.
func TestTwoCollectorsRecordDifferentHosts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hosts := []policy.MAC{{2, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}}
	names := []string{r.queue + ".one", r.queue + ".two"}
	r.further = append(r.further, names...)
	// The first is there before the daemon; the second is made from its configuration.
	r.daemon("-e", fmt.Sprintf(`1024 0 "%[1]s" pqueue.create "%[1]s" pqueue.add 0 "%[1]s" pqueue.rx.enable`, names[0]),
		"-e", fmt.Sprintf(`%v "%s" pqueue.hash.insert`, hosts[0], names[0]))
	r.rpcl(fmt.Sprintf(`"%[1]s" pqueue.add 0 "%[1]s" pqueue.rx.enable %[2]v "%[1]s" pqueue.hash.insert`, names[1], hosts[1]))

	const frames = 50
	var files []string
	wait := make([]func() error, len(names))
	for i, name := range names {
		file := filepath.Join(r.dir, fmt.Sprintf("host%d.pcap", i))
		cmd := r.command(r.collect, "-q", name, "-n", "--silent", "--plimit", fmt.Sprint(frames), file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		files, wait[i] = append(files, file), cmd.Wait
	}
	var batch [][]byte
	for i := range uint64(3 * frames) {
		f := netlab.Frame{Src: netlab.SrcMAC, Seq: i}
		if i%3 < 2 {
			f.Src = netlab.MAC(hosts[i%3])
		}
		batch = append(batch, f.Bytes())
	}
	r.send(batch...)
	for i := range files {
		if err := wait[i](); err != nil {
			t.Fatalf("collect %d: %v", i, err)
		}
		out := r.must("tcpdump", "-e", "-n", "-r", files[i])
		if n := strings.Count(out, hosts[i].String()+" >"); n != frames {
			t.Errorf("%s has %d frames of %v, want %d", files[i], n, hosts[i], frames)
		}
	}
	show := r.rpcl("pqueue.show")
	if strings.Count(show, fmt.Sprintf("tapped    %d\n", frames)) != 2 || !strings.Contains(show, "RX tap    0 "+netlab.D0) {
		t.Errorf("pqueue.show:\n%s", show)
	}
	if out := r.rpcl("tap.queue.status"); !strings.Contains(out, "inserted  0\n") {
		t.Errorf("tap.queue.status:\n%s", out)
	}
	if out := r.rpcl(fmt.Sprintf("%q pqueue.who %q pqueue.producers", names[0], names[0])); strings.Count(out, "queue 0") != 2 {
		t.Errorf("pqueue.who and pqueue.producers:\n%s", out)
	}
}

// The sizes of the TAP queue are chosen when it is made and stated by its status; a queue
// that is there with others is refused. It outlives ethertap until it is deleted, which
// nobody can do under it.
func TestQueueSizesAndDeletion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	shell := netlab.Build(t, "./cmd/rpclsh")
	r.daemon("--queue-slots", "1000", "--queue-slot-size", "300", "-e", "0 tap.rx.enable -1 tap.queue.overwrite")
	r.send(netlab.Mix(7, 10)...)
	netlab.Await(t, "10 packets are in the queue", func() bool {
		return strings.Contains(r.rpcl("tap.queue.status"), "inserted  10\n")
	})
	status := r.rpcl("tap.queue.status")
	for _, row := range []string{"slots     1024\n", "slot size 320\n", "waiting   10\n", "overwrite yes\n"} {
		if !strings.Contains(status, row) {
			t.Errorf("no row %q in\n%s", row, status)
		}
	}
	if _, errs, status := r.run(shell, "-q", r.queue, "-e", "tap.queue.delete"); status != 1 || !strings.Contains(errs, "used by another: ethertap, PID") {
		t.Errorf("deletion under ethertap: status %d, %s", status, errs)
	}
	r.must(r.control, "ethertap", "stop")
	out, errs, code := r.run(r.ethertap, "--tap-queue", r.queue, "--config", os.DevNull, "--queue-slots", "2048", netlab.D0, netlab.D1)
	if code != 1 || !strings.Contains(errs, "1024 slots of 320 bytes; to fix this, delete it") || out != "" {
		t.Errorf("other sizes: status %d, %s%s", code, out, errs)
	}
	if out := r.must(shell, "-q", r.queue, "-e", "tap.queue.get drop tap.queue.delete tap.queue.status"); !strings.Contains(out, "slots     4096\n") {
		t.Errorf("after deletion:\n%s", out)
	}
}

// Frames that a slot cuts are said at the start with what fixes it, counted by the queue,
// and told of by whoever records them.
func TestFramesThatAreCutAreSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("--queue-slot-size", "320", "-e", "0 tap.rx.enable")
	log, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("queue %s: a slot holds 256 bytes of a frame, and port %s has MTU 1500: longer frames are cut", r.queue, netlab.D0)
	if !strings.Contains(string(log), want) || !strings.Contains(string(log), "--queue-slot-size 1600") {
		t.Errorf("the log:\n%s", log)
	}
	p := r.collecting("--plimit", "3", filepath.Join(r.dir, "x.pcap"))
	r.send(netlab.UDP(256, 1), netlab.UDP(257, 2), netlab.UDP(1000, 3))
	ended(t, p)
	if out := p.Output(); !strings.Contains(out, "  lost 0  truncated 2  00:00:") {
		t.Errorf("collect said:\n%s", out)
	}
	for _, line := range []string{"tap.queue.status", fmt.Sprintf("%q pqueue.status", r.queue)} {
		if out := r.rpcl(line); !strings.Contains(out, "truncated 2\n") {
			t.Errorf("%s:\n%s", line, out)
		}
	}
}

// The file of the queue is removed while ethertap and a collector use it, and then damaged. Both
// go on with a new one and say so. No packet is lost that could be saved, and none is lost
// without being counted.
func TestQueueIsRemovedUnderThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable")
	const each = 200
	file := filepath.Join(r.dir, "x.pcap")
	p := r.collecting("--plimit", fmt.Sprint(3*each), file)
	var frames [][]byte
	send := func() {
		t.Helper()
		first := uint64(len(frames))
		for i := range uint64(each) {
			frames = append(frames, netlab.UDP(100, first+i))
		}
		r.sendAll(frames[first:]...)
		netlab.Await(t, "all are tapped", func() bool { return r.stat(0, "tapped") == fmt.Sprint(len(frames)) })
	}
	said := func(what string) func() bool {
		return func() bool {
			log, err := os.ReadFile(filepath.Join(r.dir, "log"))
			return err == nil && strings.Contains(string(log), what)
		}
	}
	send()
	if err := os.Remove("/dev/shm/" + r.queue); err != nil {
		t.Fatal(err)
	}
	send() // some of it while nobody has noticed yet
	netlab.Await(t, "ethertap says so", said("file is gone: it was removed; frames go into a new one"))
	netlab.Await(t, "the collector goes over", func() bool { return strings.Contains(r.rpcl("tap.queue.who"), "collect") })
	send()
	ended(t, p)
	if got := readPcap(t, file); len(got) != len(frames) {
		t.Errorf("%d packets recorded of %d", len(got), len(frames))
	}
	if out := p.Output(); strings.Count(out, "recording goes on with the next one\n") != 1 || strings.Count(out, "the next one is there\n") != 1 {
		t.Errorf("collect said:\n%s", out)
	}
	if out := r.rpcl("if.check tap.queue.status"); strings.Contains(out, "tap lost") {
		t.Errorf("the books:\n%s", out)
	}

	// Nobody has it open: what waits is lost, and counted.
	send()
	if err := os.Remove("/dev/shm/" + r.queue); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "what is lost is counted", said("200 packets that nobody had taken are lost with its old file"))
	if out := r.rpcl("if.check if.stats"); strings.Count(out, "tap lost") != 2 || r.stat(0, "tap lost") != "200" || r.stat(0, "tapped") != "600" {
		t.Errorf("the books:\n%s", out)
	}

	// Damaged: what was in it may have been lost.
	p = r.collecting("--plimit", fmt.Sprint(each), "-n", file)
	if err := os.Truncate("/dev/shm/"+r.queue, 4096); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "ethertap says so", said("queue is corrupt: 4096 bytes long"))
	netlab.Await(t, "the collector goes over", func() bool { return strings.Contains(r.rpcl("tap.queue.who"), "collect") })
	frames = frames[:0]
	r.rpcl("if.stats.reset")
	send()
	ended(t, p)
	if got := readPcap(t, file); len(got) != each {
		t.Errorf("%d packets recorded of %d", len(got), each)
	}
	if out := r.rpcl("if.check"); strings.Contains(out, "tap lost") {
		t.Errorf("the books:\n%s", out)
	}
}

// A collector that is there first waits without making the queue, says that nothing is
// tapped and which word changes that, and the word does.
func TestCollectorThatIsThereFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file := filepath.Join(r.dir, "x.pcap")
	p := r.collecting("--plimit", "10", file)
	netlab.Await(t, "it says that there is no queue", func() bool { return strings.Contains(p.Output(), "there is no queue "+r.queue+" yet") })
	if _, err := os.Stat("/dev/shm/" + r.queue); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the queue: %v", err)
	}
	r.daemon()
	const line = "or run: control ethertap -e '0 tap.rx.enable'\n"
	netlab.Await(t, "it says what to do", func() bool {
		return strings.Contains(p.Output(), " but all its taps are off;") && strings.Contains(p.Output(), line)
	})
	r.must(r.control, "ethertap", "-e", "0 tap.rx.enable")
	r.send(netlab.Mix(1, 10)...)
	ended(t, p)
	if got := readPcap(t, file); len(got) != 10 {
		t.Errorf("%d packets", len(got))
	}
}
