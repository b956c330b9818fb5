// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
	"ethertap/shm"
)

// Where nothing comes it is said why: no queue, nobody who fills it, taps that are off and
// the word that switches one on, hosts, a filter; and which queues are filled. A queue that
// is not there is not made.
func TestItSaysWhyNothingComes(t *testing.T) {
	queue := setup(t)
	instance, err := rundir.Register(t.Context(), "ethertap", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	dir := t.TempDir()
	type run struct {
		*exec.Cmd
		name, want string
	}
	var runs []run
	start := func(name, want string, args ...string) {
		t.Helper()
		r := run{command(t, append(args, "-q", name, filepath.Join(dir, name))...), name, want}
		errs, err := os.Create(filepath.Join(dir, name+".errs"))
		if err != nil {
			t.Fatal(err)
		}
		defer errs.Close()
		r.Stderr = errs
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	said := func(r run) string {
		b, err := os.ReadFile(filepath.Join(dir, r.name+".errs"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	who := fmt.Sprintf("ethertap (PID %d)", os.Getpid())
	open := func(name string, role shm.Role) *shm.Queue {
		t.Helper()
		q, err := shm.Open(name, shm.Options{Role: role, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			q.Close()
			os.Remove("/dev/shm/" + name)
		})
		return q
	}
	fill := func(name string, role shm.Role, taps ...shm.Taps) *shm.Producer {
		t.Helper()
		q := open(name, role)
		var list []shm.Interface
		for i, taps := range taps {
			list = append(list, shm.Interface{Index: i, Name: fmt.Sprint("eth", i), Taps: taps})
		}
		if err := q.SetInterfaces(list); err != nil {
			t.Fatal(err)
		}
		p, err := q.NewProducer("test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	off, further := shm.TapStated, shm.TapStated|shm.TapFurther
	fill(queue+".off", shm.RoleEthertap, off, off)
	start(queue+".off", who+" fills "+queue+".off, but all its taps are off; to switch one on, type at its prompt: 0 tap.rx.enable, or run: control --name test ethertap -e '0 tap.rx.enable'\n")
	fill(queue+".further", shm.RoleEthertap, further, further)
	start(queue+".further", fmt.Sprintf("at its prompt: 0 %[1]q pqueue.rx.enable, or run: control --name test ethertap -e '0 %[1]q pqueue.rx.enable'\n", queue+".further"))
	fill(queue+".on", shm.RoleEthertap, off|shm.TapRX|shm.TapTX|shm.TapHosts, off|shm.TapTX|shm.TapHosts)
	start(queue+".on", who+" fills "+queue+".on with RX of eth0, TX of eth0, TX of eth1, but no frame from or to a host of tap.hash.show has come yet\n")
	fill(queue+".filtered", shm.RoleEthertap, off|shm.TapRX|shm.TapFilter)
	start(queue+".filtered", who+" fills "+queue+".filtered with RX of eth0, but no frame that the filters of tap.filter.show take has come yet\n")
	fill(queue+".other", shm.RoleOther)
	start(queue+".other", fmt.Sprintf("other (PID %d) fills %s.other, but nothing has come yet\n", os.Getpid(), queue))
	open(queue+".stopped", shm.RoleEthertap)
	start(queue+".stopped", who+" has "+queue+".stopped open, but forwards nothing yet; at its prompt, if.start\n")
	open(queue+".idle", shm.RoleOther)
	start(queue+".idle", "nothing fills "+queue+".idle yet; waiting for ethertap; being filled: ")
	start(queue+".mistyped", "there is no queue "+queue+".mistyped yet; waiting for ethertap to make it; being filled: ")
	p := fill(queue, shm.RoleEthertap, off|shm.TapRX)
	put(t, p, 0, 5)
	start(queue, "packets come, but none matches the filter\n", "-n", "--filter", "udp")
	fill(queue+".silent", shm.RoleEthertap, off)
	start(queue+".silent", "", "--silent")

	for _, r := range runs {
		eventually(t, r.name+" says "+r.want, func() bool { return strings.Contains(said(r), r.want) })
	}
	if _, err := os.Stat("/dev/shm/" + queue + ".mistyped"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a queue that was mistyped: %v", err)
	}
	for _, r := range runs {
		r.Process.Signal(unix.SIGTERM)
		if err := r.Wait(); err != nil {
			t.Error(err)
		}
		switch out := said(r); {
		case r.want == "" && out != "":
			t.Errorf("%s, which is silent: %s", r.name, out)
		case strings.Count(out, "collect: ") > 2:
			t.Errorf("%s said a thing twice:\n%s", r.name, out)
		}
	}
}
