// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ethertap/tests/netlab"
)

// asStranger runs a shell command as a user who is not trusted.
func asStranger(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// Another user who creates files with the names of queue, log, recording and pins first blocks
// nothing and gets nothing: each is made anew, with a message.
func TestStrangersAreNoObstacle(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	if err := os.Chmod(bpffs, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	pins := filepath.Join(bpffs, "ethertap-ethertap")
	if err := os.MkdirAll(filepath.Join(pins, "x", "y"), 0o755); err != nil { // a file system of the test's own is not to be reached by others
		t.Fatal(err)
	}
	if err := os.Chown(pins, 65533, 65533); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join("/dev/shm", r.queue+".d")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	if err := os.Chmod(open, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	log, target, pcap := filepath.Join(open, "log"), filepath.Join(open, "target"), filepath.Join(open, "packets.pcap")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	asStranger(t, "mkdir -p /dev/shm/"+r.queue+"/x && ln -s "+target+" "+log+" && umask 0 && : > "+pcap)
	t.Cleanup(func() {
		left, _ := filepath.Glob("/dev/shm/." + r.queue + ".*")
		for _, name := range left {
			os.RemoveAll(name)
		}
	})
	for _, args := range [][]string{{r.ethertap, "--check", "--tap-queue", r.queue, "--config", os.DevNull, netlab.D0, netlab.D1}, {r.collect, "--check", "-q", r.queue, pcap}} {
		r.must(args[0], args[1:]...)
	}
	r.daemon("--bpffs", bpffs, "--log", log, "-e", "0 tap.rx.enable bypass.enable")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"this log is made anew, in the place of a symbolic link of user 65533",
		"queue " + r.queue + " is made anew, in the place of a directory of user 65533",
		"bypass: " + pins + " is made anew, in the place of a directory of user 65533",
		"bypass: pinned in " + pins,
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("the log lacks %q: %s", want, text)
		}
	}
	recording := r.command(r.collect, "-q", r.queue, "--plimit", "50", pcap)
	done := make(chan struct{})
	var out []byte
	go func() {
		defer close(done)
		out, err = recording.CombinedOutput()
	}()
	netlab.Await(t, "collect runs", func() bool { return strings.Contains(r.rpcl("tap.queue.who"), "collect") })
	r.sendAll(netlab.Mix(1, 50)...)
	<-done
	if err != nil || !strings.Contains(string(out), pcap+" is made anew, in the place of a file of user 65533") {
		t.Errorf("collect: %v, %s", err, out)
	}
	for name, mode := range map[string]os.FileMode{"/dev/shm/" + r.queue: 0o600, log: 0o640, pcap: 0o600, target: 0o600} {
		st, err := os.Lstat(name)
		if err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 || st.Mode() != mode {
			t.Errorf("%s: %v, %+v", name, err, st)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "precious" {
		t.Errorf("the target of the link: %q, %v", b, err)
	}
	r.rpcl("bypass.disable")
	// A link to where there is much to remove, of theirs or not, is not followed by --clear.
	r.must(r.control, "ethertap", "stop")
	for _, uid := range []int{65533, 0} {
		if err := os.Symlink(open, pins); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(pins, uid, uid); err != nil {
			t.Fatal(err)
		}
		out, errs, status := r.run(r.ethertap, "--clear", "--bpffs", bpffs)
		if uid == 0 && (status != 1 || !strings.Contains(errs, pins+": not a directory")) || uid != 0 && (status != 0 || !strings.Contains(out, "is a symbolic link of user 65533, and is left alone")) {
			t.Errorf("--clear: status %d, %q, %q", status, out, errs)
		}
		if list, err := os.ReadDir(open); err != nil || len(list) != 3 {
			t.Errorf("left are %v, %v", list, err)
		}
		if err := os.Remove(pins); err != nil {
			t.Fatal(err)
		}
	}
	// A run directory is theirs or ours: a link of theirs is not followed.
	link := filepath.Join(open, "run")
	asStranger(t, "ln -s "+r.dir+" "+link)
	for _, args := range [][]string{{r.control, "ethertap", "status"}, {r.ethertap, "--queues", "1", netlab.D0}} {
		cmd := r.command(args[0], args[1:]...)
		cmd.Env = append(cmd.Env, "ETHERTAP_RUNDIR="+link)
		if _, errs, status := netlab.Run(t, cmd); status != 1 || !strings.Contains(errs, link+": is a symbolic link of user 65533") {
			t.Errorf("%s: status %d, %q", args[0], status, errs)
		}
	}
}
