package shm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The chaos test runs this binary again as producers and consumers and kills and stops
// them at random. Every packet carries who made it (a process's number, never used
// twice) and how many it made before, twice, around a body derived from both.
//
// A consumer writes down each packet it was given, before it lets go of the slot, into a
// file of its own: 16 bytes, one write. So after a kill the file says what it had.

const (
	chaosEnv    = "ETHERTAP_SHM_CHAOS"      // "producer NAME NUMBER DELAY" or "consumer NAME FILE DELAY"
	chaosTime   = "ETHERTAP_SHM_CHAOS_TIME" // for a longer run: a duration
	chaosSlots  = 256
	chaosBody   = 150
	chaosLimit  = 200 * time.Microsecond // between batches, so that files stay small
	chaosBatch  = 16
	chaosMaxNap = 3 * time.Millisecond
)

func TestMain(m *testing.M) {
	if job := os.Getenv(chaosEnv); job != "" {
		if err := chaosChild(strings.Fields(job)); err != nil {
			fmt.Fprintln(os.Stderr, "chaos child:", job, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func chaosChild(job []string) error {
	q, err := Open(job[1], Options{NoCreate: true, Name: "chaos"})
	if err != nil {
		return err
	}
	var pause func()
	if job[3] == "delay" {
		pause = func() {
			if rand.IntN(20) == 0 {
				time.Sleep(time.Duration(rand.Int64N(int64(chaosMaxNap))))
			}
		}
	}
	if job[0] == "producer" {
		number, _ := strconv.ParseUint(job[2], 10, 64)
		p, err := q.NewProducer("chaos")
		if err != nil {
			return err
		}
		p.pause = pause
		return chaosProduce(p, number)
	}
	c, err := q.NewConsumer("chaos")
	if err != nil {
		return err
	}
	c.pause = pause
	f, err := os.OpenFile(job[2], os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return chaosConsume(c, f)
}

func chaosProduce(p *Producer, number uint64) error {
	recs := make([]Record, chaosBatch)
	for i := range recs {
		recs[i].Data = make([]byte, 0, chaosBody+32)
	}
	for n := uint64(1); ; {
		k := 1 + rand.IntN(chaosBatch)
		for i := range recs[:k] {
			recs[i].Data = chaosPacket(recs[i].Data[:0], number, n)
			n++
		}
		p.Put(recs[:k])
		if err := p.Err(); err != nil {
			return err
		}
		time.Sleep(chaosLimit)
	}
}

func chaosPacket(b []byte, number, n uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint64(b, n)
	for i := range n % chaosBody {
		b = append(b, byte(number*7+n+i))
	}
	b = binary.LittleEndian.AppendUint64(b, n)
	return binary.LittleEndian.AppendUint64(b, number)
}

func chaosConsume(c *Consumer, f *os.File) error {
	var want []byte
	for {
		_, err := c.Drain(chaosBatch, func(r *Record) error {
			if len(r.Data) < 32 {
				return fmt.Errorf("short packet: %d bytes", len(r.Data))
			}
			want = chaosPacket(want[:0], binary.LittleEndian.Uint64(r.Data), binary.LittleEndian.Uint64(r.Data[8:]))
			if !bytes.Equal(r.Data, want) {
				return fmt.Errorf("torn packet of producer %d: %x", r.Producer, r.Data)
			}
			_, err := f.Write(want[:16])
			return err
		})
		if err != nil {
			return err
		}
		if _, err := c.Wait(time.Second); err != nil {
			return err
		}
	}
}

// child is a running process of the test.
type child struct {
	cmd      *exec.Cmd
	producer bool
	stopped  time.Time // zero: not stopped
	done     chan error
}

func TestChaos(t *testing.T) {
	for _, delay := range []string{"natural", "delay"} {
		t.Run(delay, func(t *testing.T) { chaos(t, delay) })
	}
}

func chaos(t *testing.T, delay string) {
	duration := 3 * time.Second
	if s := os.Getenv(chaosTime); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		duration = d
	}
	name, dir := testName(t), t.TempDir()
	q := openTest(t, name, Options{Slots: chaosSlots, SlotSize: 320})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	spawn := func(isProducer bool) *child {
		number++
		job := fmt.Sprintf("producer %s %d %s", name, number, delay)
		if !isProducer {
			job = fmt.Sprintf("consumer %s %s/%d %s", name, dir, number, delay)
		}
		k := &child{cmd: exec.Command(self), producer: isProducer, done: make(chan error, 1)}
		k.cmd.Env = append(os.Environ(), chaosEnv+"="+job)
		k.cmd.Stderr = os.Stderr
		k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := k.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { k.done <- k.cmd.Wait() }()
		return k
	}
	kill := func(k *child) {
		k.cmd.Process.Kill()
		if err := <-k.done; err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("a child ended by itself: %v", err)
		}
	}
	var kids []*child
	for i := range 6 {
		kids = append(kids, spawn(i%2 == 0))
	}
	kills := map[bool]int{}
	stops := 0
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond) {
		i := rand.IntN(len(kids))
		k := kids[i]
		switch {
		case !k.stopped.IsZero():
			if time.Since(k.stopped) > 60*time.Millisecond {
				k.cmd.Process.Signal(syscall.SIGCONT)
				k.stopped = time.Time{}
			}
		case rand.IntN(3) == 0:
			k.cmd.Process.Signal(syscall.SIGSTOP)
			k.stopped = time.Now()
			stops++
		case rand.IntN(2) == 0:
			kill(k)
			kills[k.producer]++
			kids[i] = spawn(k.producer)
		}
	}
	// Let the producers die, the consumers finish, then those too.
	for _, k := range kids {
		if k.producer {
			kill(k)
		} else {
			k.cmd.Process.Signal(syscall.SIGCONT)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st := status(t, q)
		if st.Waiting == 0 && st.Inserted == st.Retrieved+st.Discarded+st.Lost {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the queue does not run empty: %+v", st)
		}
	}
	for _, k := range kids {
		if !k.producer {
			kill(k)
		}
	}

	st := status(t, q)
	seen, given := map[[16]byte]bool{}, uint64(0)
	files, _ := filepath.Glob(dir + "/*")
	for _, f := range files {
		given += readGiven(t, f, seen)
	}
	t.Logf("%d packets, %d kills of producers, %d of consumers, %d stops: %+v", given, kills[true], kills[false], stops, st)
	if given == 0 || kills[true] == 0 || kills[false] == 0 || stops == 0 {
		t.Fatal("nothing happened")
	}
	// A packet in the hands of a consumer when it was killed is lost, whether it had been
	// written down or not; so what was written down lies between retrieved and inserted.
	if st.Inserted != st.Retrieved+st.Lost || given < st.Retrieved || given > st.Inserted {
		t.Errorf("written down %d, inserted %d, retrieved %d, lost %d", given, st.Inserted, st.Retrieved, st.Lost)
	}
	if st.Lost > uint64(kills[false])+3 {
		t.Errorf("%d lost by %d killed consumers", st.Lost, kills[false])
	}
	if st.Abandoned > uint64(kills[true])+3 {
		t.Errorf("%d abandoned by %d killed producers", st.Abandoned, kills[true])
	}
	p, c := producer(t, q), consumer(t, q)
	for lap := range 3 {
		if n := p.Put(make([]Record, chaosSlots+1)); n != chaosSlots {
			t.Fatalf("lap %d: %d of %d slots usable", lap, n, chaosSlots)
		}
		if n, err := c.Drain(chaosSlots+1, func(*Record) error { return nil }); n != chaosSlots || err != nil {
			t.Fatal(n, err)
		}
	}
}

// readGiven counts the packets that a consumer wrote down, and fails on duplicates.
func readGiven(t *testing.T, path string, seen map[[16]byte]bool) (n uint64) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		var key [16]byte
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return n
		}
		if seen[key] {
			t.Errorf("delivered twice: %x", key)
		}
		seen[key] = true
		n++
	}
}
