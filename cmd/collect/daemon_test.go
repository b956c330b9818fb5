// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
)

func TestDaemon(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	path := filepath.Join(t.TempDir(), "x.pcap")
	var pids []int
	for i := range 2 { // the second beside the first
		cmd := command(t, path+strconv.Itoa(i), "-n", "-q", queue, "--daemon")
		status, out, errs := outcome(t, cmd)
		if status != 0 || out != "collect going to background ...\n" || errs != "" {
			t.Fatalf("status %d, %q, %q", status, out, errs)
		}
		infos, err := rundir.List(t.Context(), "collect")
		if err != nil || len(infos) != i+1 {
			t.Fatalf("listed %+v, %v", infos, err)
		}
		pid := infos[i].PID
		pids = append(pids, pid)
		t.Cleanup(func() { // nothing is left when it was stopped
			if infos, _ := rundir.List(context.Background(), "collect"); len(infos) > 0 {
				rundir.Stop(infos[0], time.Minute)
			}
		})
		if sid, err := unix.Getsid(pid); err != nil || sid != pid {
			t.Errorf("session %d of %d, %v", sid, pid, err)
		}
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); dir != "/" {
			t.Errorf("working directory %s, %v", dir, err)
		}
	}
	infos, err := rundir.List(t.Context(), "collect")
	if err != nil || len(infos) != 2 {
		t.Fatalf("listed %+v, %v", infos, err)
	}
	if err := rundir.Stop(infos[1], time.Minute); err != nil {
		t.Error(err)
	}
	put(t, p, 0, 100)
	eventually(t, "100 packets", sizeIs(path+"0", streamOf+100*76))
	if err := rundir.Stop(infos[0], time.Minute); err != nil {
		t.Error(err)
	}
	checkFile(t, path+"0", 0, 100)
	checkFile(t, path+"1", 0, 0)
	eventually(t, "the end of both", func() bool {
		return errors.Is(unix.Kill(pids[0], 0), unix.ESRCH) && errors.Is(unix.Kill(pids[1], 0), unix.ESRCH)
	})
	// What is left is their log, with the totals of both and the time of each line.
	log := filepath.Join(rundir.Path(), "collect.log")
	if names, _ := filepath.Glob(filepath.Join(rundir.Path(), "*")); !slices.Equal(names, []string{log}) {
		t.Errorf("left: %v", names)
	}
	text, err := os.ReadFile(log)
	stamp := `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d) collect: `
	totals := func(packets, name string) string {
		return stamp + packets + ` packets  \S+ \S+  \S+/s  lost 0  \d\d:\d\d:\d\d  ` + regexp.QuoteMeta(name) + "\n"
	}
	if err != nil || !regexp.MustCompile("^"+totals("0", path+"1")+totals("100", path+"0")+"$").Match(text) {
		t.Errorf("the log: %q, %v", text, err)
	}
}

// Without a run directory a daemon could not be found again; in the
// foreground it does not matter, and is not mentioned if it is a matter of rights.
func TestNoRunDirectory(t *testing.T) {
	queue := setup(t)
	put(t, producer(t, queue), 0, 1)
	path := filepath.Join(t.TempDir(), "x.pcap")
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "not", "there"))
	status, _, errs := outcome(t, command(t, path, "-n", "-q", queue, "--daemon"))
	if status != 1 || !strings.HasPrefix(errs, "collect: run directory: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, %q", status, errs)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made in vain")
	}
	status, _, errs = outcome(t, command(t, path, "-n", "-q", queue, "-p1"))
	if status != 0 || !strings.HasPrefix(errs, "collect: not listed by control: run directory: ") {
		t.Errorf("status %d, %q", status, errs)
	}
	checkFile(t, path, 0, 1)
}

// terminal opens a pair of pseudo terminals.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

func TestTerminal(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	master, slave := terminal(t)

	// A stream is not for the eyes.
	for _, name := range []string{"-", slave.Name()} {
		cmd := command(t, "-q", queue, name)
		cmd.Stdout = slave
		status, _, errs := outcome(t, cmd)
		if status != 2 || !strings.Contains(errs, "is a terminal") || strings.Count(errs, "\n") != 1 {
			t.Errorf("status %d, %q", status, errs)
		}
	}

	// Progress is redrawn in place.
	path := filepath.Join(t.TempDir(), "x.pcap")
	cmd := command(t, "-q", queue, path)
	cmd.Stderr = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	r := bufio.NewReader(master)
	eventually(t, "the header", sizeIs(path, streamOf))
	put(t, p, 0, 5)
	for {
		shown, err := r.ReadString('\r')
		if err != nil {
			t.Fatalf("shown %q, %v", shown, err)
		}
		if strings.HasPrefix(shown, "  5 packets  404 B  ") {
			break
		}
	}
	cmd.Process.Signal(unix.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	// The end of a terminal without a user is EIO.
	rest, err := io.ReadAll(r)
	if !errors.Is(err, unix.EIO) || !bytes.HasSuffix(rest, []byte("  "+path+"\r\n")) {
		t.Errorf("shown at the end: %q, %v", rest, err)
	}
}
