// SPDX-License-Identifier: BSD-3-Clause

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
// A consumer writes down each packet it was given (producer and sequence number, which
// never come twice), before it lets go of the slot, into a file of its own, in one write.
// So after a kill the file says what it had. One of the consumers is the C reader.
//
// In the third round packets are also overwritten, when the queue is full, and thrown
// away, when the parent empties it.

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
			key := binary.LittleEndian.AppendUint64(want[:0], uint64(r.Producer))
			_, err := f.Write(binary.LittleEndian.AppendUint64(key, r.Seq))
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
	born     time.Time
	stopped  time.Time // zero: not stopped
	done     chan error
}

func TestChaos(t *testing.T) {
	for _, round := range []string{"natural", "delay", "overwrite"} {
		t.Run(round, func(t *testing.T) { chaos(t, round) })
	}
}

func chaos(t *testing.T, round string) {
	delay := round
	if round == "overwrite" {
		delay = "natural"
	}
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
	reader := buildReader(t)
	number := 0
	spawn := func(isProducer bool) *child {
		number++
		if !isProducer && number%3 == 0 {
			return spawnReader(t, reader, name, fmt.Sprintf("%s/%d.lines", dir, number))
		}
		job := fmt.Sprintf("producer %s %d %s", name, number, delay)
		if !isProducer {
			job = fmt.Sprintf("consumer %s %s/%d %s", name, dir, number, delay)
		}
		k := &child{cmd: exec.Command(self), producer: isProducer, born: time.Now(), done: make(chan error, 1)}
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
	var longest stall
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond) {
		longest.look(q, kids)
		if round == "overwrite" {
			if n := rand.IntN(40); n < 2 {
				q.SetOverwrite(n == 0)
			} else if n == 2 {
				q.Reset()
			}
		}
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
		if st.Waiting == 0 && st.Inserted == st.Retrieved+st.Discarded+st.Overwritten+st.Lost {
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
	t.Logf("%d packets, %d kills of producers, %d of consumers, %d stops, longest stall %v: %+v", given, kills[true], kills[false], stops, longest.most, st)
	// 100 ms is the aim; what the machine's load adds is unknown.
	if longest.most > 5*time.Second {
		t.Errorf("nothing was taken for %v although packets waited", longest.most)
	}
	if given == 0 || kills[true] == 0 || kills[false] == 0 || stops == 0 {
		t.Fatal("nothing happened")
	}
	// A packet in the hands of a consumer when it was killed is lost, whether it had been
	// written down or not; so what was written down lies between retrieved and inserted.
	if st.Inserted != st.Retrieved+st.Discarded+st.Overwritten+st.Lost || given < st.Retrieved || given > st.Retrieved+st.Lost {
		t.Errorf("written down %d, inserted %d, retrieved %d, lost %d", given, st.Inserted, st.Retrieved, st.Lost)
	}
	killed := kills[false]
	if round == "overwrite" {
		killed += kills[true] // a producer has others' packets in hand too, when it overwrites them
	}
	if st.Lost > uint64(killed)+3 {
		t.Errorf("%d lost by %d who were killed", st.Lost, killed)
	}
	if st.Abandoned > uint64(kills[true])+3 {
		t.Errorf("%d abandoned by %d killed producers", st.Abandoned, kills[true])
	}
	if err := q.SetOverwrite(false); err != nil {
		t.Fatal(err)
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

// spawnReader starts the C reader, which writes a line for each packet.
func spawnReader(t *testing.T, reader, queue, path string) *child {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := &child{cmd: exec.Command(reader, queue, "1000000000", "3600000"), born: time.Now(), done: make(chan error, 1)}
	k.cmd.Stdout, k.cmd.Stderr = f, os.Stderr
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { k.done <- k.cmd.Wait() }()
	return k
}

// stall is the longest time in which packets waited, somebody could have taken them, and
// nobody did.
type stall struct {
	taken uint64
	since time.Time
	most  time.Duration
}

// look is to be called every few milliseconds. It only reads: Status would clear up.
func (s *stall) look(q *Queue, kids []*child) {
	taken, waiting, able := uint64(0), false, false
	for id := uint16(1); id < participantSlots; id++ {
		e := q.m.participant(id)
		taken += e.retrieved.get() + e.discarded.get() + e.overwritten.get() + e.lost.get()
	}
	for i := range q.m.slots {
		waiting = waiting || word(q.m.slot(i).word.Load()).state() == full
	}
	for _, k := range kids {
		able = able || !k.producer && k.stopped.IsZero() && time.Since(k.born) > 200*time.Millisecond
	}
	now := time.Now()
	if taken == s.taken && waiting && able && !s.since.IsZero() {
		s.most = max(s.most, now.Sub(s.since))
		return
	}
	s.taken, s.since = taken, now
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
		if strings.HasSuffix(path, ".lines") {
			var producer, seq uint64
			line, err := r.ReadString('\n')
			if err != nil {
				return n
			}
			if _, err := fmt.Sscan(line, &producer, &seq); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			binary.LittleEndian.PutUint64(key[:], producer)
			binary.LittleEndian.PutUint64(key[8:], seq)
		} else if _, err := io.ReadFull(r, key[:]); err != nil {
			return n
		}
		if seen[key] {
			t.Errorf("delivered twice: %x", key)
		}
		seen[key] = true
		n++
	}
}
