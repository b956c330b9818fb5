package tests

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// daemonPID is the daemon's as control lists it.
func (r *rig) daemonPID() string {
	r.t.Helper()
	return regexp.MustCompile(`PID (\d+)`).FindStringSubmatch(r.must(r.control, "ethertap", "status"))[1]
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func contains(t *testing.T, path, text string) func() bool {
	return func() bool {
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), text)
	}
}

// The configuration is loaded again on request and on SIGHUP, when the log is begun
// anew too; an error in it is told and changes nothing else. Restart starts the same
// again.
func TestReloadAndRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config, log := filepath.Join(r.dir, "config.rpcl"), filepath.Join(r.dir, "log")
	writeFile(t, config, "1 answer !\n")
	r.daemon("--config", config)
	if out := r.rpcl("answer @ ."); out != "1\n" {
		t.Fatalf("configured: %q", out)
	}
	writeFile(t, config, "2 answer !\n0 tap.rx.enable\n")
	r.must(r.control, "ethertap", "reload")
	if out := r.rpcl("answer @ ."); out != "2\n" || r.stat(0, "RX tap") != "enabled" {
		t.Errorf("reloaded: %q, RX tap %s", out, r.stat(0, "RX tap"))
	}
	writeFile(t, config, "3 answer !\ntap.nosuch\n4 answer !\n")
	if out, errs, status := r.run(r.control, "ethertap", "reload"); status != 1 || out != "" || !strings.Contains(errs, config+":2:1: tap.nosuch: no such word") || strings.Count(errs, "\n") != 1 {
		t.Errorf("an error: status %d, %q, %q", status, out, errs)
	}
	hangup := func() {
		t.Helper()
		pid := atoi(t, r.daemonPID())
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	netlab.Await(t, "the error is logged", contains(t, log, "reload: "+config+":2:1: tap.nosuch: no such word"))
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, "5 answer !\n")
	hangup()
	netlab.Await(t, "the configuration is loaded, the log is new", contains(t, log, "configuration loaded again"))
	if out := r.rpcl("answer @ ."); out != "5\n" {
		t.Errorf("after SIGHUP: %q", out)
	}
	before := r.daemonPID()
	writeFile(t, config, "6 answer !\n")
	out := r.must(r.control, "ethertap", "restart")
	if after := r.daemonPID(); after == before || out != "shutdown of ethertap PID "+before+" complete\nethertap going to background, PID "+after+"\n" {
		t.Errorf("restarted %s as %s: %q", before, after, out)
	}
	if out := r.rpcl("answer @ ."); out != "6\n" {
		t.Errorf("after the restart: %q", out)
	}
	writeFile(t, config, "tap.nosuch\n")
	if _, errs, status := r.run(r.control, "ethertap", "restart"); status != 1 || !strings.Contains(errs, "tap.nosuch: no such word") || !strings.Contains(errs, "was stopped and does not start again") {
		t.Errorf("a restart that fails: status %d, %q", status, errs)
	}
	r.untouched()
}

// The service manager is told when frames are forwarded, when the configuration is
// loaded, and of the end; one in the foreground is not restarted by control.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := filepath.Join(r.dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	told := func(want string) {
		t.Helper()
		l.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 200)
		n, err := l.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			t.Fatalf("told %q, %v; want %q", buf[:n], err, want)
		}
	}
	for _, c := range []struct {
		program string
		args    []string
	}{
		{r.ethertap, []string{"--stay", "--config", os.DevNull, "--tap-queue", r.queue, netlab.D0, netlab.D1}},
		{r.collect, []string{"--silent", "--name", "lab", "-q", r.queue, filepath.Join(r.dir, "x.pcap")}},
	} {
		cmd := r.command(c.program, c.args...)
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
		p := netlab.StartProcess(t, cmd)
		p.CloseInput()
		told("READY=1")
		name := filepath.Base(c.program)
		if name == "ethertap" {
			if r.Dut.Link(netlab.D0).XDPProgram == 0 {
				t.Error("ready, and nothing on the interface")
			}
			r.must(r.control, "ethertap", "reload")
			told("RELOADING=1\nMONOTONIC_USEC=")
			told("READY=1")
		}
		if _, errs, status := r.run(r.control, name, "restart"); status != 1 || !strings.Contains(errs, "runs in the foreground") {
			t.Errorf("restart: status %d, %q", status, errs)
		}
		r.must(r.control, name, "stop")
		told("STOPPING=1")
		ended(t, p)
	}
}

// A daemon that does not end is killed if that is asked for; the next one starts.
func TestStopWithKill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon()
	pid := r.daemonPID()
	if err := syscall.Kill(atoi(t, pid), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := r.run(r.control, "ethertap", "stop", "--timeout", "0"); status != 1 || !strings.Contains(errs, "still running after 0s") {
		t.Errorf("stop: status %d, %q", status, errs)
	}
	if out := r.must(r.control, "ethertap", "stop", "--timeout", "1", "--kill"); out != "ethertap PID "+pid+" did not end within 1s and was killed\n" {
		t.Errorf("kill: %q", out)
	}
	r.untouched()
	r.daemon()
}

// A collecting daemon begins its next file when told to, is found by its name, and is
// restarted with its arguments.
func TestCollectDaemon(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable")
	dir := t.TempDir()
	log := filepath.Join(r.dir, "collect.log")
	r.must(r.collect, "-q", r.queue, "--daemon", "--name", "ring", "--log", log, "--rotate", "packets=1000", filepath.Join(dir, "x.pcap"))
	if out := r.must(r.control, "collect", "status"); !strings.HasSuffix(out, " running (ring)\n") {
		t.Errorf("status %q", out)
	}
	if out, errs, status := r.run(r.collect, "-q", r.queue, "--name", "ring", filepath.Join(dir, "y.pcap")); status != 1 || !strings.Contains(errs, `collect "ring" is already running`) {
		t.Errorf("the same name again: status %d, %q, %q", status, out, errs)
	}
	finished := func() int { names, _ := filepath.Glob(filepath.Join(dir, "*.pcap")); return len(names) }
	r.send(netlab.UDP(100, 1))
	netlab.Await(t, "a packet is written", func() bool {
		names, _ := filepath.Glob(filepath.Join(dir, "*.part"))
		return len(names) == 1 && size(t, names[0]) > 24
	})
	r.must(r.control, "collect", "rotate", "--name", "ring")
	netlab.Await(t, "a file is finished", func() bool { return finished() == 1 })
	r.must(r.control, "collect", "restart", "--name", "ring")
	if out := r.must(r.control, "collect", "status"); !strings.HasSuffix(out, " running (ring)\n") {
		t.Errorf("status %q", out)
	}
	r.send(netlab.UDP(100, 2))
	netlab.Await(t, "a packet is written", func() bool {
		names, _ := filepath.Glob(filepath.Join(dir, "*.part"))
		return len(names) == 1 && size(t, names[0]) > 24
	})
	// Its directory goes: what was written is brought back, and that is logged.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "it is logged", contains(t, log, "was removed while it was written; it is restored"))
	r.must(r.control, "collect", "stop")
	names, _ := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if len(names) != 1 || len(readPcap(t, names[0])) != 1 {
		t.Errorf("left: %v", names)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		return 0 // renamed meanwhile
	}
	return fi.Size()
}
