// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
)

// lines are those of a file, in order.
func lines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil
	}
	all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	slices.Sort(all)
	return all
}

// Each closed file has its command run once, with its name and what is known of it.
func TestExec(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	tell := `echo "$1 $ETHERTAP_FILE $ETHERTAP_NUMBER $ETHERTAP_PACKETS $ETHERTAP_BYTES $ETHERTAP_QUEUE" >>` + out
	for _, c := range []struct {
		args []string
		want []string // the file, number, packets, bytes
	}{
		{[]string{dir + "/a.pcap"}, []string{"a.pcap 1 5 404"}},
		{[]string{"--zstd", dir + "/b.pcap"}, []string{"b.pcap.zst 1 5 "}},
		{[]string{"--rotate", "packets=2", dir + "/c-%N.pcap"}, []string{"c-00001.pcap 1 2 176", "c-00002.pcap 2 2 176", "c-00003.pcap 3 1 100"}},
	} {
		os.Remove(out)
		put(t, p, 0, 5)
		well(t, append(c.args, "-nsp5", "-q", queue, "--exec", tell)...)
		got := lines(out)
		if len(got) != len(c.want) {
			t.Errorf("%v: %q", c.args, got)
			continue
		}
		for i, want := range c.want {
			name, rest, _ := strings.Cut(want, " ")
			path := filepath.Join(dir, name)
			if !strings.HasPrefix(got[i], path+" "+path+" "+rest) || !strings.HasSuffix(got[i], " "+queue) {
				t.Errorf("%v: %q, want %s", c.args, got[i], want)
			}
		}
	}
	// A name that is not used is the last argument; a relative one is made absolute.
	t.Chdir(dir)
	put(t, p, 0, 1)
	well(t, "-nsp1", "-q", queue, "--exec", "cp -t "+t.TempDir(), "--", "-x.pcap")
	put(t, p, 0, 1)
	well(t, "-nsp1", "-q", queue, "--exec", "rm", "gone.pcap")
	if _, err := os.Stat("gone.pcap"); err == nil {
		t.Error("the command was not run")
	}
}

// Commands are no part of collect: they have a session, signals and precedence of their own.
func TestExecApart(t *testing.T) {
	queue := setup(t)
	out := filepath.Join(t.TempDir(), "out")
	well(t, "-nsb24", "-q", queue, "--exec", `cat /proc/$$/stat /proc/$$/status >`+out+`; readlink /proc/$$/fd/0 >>`+out+`; : "$1"`, filepath.Join(t.TempDir(), "x"))
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	stat, status, _ := strings.Cut(string(b), "\n")
	_, stat, _ = strings.Cut(stat, ") ") // behind the name
	field := strings.Fields(stat)
	pid, _, _ := strings.Cut(string(b), " ")
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	if session, nice := field[3], field[16]; session != pid || nice != fmt.Sprint(min(20-own+commandNice, 19)) {
		t.Errorf("process %s, session %s, niceness %s", pid, session, nice)
	}
	var ignored uint64
	_, text, _ := strings.Cut(status, "\nSigIgn:\t")
	if _, err := fmt.Sscanf(text, "%x", &ignored); err != nil {
		t.Fatal(err)
	}
	const libc = 3 << 31 // signals 32 and 33, which no program may set
	if ignored&^libc != 0 || !strings.HasSuffix(status, "\n/dev/null\n") {
		t.Errorf("%s", status)
	}
}

// A failure is reported with its file, and in the exit status; the recording is complete.
func TestExecFails(t *testing.T) {
	queue := setup(t)
	put(t, producer(t, queue), 0, 3)
	dir := t.TempDir()
	status, _, errs := outcome(t, command(t, "-nsp3", "-q", queue, "--rotate", "packets=1", "--exec", `case $1 in *2.pcap) echo no; exit 3;; *3.pcap) kill -9 $$; esac`, dir+"/%N.pcap"))
	for _, want := range []string{
		"no\n",
		"collect: --exec: " + dir + "/00002.pcap: ", "failed: exit status 3\n",
		"collect: --exec: " + dir + "/00003.pcap: ", "failed: signal: killed\n",
		"collect: --exec: 2 of 3 commands failed; the recording is complete\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q lacks %q", errs, want)
		}
	}
	if status != 1 || strings.Count(errs, "\n") != 4 {
		t.Errorf("status %d, %q", status, errs)
	}
	for i := range 3 {
		checkFile(t, fmt.Sprintf("%s/%05d.pcap", dir, i+1), i, i+1)
	}
}

// Commands that take their time do not hold up the recording, are not too many at once,
// and are waited for at the end.
func TestExecIsSlow(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	dir := t.TempDir()
	begun, fifo := filepath.Join(dir, "begun"), filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "-nq", queue, "--rotate", "packets=1", "--exec", "echo $1 >>"+begun+"; read line <"+fifo, dir+"/%N.pcap")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first file", sizeIs(dir+"/00001.pcap.part", streamOf))
	put(t, p, 0, 20)
	eventually(t, "20 files and 4 commands", func() bool {
		names, _ := filepath.Glob(dir + "/*.pcap")
		return len(names) == 19 && len(lines(begun)) == mostCommands
	})
	cmd.Process.Signal(unix.SIGTERM)
	eventually(t, "the last file", func() bool { _, err := os.Stat(dir + "/00020.pcap"); return err == nil })
	if n := len(lines(begun)); n != mostCommands {
		t.Errorf("%d commands at once", n)
	}
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0) // from now on each gets its line
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	for range 20 {
		if _, err := hold.WriteString("\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err, errs.String())
	}
	ran := lines(begun)
	if len(slices.Compact(slices.Clone(ran))) != 20 || len(ran) != 20 {
		t.Errorf("commands of %d files: %q", len(ran), ran)
	}
}

// A signal while commands are waited for leaves them to themselves, when the recording has
// ended by itself before.
func TestExecLeft(t *testing.T) {
	queue := setup(t)
	dir := t.TempDir()
	begun, fifo := filepath.Join(dir, "begun"), filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, producer(t, queue), 0, 6)
	cmd := command(t, "-nsp6", "-q", queue, "--rotate", "packets=1", "--exec", "echo $1 >>"+begun+"; read line <"+fifo+"; echo $1 >>"+begun, dir+"/%N.pcap")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log // of a pipe the end would be waited for, and the commands hold it open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the commands", func() bool {
		return len(lines(begun)) == mostCommands && len(lines(log.Name())) > 0 // it says that it waits
	})
	cmd.Process.Signal(unix.SIGTERM)
	cmd.Wait()
	said := lines(log.Name())
	want := "collect: --exec: 6 of 6 commands are left to themselves or were not run, 0 failed; the recording is complete"
	if cmd.ProcessState.ExitCode() != 1 || !slices.Contains(said, want) {
		t.Errorf("%v, %q", cmd.ProcessState, said)
	}
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	hold.WriteString("\n\n\n\n")
	eventually(t, "they end by themselves", func() bool { return len(lines(begun)) == 2*mostCommands })
}

// A file that was moved away has its command run where it is now.
func TestExecMoved(t *testing.T) {
	queue := setup(t)
	dir := t.TempDir()
	path, out := filepath.Join(dir, "x.pcap"), filepath.Join(dir, "out")
	cmd := command(t, "-nsq", queue, "--exec", "echo $1 >>"+out, path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
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
	eventually(t, "the command", func() bool { return slices.Equal(lines(out), []string{path + ".1"}) })
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, errs.String())
	}
	if got := lines(out); !slices.Equal(got, []string{path, path + ".1"}) {
		t.Errorf("%q", got)
	}
}

func TestExecUsage(t *testing.T) {
	queue := setup(t)
	producer(t, queue)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, output, want string }{
		{"gzip", fifo, fifo + " is no file that is closed"}, // which waits for no reader
		{" ", "x", "the command is empty"},
		{"echo '", "x", "the shell does not understand"},
		{"no-such-command -x", "x", "there is no command no-such-command"},
		{"gzip", "-", "standard output is one stream"},
		{"gzip", os.DevNull, os.DevNull + " is no file that is closed"},
	} {
		status, _, errs := outcome(t, command(t, "-sq", queue, "--exec", c.command, c.output))
		if checked, _, _ := outcome(t, command(t, "--check", "-q", queue, "--exec", c.command, c.output)); checked == 0 {
			t.Errorf("%q for %s is found right", c.command, c.output)
		}
		if status != 2 || !strings.Contains(errs, "--exec: ") || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q", c.command, status, errs)
		}
	}
	if status, _, errs := outcome(t, command(t, "-dq", queue, "--exec", "./x", "/tmp/x")); status != 2 || !strings.Contains(errs, "give the whole path") {
		t.Errorf("status %d, %q", status, errs)
	}
}
