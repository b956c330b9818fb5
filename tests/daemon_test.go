// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	text, err := os.ReadFile(log)
	if err != nil || !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) configuration loaded again\n$`).Match(text) {
		t.Errorf("the log: %q, %v", text, err)
	}
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
	// A mistake is found before anything is stopped.
	before = r.daemonPID()
	writeFile(t, config, "7 answer !\ntap.nosuch\n9 tap.rx.enable\n")
	out, errs, status := r.run(r.control, "ethertap", "restart")
	if status != 1 || out != "" || !strings.HasPrefix(errs, "error: "+config+":2:1: tap.nosuch: no such word") || !strings.Contains(errs, "\nerror: "+config+":3:3: tap.rx.enable: ") ||
		!strings.HasSuffix(errs, "\ncontrol: ethertap PID "+before+" would not start again and was left running: exit status 1\n") || strings.Count(errs, "\n") != 3 {
		t.Errorf("a restart that would fail: status %d, %q, %q", status, out, errs)
	}
	if out := r.rpcl("answer @ ."); out != "6\n" || r.daemonPID() != before {
		t.Errorf("after a mistake: %q, PID %s and not %s", out, r.daemonPID(), before)
	}
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}

// control restarts a daemon in the daemon's environment, wherever control itself is called: in
// its network and mount namespace and its directory, with its limits, priority and umask. The
// same holds for collect.
func TestRestartWhereItLives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// A configuration and a log that only the daemon's mount namespace has, the log by a
	// relative name.
	dir := filepath.Join(r.dir, "home")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	inside := `mount -t tmpfs none "$0" && cd "$0" && umask 027 && ulimit -c 1000 && echo "5 answer ! 0 tap.rx.enable" >config.rpcl && nice -n 3 "$@"`
	start := func(program string, args ...string) {
		t.Helper()
		r.must("/bin/sh", append([]string{"-c", inside, dir, program}, args...)...)
	}
	start(r.ethertap, "--daemon", "--tap-queue", r.queue, "--config", filepath.Join(dir, "config.rpcl"), "--log", "log", netlab.D0, netlab.D1)
	start(r.collect, "--daemon", "-q", r.queue, "--log", "log", filepath.Join(dir, "x.pcap"))
	lives := func(program string) (pid, home string) {
		t.Helper()
		pid = regexp.MustCompile(`PID (\d+)`).FindStringSubmatch(r.must(r.control, program, "status"))[1]
		for _, name := range []string{"ns/net", "ns/mnt", "fd/2"} {
			to, err := os.Readlink("/proc/" + pid + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			home += to + "\n"
		}
		for file, what := range map[string]string{"status": `Umask:.*`, "limits": `Max core file size.*`} {
			b, err := os.ReadFile("/proc/" + pid + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			home += regexp.MustCompile(what).FindString(string(b)) + "\n"
		}
		nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, atoi(t, pid))
		return pid, fmt.Sprint(home, "priority ", nice, err)
	}
	for _, program := range []string{"ethertap", "collect"} {
		pid, home := lives(program)
		// From the namespaces of the test, and another directory.
		cmd := exec.Command(r.control, program, "restart")
		cmd.Env, cmd.Dir = r.command("true").Env, "/"
		if out, errs, status := netlab.Run(t, cmd); status != 0 || errs != "" {
			t.Fatalf("restart of %s: status %d, %s%s", program, status, out, errs)
		}
		after, there := lives(program)
		lines, same := strings.Split(home, "\n"), strings.Split(there, "\n")
		slices.Sort(lines)
		slices.Sort(same)
		if after == pid || !slices.Equal(lines, same) {
			t.Errorf("%s, PID %s and then %s, lived in\n%sand lives in\n%s", program, pid, after, home, there)
		}
	}
	cmd := exec.Command(r.control, "ethertap", "reload")
	cmd.Env = r.command("true").Env
	if out, errs, status := netlab.Run(t, cmd); status != 0 {
		t.Errorf("reload: status %d, %s%s", status, out, errs)
	}
	if out := r.rpcl("answer @ ."); out != "5\n" || r.stat(0, "RX tap") != "enabled" || r.Dut.Link(netlab.D0).XDPProgram == 0 {
		t.Errorf("after the restart: %q, RX tap %s, %+v", out, r.stat(0, "RX tap"), r.Dut.Link(netlab.D0))
	}
}

// A signal between the end of a daemon and the start of its successor waits for that.
func TestRestartUnderSignal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon()
	before := atoi(t, r.daemonPID())
	freeze(t, before)
	p := netlab.StartProcess(t, grouped(r.command(r.control, "ethertap", "restart")))
	netlab.Await(t, "it is told to end", func() bool { return asked(before, syscall.SIGTERM) })
	timeoutEnds(p, syscall.SIGTERM)
	if err := syscall.Kill(before, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(patience); err != nil || status != 0 {
		t.Errorf("status %d, %v, %q", status, err, p.Output())
	}
	if after := atoi(t, r.daemonPID()); after == before {
		t.Error("it was not restarted")
	}
}

// --check finds every mistake of configuration, lines, options and interfaces, with its
// place, and touches nothing, also while the instance runs.
func TestCheck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := filepath.Join(r.dir, "config.rpcl")
	check := func(config string, args ...string) (errs string, status int) {
		t.Helper()
		args = append([]string{"--check", "--tap-queue", r.queue, "--config", config}, args...)
		out, errs, status := r.run(r.ethertap, args...)
		if offers := strings.HasPrefix(out, "Linux "); offers != (status != 2) {
			t.Errorf("%v prints %q", args, out)
		}
		return errs, status
	}
	made := r.queue + ".made"
	writeFile(t, config, `0 tap.rx.enable
: broken ( - )
  1 if
    tap.nosuch
  then ;
1 0 /
"said" .
0 0 "`+made+`" pqueue.create
"`+made+`" pqueue.add 0 "`+made+`" pqueue.rx.enable
if.start tap.queue.delete
begin
  "nosuch.rpcl" load
  0 until
{ 1 }
: open ( - )
`)
	errs, status := check(config, "-e", "1 .", "-e", "2 tap.nosuch", "--daemon", "--log", filepath.Join(r.dir, "no", "log"), netlab.D0, "nosuch0")
	want := []string{
		"ethertap: port nosuch0: no such interface",
		"ethertap: log " + filepath.Join(r.dir, "no", "log") + ": no such file or directory",
		"error: " + config + ":4:5: tap.nosuch: no such word",
		"error: " + config + ":6:5: /: division by zero",
		"error: " + config + ":12:17: load: ",
		"error: " + config + ":15:1: : is not closed at the end of the source",
		"error: -e:2:3: tap.nosuch: no such word",
	}
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	if status != 1 || len(lines) != len(want) {
		t.Errorf("status %d, %d lines: %s", status, len(lines), errs)
	} else {
		for i, line := range lines {
			if !strings.HasPrefix(line, want[i]) {
				t.Errorf("%q and not %q", line, want[i])
			}
		}
	}
	if errs, status := check(config+".absent", netlab.D0); status != 1 || errs != "ethertap: --config "+config+".absent: no such file\n" {
		t.Errorf("no configuration: status %d, %q", status, errs)
	}
	if errs, status := check(config, netlab.D0, netlab.D0); status != 2 || strings.Count(errs, "\n") != 1 {
		t.Errorf("wrong usage: status %d, %q", status, errs)
	}
	writeFile(t, config, "0 tap.rx.enable 1 tap.tx.enable\n: twice ( n - n ) 2 * ;\n4 twice .\n")
	for range 2 { // the second time while it runs
		if errs, status := check(config, "-e", "1 0 fault.drop.probability 0 fault.enable", netlab.D0, netlab.D1); status != 0 || errs != "" {
			t.Errorf("all is well: status %d, %q", status, errs)
		}
		if len(r.runDirectory()) == 0 {
			r.untouched()
			r.daemon()
		}
	}
	if names, _ := filepath.Glob("/dev/shm/*" + r.queue + "*"); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
	if out, errs, status := r.run(r.collect, "--check", "-q", r.queue, filepath.Join(r.dir, "no", "x.pcap")); status != 1 || out != "" || strings.Count(errs, "\n") != 1 {
		t.Errorf("collect: status %d, %q, %q", status, out, errs)
	}
	if out, errs, status := r.run(r.collect, "--check", "-q", r.queue, "--rotate", "size=1M", filepath.Join(r.dir, "x.pcap")); status != 0 || out+errs != "" {
		t.Errorf("collect: status %d, %q, %q", status, out, errs)
	}
	if names, _ := filepath.Glob(filepath.Join(r.dir, "x*")); len(names) != 0 {
		t.Errorf("recorded: %v", names)
	}
}

// --check says what this machine offers; without interfaces, of all that are there.
func TestOffers(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	all := r.must(r.ethertap, "--check", "--bpffs", bpffs)
	two := r.must(r.ethertap, "--check", "--bpffs", bpffs, "--tap-queue", r.queue, "--config", os.DevNull, netlab.D0, netlab.D1)
	if all != two || !strings.HasPrefix(all, "Linux "+unix.ByteSliceToString(u.Release[:])+" on "+runtime.GOARCH+"\n") {
		t.Errorf("%q and %q", all, two)
	}
	for _, want := range []string{"fast path  yes", "filters in the kernel  yes", "bypass  yes", "busy polling  yes", netlab.D0 + " (veth): MTU 1500, 1 queue",
		"native XDP  yes: up to MTU 3506 in one buffer", "zero-copy  no: the kernel copies each frame", "fast path to it  yes"} {
		if !regexp.MustCompile(`(?m)^ *` + strings.ReplaceAll(regexp.QuoteMeta(want), "  ", " +") + `$`).MatchString(all) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
	// What it says of the fast path is what a start finds.
	r.Src.SetFeature(netlab.S0, "rx-gro", false)
	if off := r.must(r.ethertap, "--check"); !strings.Contains(off, "no: it takes no redirected frames; to fix this, run: ") {
		t.Errorf("%s", off)
	}
	r.daemon()
	if status := r.must(r.control, "ethertap", "-e", "fastpath.status"); !strings.Contains(status, "takes no redirected frames; to fix this, run: ") {
		t.Errorf("%s", status)
	}
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
		if said := p.Stderr(); name == "collect" && !strings.Contains("\n"+said, "\ncollect: 0 packets  24 B  ") { // what a service did is in its log
			t.Errorf("the log: %q", said)
		}
	}
}

// A daemon that does not end is killed if that is asked for; the next one starts.
func TestStopWithKill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon()
	pid := r.daemonPID()
	freeze(t, atoi(t, pid))
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
	if out := r.must(r.control, "collect", "status"); !strings.HasSuffix(out, " running (ring)\n  log "+log+"\n") {
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
	if out := r.must(r.control, "collect", "status"); !strings.HasSuffix(out, " running (ring)\n  log "+log+"\n") {
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
