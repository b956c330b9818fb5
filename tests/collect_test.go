// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/shm"
	"ethertap/tests/netlab"
)

// collecting starts collect beside the rig's daemon and returns when it collects.
func (r *rig) collecting(args ...string) *netlab.Process {
	r.t.Helper()
	before := strings.Count(r.collectors(), "\n")
	p := netlab.StartProcess(r.t, r.command(r.collect, append([]string{"-q", r.queue}, args...)...))
	netlab.Await(r.t, "collect runs", func() bool { return strings.Count(r.collectors(), "\n") > before })
	return p
}

// queueStatus opens the rig's queue and returns how to ask for its status.
func (r *rig) queueStatus() func() shm.Status {
	r.t.Helper()
	q, err := shm.Open(r.queue, shm.Options{Role: shm.RoleOther, Name: "test", NoCreate: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { q.Close() })
	return func() shm.Status {
		st, err := q.Status()
		if err != nil {
			r.t.Fatal(err)
		}
		return st
	}
}

// collectors lists them.
func (r *rig) collectors() string {
	r.t.Helper()
	out, _, status := r.run(r.control, "collect", "status")
	if status != 0 {
		return ""
	}
	return out
}

// ended waits for the end and wants status 0.
func ended(t *testing.T, p *netlab.Process) {
	t.Helper()
	if status, err := p.Wait(patience); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, p.Output())
	}
}

// A PCAPNG of a bridge, field by field: interfaces, directions, the id that links what
// came in and what went out, faults, statistics; tcpdump and capinfos read it too.
func TestPcapngFieldByField(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable 1 tap.tx.enable", "-e", "1 0 fault.bitflip.every 0 fault.enable")
	file := filepath.Join(r.dir, "x.pcapng")
	p := r.collecting("--silent", "--format", "pcapng", "--timestamp", "receive", "--plimit", "8", "--filter", "ether proto 0x88b5 or udp or ip6", file)
	r.send(netlab.UDP(100, 1), netlab.UDP(300, 2), netlab.UDP(1000, 3), netlab.UDP(64, 4))
	ended(t, p)

	rows := netlab.Tshark(t, file, "-T", "fields", "-E", "separator=|",
		"-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.packet_flags_reception_type",
		"-e", "frame.packet_id", "-e", "frame.comment", "-e", "frame.len", "-e", "frame.time_epoch", "-e", "frame.interface_description")
	if len(rows) != 8 {
		t.Fatalf("%d packets: %v", len(rows), rows)
	}
	ids := map[string][]string{} // by packet id: the interfaces seen
	for _, row := range rows {
		f := strings.Split(row, "|")
		switch {
		case f[0] == netlab.D0 && f[1] == "0x00000001" && f[4] == "" && f[7] == "EtherTAP interface 0":
		case f[0] == netlab.D1 && f[1] == "0x00000002" && f[4] == "injected fault: bit flip" && f[7] == "EtherTAP interface 1":
		default:
			t.Errorf("a packet of %q", f)
		}
		if f[2] == "0x00000000" || f[3] == "" || !strings.Contains(f[6], ".") {
			t.Errorf("reception %s, id %s, time %s", f[2], f[3], f[6])
		}
		ids[f[3]] = append(ids[f[3]], f[0]+" "+f[5])
	}
	for id, seen := range ids {
		if len(seen) != 2 || seen[0][3:] != seen[1][3:] || seen[0][:2] == seen[1][:2] {
			t.Errorf("packet %s was seen at %v", id, seen)
		}
	}
	if len(ids) != 4 {
		t.Errorf("%d packet ids: %v", len(ids), ids)
	}

	capinfos := netlab.RequireTool(t, "capinfos")
	out, errs, status := netlab.Run(t, exec.Command(capinfos, file))
	if status != 0 {
		t.Fatalf("capinfos: %s", errs)
	}
	for _, want := range []string{
		"File type:           Wireshark/... - pcapng", "Number of packets:   8", "Number of interfaces in file: 2",
		"Name = " + netlab.D0, "Name = " + netlab.D1, "Time precision = nanoseconds (9)", "Filter string = ether proto 0x88b5 or udp or ip6",
		"Number of stat entries = 1", "Number of packets = 4", "Capture application: EtherTAP collect", "Capture oper-sys:    Linux",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("capinfos does not say %q:\n%s", want, out)
		}
	}
	if out, errs, status := netlab.Run(t, exec.Command(netlab.RequireTool(t, "tcpdump"), "-n", "-r", file)); status != 0 || strings.Count(out, "\n") != 8 {
		t.Errorf("tcpdump: status %d, %s%s", status, out, errs)
	}
	t.Run("statistics", func(t *testing.T) { checkStatistics(t, file) })
}

// checkStatistics reads the interface statistics as tshark's JSON of the file's records
// does not show them: from the blocks.
func checkStatistics(t *testing.T, file string) {
	blocks := pcapngBlocks(t, file)
	seen := 0
	for _, b := range blocks {
		if b.kind != 5 {
			continue
		}
		for code, want := range map[uint16]uint64{4: 4, 5: 0, 6: 4, 8: 4} {
			if got := b.number(code); got != want {
				t.Errorf("interface %d: option %d is %d, want %d", b.u32(0), code, got, want)
			}
		}
		if len(b.options[2]) != 8 || len(b.options[3]) != 8 {
			t.Errorf("interface %d: no times", b.u32(0))
		}
		seen++
	}
	if seen != 2 {
		t.Errorf("%d interface statistics", seen)
	}
}

// What the queue had no room for is in the drop counts: they and the packets are all
// that was sent.
func TestPcapngDropCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable")
	file := filepath.Join(r.dir, "x.pcapng")
	p := r.collecting("--silent", "--format", "pcapng", file)
	if err := p.Signal(stopSignal); err != nil { // it falls asleep and the queue fills
		t.Fatal(err)
	}
	sender := r.Src.NewSender(netlab.S0, true)
	status := r.queueStatus()
	for i := uint64(0); status().Full < 100; i++ {
		for n := range uint64(500) {
			if err := sender.Send(netlab.UDP(100, 1000*i+n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Signal(continueSignal); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "the queue is empty", func() bool { return status().Waiting == 0 })
	before := status().Retrieved
	r.send(netlab.UDP(100, 0))
	netlab.Await(t, "the last packet is taken", func() bool { return status().Retrieved > before })
	var packets, dropped, total uint64
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	packets = 0
	for _, b := range pcapngBlocks(t, file) {
		switch b.kind {
		case 6:
			packets++
			dropped += b.number(4)
		case 5:
			total += b.number(5)
		}
	}
	if sent := r.stat(0, "rx"); fmt.Sprint(packets+dropped) != sent || dropped == 0 || total != dropped {
		t.Errorf("%d packets and %d drops are not %s; the statistics say %d", packets, dropped, sent, total)
	}
	rows := netlab.Tshark(t, file, "-T", "fields", "-e", "frame.drop_count", "-Y", "frame.drop_count > 0")
	if len(rows) == 0 {
		t.Error("tshark sees no drop count")
	}
}
