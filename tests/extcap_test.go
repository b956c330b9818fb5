// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/tests/netlab"
)

// wireshark prepares one of its programs in dut with collect as its only extcap
// program. Run by root it looks in its own directory alone, so ours is mounted there,
// in the mount namespace that `ip netns exec` makes.
func (r *rig) wireshark(program string, args ...string) *exec.Cmd {
	r.t.Helper()
	out, _, _ := netlab.Run(r.t, exec.Command(netlab.RequireTool(r.t, "tshark"), "-G", "folders"))
	place := ""
	for _, line := range strings.Split(out, "\n") {
		if what, path, ok := strings.Cut(line, ":"); ok && what == "Extcap path" {
			place = strings.TrimSpace(path)
		}
	}
	if st, err := os.Stat(place); err != nil || !st.IsDir() {
		r.t.Fatalf("tshark names no extcap directory that is there: %q", place)
	}
	dir := filepath.Join(r.dir, "extcap")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(r.collect, filepath.Join(dir, "collect")); err != nil && !os.IsExist(err) {
		r.t.Fatal(err)
	}
	return r.command("/bin/sh", append([]string{"-c", `mount --bind "$1" "$2" && shift 2 && exec "$@"`, "sh", dir, place, program}, args...)...)
}

// The protocol, as Wireshark speaks it.
func TestExtcapAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	named := "interface {value=" + r.queue + "}{display=EtherTAP: d0 <-> d1}\n"
	if out := r.must(r.collect, "--extcap-interfaces", "--extcap-version=4.0"); strings.Contains(out, r.queue) || !strings.HasPrefix(out, "extcap {version=") {
		t.Errorf("without ethertap: %q", out)
	}
	r.daemon()
	if out := r.must(r.collect, "--extcap-interfaces"); !strings.Contains(out, named) {
		t.Errorf("interfaces: %q", out)
	}
	streams := r.command(r.collect, "--extcap-interfaces")
	streams.Env = append(streams.Env, "ETHERTAP_STREAMS=nats://a:4222/ONE nats://a:4222/TWO?host=x*")
	if out, _, _ := netlab.Run(t, streams); !strings.Contains(out, "interface {value=nats://a:4222/TWO?host=x*}{display=EtherTAP: nats://a:4222/TWO?host=x*}\n") {
		t.Errorf("streams: %q", out)
	}
	if out := r.must(r.collect, "--extcap-interface", r.queue, "--extcap-dlts"); out != "dlt {number=1}{name=EN10MB}{display=Ethernet}\n" {
		t.Errorf("dlts: %q", out)
	}
	out := r.must(r.collect, "--extcap-interface", r.queue, "--extcap-config")
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if !strings.HasPrefix(line, "arg {number=") && !strings.HasPrefix(line, "value {arg=") {
			t.Errorf("config: %q", line)
		}
	}
	if out := r.must(r.collect, "--extcap-interface", r.queue, "--extcap-capture-filter", "tcp port 443"); out != "" {
		t.Errorf("a filter: %q", out)
	}
	if out := r.must(r.collect, "--extcap-interface", r.queue, "--extcap-capture-filter", "tcp prt"); !strings.Contains(out, "at 5:") {
		t.Errorf("a wrong filter: %q", out)
	}
	for _, args := range [][]string{
		{"--capture", "--fifo", "x"},
		{"--capture", "--extcap-interface", r.queue},
		{"--capture", "--extcap-interface", r.queue, "--fifo", "x", "y"},
		{"--extcap-interface", r.queue},
	} {
		if out, errs, status := r.run(r.collect, args...); status != 2 || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, %q, %q", args, status, out, errs)
		}
	}
}

// The real tshark and dumpcap list the tap and record from it, filter and all.
func TestExtcapWithTshark(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tshark := netlab.RequireTool(t, "tshark")
	netlab.RequireTool(t, "dumpcap")
	r.daemon("-e", "0 tap.rx.enable 1 tap.tx.enable")
	out, errs, status := netlab.Run(t, r.wireshark(tshark, "-D"))
	if status != 0 || !strings.Contains(out, r.queue+" (EtherTAP: d0 <-> d1)") {
		t.Fatalf("tshark -D: status %d, %s%s", status, out, errs)
	}
	file := filepath.Join(r.dir, "wireshark.pcapng")
	recording := netlab.StartProcess(t, r.wireshark(tshark, "-i", r.queue, "-f", "udp", "-c", "8", "-w", file))
	netlab.Await(t, "collect has begun", func() bool { return r.collectors() != "" })
	r.send(netlab.VLAN(200, 9, 7), netlab.UDP(100, 1), netlab.UDP(200, 2), netlab.UDP(300, 3), netlab.VLAN(200, 10, 7), netlab.UDP(400, 4))
	ended(t, recording)
	rows := netlab.Tshark(t, file, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.packet_id", "-e", "udp.dstport")
	if len(rows) != 8 {
		t.Fatalf("%d packets: %v", len(rows), rows)
	}
	seen := map[string]int{}
	for _, row := range rows {
		f := strings.Split(row, "|")
		seen[f[0]+f[1]]++
		if f[2] == "" || f[3] == "" {
			t.Errorf("a packet of %q", row)
		}
	}
	if seen["d00x00000001"] != 4 || seen["d10x00000002"] != 4 {
		t.Errorf("interfaces and directions: %v of %v", seen, rows)
	}
	netlab.Await(t, "collect has ended", func() bool { return r.collectors() == "" })
}
