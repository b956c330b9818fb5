// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
	"ethertap/shm"
)

// The test binary is collect when this is set, so that the tests run the real
// program, as built for the test (with the race detector, if that is on).
const mainEnv = "COLLECT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // for the children: they are many
	// Under nohup SIGHUP is ignored, and so would it be by the children; what is
	// caught here has its default there.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	os.Exit(m.Run())
}

// setup gives the test a run directory and a queue name of its own.
func setup(t *testing.T) (queue string) {
	t.Helper()
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "run"))
	t.Setenv(mainEnv, "1")
	queue = fmt.Sprintf("test.collect.%d.%x", os.Getpid(), rand.Uint64())
	t.Cleanup(func() {
		if err := shm.Delete(queue); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return queue
}

// command prepares collect; it is killed at the end of the test should it
// still run.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), os.Args[0], args...)
}

// outcome runs collect to its end.
func outcome(t *testing.T, cmd *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// producer attaches to the queue, which is there afterwards.
func producer(t *testing.T, queue string) *shm.Producer {
	t.Helper()
	q, err := shm.Open(queue, shm.Options{Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	p, err := q.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// frame is an Ethernet frame (local experimental Ethertype) that carries a number.
func frame(i int) []byte {
	b := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)
	b[14], b[15], b[16] = byte(i>>16), byte(i>>8), byte(i)
	return b
}

func put(t *testing.T, p *shm.Producer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		b := frame(i)
		if p.Put([]shm.Record{{Data: b, OrigLen: uint32(len(b))}}) != 1 {
			t.Fatalf("packet %d found no room", i)
		}
	}
}

// check wants frames from..to-1 in the stream.
func check(t *testing.T, r io.Reader, from, to int) {
	t.Helper()
	pr, err := pcapgo.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; ; i++ {
		data, _, err := pr.ReadPacketData()
		if err == io.EOF && i == to {
			return
		}
		if err != nil || !bytes.Equal(data, frame(i)) {
			t.Fatalf("packet %d of %d..%d: %x, %v", i, from, to-1, data, err)
		}
	}
}

func checkFile(t *testing.T, path string, from, to int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check(t, f, from, to)
}

// eventually waits for something that comes to pass by itself.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 3000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to pass: ", what)
}

func sizeIs(path string, n int64) func() bool {
	return func() bool {
		st, err := os.Stat(path)
		return err == nil && st.Size() == n
	}
}

const streamOf = 24 // bytes of a stream without packets; each of ours adds 76

func TestInformation(t *testing.T) {
	t.Setenv(mainEnv, "1")
	usageText, err := os.ReadFile("testdata/usage.txt")
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"-h": string(usageText), "--help": string(usageText),
		"-v": "collect dev\n", "--version": "collect dev\n",
		"-c": "EtherTAP collect, copyright (c) 2026 the EtherTAP authors\n", "--copyright": "EtherTAP collect, copyright (c) 2026 the EtherTAP authors\n",
	} {
		if status, out, errs := outcome(t, command(t, arg)); status != 0 || out != want || errs != "" {
			t.Errorf("%s: status %d, %q, %q", arg, status, out, errs)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Setenv(mainEnv, "1")
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"":               "no output file named",
		"a b":            "one output file, not 2",
		"--nonsense a":   "unknown flag: --nonsense",
		"-p x a":         "invalid argument \"x\"",
		"a -p 0":         "at least 1 packet",
		"a -b 23":        "at least 24 bytes",
		"-b -1 a":        "invalid argument \"-1\"",
		"--daemon -":     "name a file",
		"x.pcap -d":      "give the whole path: " + here + "/x.pcap",
		"a --plimit":     "flag needs an argument",
		"--daemon=maybe": "invalid argument \"maybe\"",
		// of streams
		"nats://a:4222":                             "the name of the stream is missing",
		"nats://u:p@a/T":                            "a password in an address can be seen by all users",
		"-q nats://a/T nats://b/T":                  "from a stream into a stream",
		"--hold 5M a":                               "--hold is for streams; name one: nats://host:4222/NAME",
		"--creds f a":                               "--creds is for streams",
		"--hold 5 nats://a/T":                       "at least 1Mi",
		"--window 2 nats://a/T":                     "--window is for who reads a stream",
		"-q nats://a/T --window never x":            "--window never: a time such as",
		"-q nats://a/T --replicas 3 x":              "--replicas is for a stream that is made, and this one is read",
		"--replicas 9 nats://a/T":                   "1 to 5",
		"--format pcap nats://a/T":                  "--format pcap: a stream has pcapng",
		"-b 1M nats://a/T":                          "--blimit is for files",
		"--rotate size=1M nats://a/T":               "is one stream; name a file",
		"--exec true nats://a/T":                    "is one stream, which others close",
		"nats://a/T?host=x":                         "choose what is read",
		"--tlscert c nats://a/T":                    "--tlscert and --tlskey go together",
		"--creds c --nkey n nats://a/T":             "--creds has an NKEY of its own",
		"--daemon --nkey n nats://a/T":              "so n of --nkey would not be found; give the whole path",
		"--stream-max-age 5 -q nats://a/T x.pcapng": "is for a stream that is made",
	} {
		status, out, errs := outcome(t, command(t, strings.Fields(args)...))
		if status != 2 || out != "" || !strings.HasPrefix(errs, "collect: ") || !strings.Contains(errs, want) || !strings.HasSuffix(errs, "; collect -h shows usage\n") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q", args, status, out, errs)
		}
	}
	if names, _ := filepath.Glob("*"); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// All options in both forms; options after the file name; the queue is emptied
// unless told otherwise; the file is overwritten.
func TestOptions(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	path := filepath.Join(t.TempDir(), "x.pcap")
	put(t, p, 0, 10)
	for _, c := range []struct {
		args     []string
		from, to int
	}{
		{[]string{path, "-q", queue, "-n", "-s", "-p", "3"}, 0, 3},
		{[]string{"--queue=" + queue, "--noreset", path, "--silent", "--plimit", "2"}, 3, 5},
		{[]string{"-nsq", queue, "-b", "177", path}, 5, 7}, // one more is taken: 24+2*76 = 176, no room for a header
		{[]string{"-ns", "-q", queue, "--blimit=24", path}, 0, 0},
		{[]string{"-ns", "-q", queue, "-p1", "--", path}, 7, 8},
	} {
		status, out, errs := outcome(t, command(t, c.args...))
		if status != 0 || out != "" || errs != "" {
			t.Fatalf("%v: status %d, %q, %q", c.args, status, out, errs)
		}
		checkFile(t, path, c.from, c.to)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", st.Mode(), err)
	}

	cmd := command(t, "-q", queue, "-s", path, "-p", "2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
	put(t, p, 20, 22) // 8 and 9 were thrown away
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	checkFile(t, path, 20, 22)
}

// Signals end it well, whatever is under way. It waits for the queue, and says so; it is
// listed while it runs.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			queue := setup(t)
			path := filepath.Join(t.TempDir(), "x.pcap")
			cmd := command(t, "-q", queue, path)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the header", sizeIs(path, streamOf))
			infos, err := rundir.List(t.Context(), "collect")
			if err != nil || len(infos) != 1 || infos[0].PID != cmd.Process.Pid || infos[0].Name != strconv.Itoa(cmd.Process.Pid) {
				t.Errorf("listed %+v, %v", infos, err)
			}
			put(t, producer(t, queue), 0, 5)
			eventually(t, "5 packets", sizeIs(path, streamOf+5*76))
			cmd.Process.Signal(sig)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			checkFile(t, path, 0, 5)
			lines := strings.Split(errs.String(), "\n")
			if len(lines) != 3 || lines[0] != "collect: there is no queue "+queue+" yet; waiting for ethertap to make it" ||
				!strings.HasPrefix(lines[1], "  5 packets  404 B  ") || !strings.HasSuffix(lines[1], "  "+path) || !strings.Contains(lines[1], "  lost 0  00:00:") {
				t.Errorf("said %q", errs.String())
			}
			if infos, err := rundir.List(t.Context(), "collect"); err != nil || len(infos) != 0 {
				t.Errorf("listed afterwards: %+v, %v", infos, err)
			}
		})
	}
}

// What the queue refuses while collect runs is shown as lost, what it refused
// before is not. The collector is stopped meanwhile, so the queue fills.
func TestLost(t *testing.T) {
	queue := setup(t)
	q, err := shm.Open(queue, shm.Options{Slots: 64, Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p := producer(t, queue)
	one := []shm.Record{{Data: frame(0), OrigLen: 60}}
	for p.Put(one) == 1 {
	}
	path := filepath.Join(t.TempDir(), "x.pcap")
	cmd := command(t, "-q", queue, path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the header", sizeIs(path, streamOf))
	// It counts from before the header on.
	cmd.Process.Signal(unix.SIGSTOP)
	var ws unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatal("it does not stop:", err)
	}
	lost := 0
	for range 1000 {
		lost += 1 - p.Put(one)
	}
	cmd.Process.Signal(unix.SIGCONT)
	eventually(t, "an empty queue", func() bool {
		st, err := q.Status()
		return err == nil && st.Waiting == 0
	})
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if want := fmt.Sprintf("  lost %d  ", lost); lost == 0 || !strings.Contains(errs.String(), want) {
		t.Errorf("lost %d, said %q", lost, errs.String())
	}
}

func TestPipe(t *testing.T) {
	queue := setup(t)
	p := producer(t, queue)
	put(t, p, 0, 1000)
	for _, reader := range [][]string{
		{"tcpdump", "-n", "-t", "-r", "-"},
		{"tshark", "-n", "-r", "-"},
	} {
		if _, err := exec.LookPath(reader[0]); err != nil {
			t.Logf("%s is not installed; not tried", reader[0])
			continue
		}
		cmd := command(t, "-s", "-n", "-p", "500", "-q", queue, "-")
		read := exec.CommandContext(t.Context(), reader[0], reader[1:]...)
		var err error
		if read.Stdin, err = cmd.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text, err := read.Output()
		if err != nil {
			t.Errorf("%s: %v", reader[0], err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if n := bytes.Count(text, []byte("0x88b5")); n != 500 {
			t.Errorf("%s read %d packets: %.300s", reader[0], n, text)
		}
	}
}
