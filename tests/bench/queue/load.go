// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// load is what is asked of a ring.
type load struct {
	kind    string // "ours" or "vyukov"
	size    int    // bytes of a packet
	batch   int    // packets a call
	packets int    // of all producers together
	ends    int    // producers, and consumers
	wait    bool   // consumers sleep when there is nothing; otherwise they spin
}

func (l load) String() string {
	how := "single"
	if l.batch > 1 {
		how = fmt.Sprintf("batches of %d", l.batch)
	}
	return fmt.Sprintf("%d bytes, %s", l.size, how)
}

// A packet of this length tells a consumer to end. Shorter than any that is measured.
const stopSize = 1

// ring is an open ring of either kind.
type ring interface {
	producer(load) (producer, error)
	consumer(load) (consumer, error)
	alone(load) (float64, error)
	Close() error
}

// producer puts n packets of a size in, however long that takes.
type producer interface {
	put(n, size int) error
	Close() error
}

// consumer takes up to n packets out, sleeping or spinning for them; fewer when one tells
// it to end.
type consumer interface {
	take(n int) error
	Close() error
}

func open(kind, name string) (ring, error) {
	if kind == "vyukov" {
		return openPlain(name)
	}
	q, err := shm.Open(name, shm.Options{Slots: slots, SlotSize: slotSize})
	return ours{q}, err
}

// fresh makes a ring that goes with remove.
func fresh(kind string) (r ring, name string, remove func(), err error) {
	name = fmt.Sprintf("ethertap-bench.%d.%x", os.Getpid(), rand.Uint32())
	r, err = open(kind, name)
	return r, name, func() {
		r.Close()
		os.Remove("/dev/shm/" + name)
	}, err
}

// alone puts and takes in turn, in one thread.
func alone(l load) (float64, error) {
	r, _, remove, err := fresh(l.kind)
	if err != nil {
		return 0, err
	}
	defer remove()
	return r.alone(l)
}

func perPacket(start time.Time, packets int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(packets)
}

// together is producers and consumers as threads of this process.
func together(l load) (float64, error) {
	r, _, remove, err := fresh(l.kind)
	if err != nil {
		return 0, err
	}
	defer remove()
	gate := make(chan bool)
	fed, ended := make(chan error, l.ends), make(chan error, l.ends)
	for i := range l.ends {
		p, err := r.producer(l)
		if err != nil {
			return 0, err
		}
		defer p.Close()
		c, err := r.consumer(l)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		go onThread(i, gate, fed, func() error { return p.put(l.packets/l.ends, l.size) })
		go onThread(i+1, gate, ended, func() error { return c.take(l.packets + 1) })
	}
	old := runtime.GOMAXPROCS(2*l.ends + 1)
	defer runtime.GOMAXPROCS(old)
	start := time.Now()
	close(gate)
	if err := gather(fed, l.ends); err != nil {
		return 0, err
	}
	if err := stop(r, l); err != nil {
		return 0, err
	}
	err = gather(ended, l.ends)
	return perPacket(start, l.packets), err
}

// onThread runs f in a thread of its own, which ends with it.
func onThread(cpu int, gate <-chan bool, done chan<- error, f func() error) {
	runtime.LockOSThread()
	if err := pin(cpu); err != nil {
		done <- err
		return
	}
	<-gate
	done <- f()
}

// pin ties the thread to a CPU, counted round those that the program may use: where the
// kernel puts two threads on one CPU there is nothing to measure.
func pin(n int) error {
	var one unix.CPUSet
	one.Set(cpus[n%len(cpus)])
	return unix.SchedSetaffinity(0, &one)
}

// cpus are those that the program may use, before anything is pinned.
var cpus = func() (list []int) {
	runtime.LockOSThread() // main keeps the first thread: what is started inherits its CPUs
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return []int{0}
	}
	for n := 0; len(list) < all.Count(); n++ {
		if all.IsSet(n) {
			list = append(list, n)
		}
	}
	return list
}()

func gather(done <-chan error, n int) (err error) {
	for range n {
		err = errors.Join(err, <-done)
	}
	return err
}

// stop tells the consumers to end, after all packets.
func stop(r ring, l load) error {
	l.batch = 1
	p, err := r.producer(l)
	if err != nil {
		return err
	}
	return errors.Join(p.put(l.ends, stopSize), p.Close())
}

// jobEnv makes this program one end of a ring: "producer|consumer CPU KIND NAME SIZE BATCH N WAIT".
const jobEnv = "ETHERTAP_BENCH_QUEUE"

// apart is producers and consumers as processes.
func apart(l load) (float64, error) {
	r, name, remove, err := fresh(l.kind)
	if err != nil {
		return 0, err
	}
	defer remove()
	var producers, consumers []*end
	defer func() {
		for _, e := range append(producers, consumers...) {
			e.Close()
		}
	}()
	for i := range l.ends {
		p, err := start("producer", i, name, l)
		if err != nil {
			return 0, err
		}
		producers = append(producers, p)
		c, err := start("consumer", i+1, name, l)
		if err != nil {
			return 0, err
		}
		consumers = append(consumers, c)
	}
	for _, e := range append(consumers, producers...) {
		if err := e.hear(); err != nil { // it is ready
			return 0, err
		}
	}
	begin := time.Now()
	for _, e := range append(consumers, producers...) {
		if err := e.tell(); err != nil {
			return 0, err
		}
	}
	for _, e := range producers {
		if err := e.hear(); err != nil {
			return 0, err
		}
	}
	if err := stop(r, l); err != nil {
		return 0, err
	}
	for _, e := range consumers {
		if err := e.hear(); err != nil {
			return 0, err
		}
	}
	return perPacket(begin, l.packets), nil
}

// end is a process at one end of a ring. It says that it is ready, waits to be told to
// begin, and says that it is done.
type end struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(what string, cpu int, name string, l load) (*end, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &end{cmd: exec.Command(self)}
	e.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s %s %d %d %d %t", jobEnv, what, cpu, l.kind, name, l.size, l.batch, l.packets/l.ends, l.wait))
	e.cmd.Stderr = os.Stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return e, e.cmd.Start()
}

func (e *end) hear() error {
	_, err := e.out.ReadByte()
	return err
}

func (e *end) tell() error {
	_, err := e.in.Write([]byte{'.'})
	return err
}

// Close ends the process.
func (e *end) Close() {
	e.in.Close()
	e.cmd.Process.Kill()
	e.cmd.Wait()
}

// serve is the other side of end.
func serve(job string) error {
	var what, name string
	var cpu int
	var l load
	if _, err := fmt.Fscan(strings.NewReader(job), &what, &cpu, &l.kind, &name, &l.size, &l.batch, &l.packets, &l.wait); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := pin(cpu); err != nil {
		return err
	}
	r, err := open(l.kind, name)
	if err != nil {
		return err
	}
	defer r.Close()
	var work func() error
	if what == "producer" {
		p, err := r.producer(l)
		if err != nil {
			return err
		}
		defer p.Close()
		work = func() error { return p.put(l.packets, l.size) }
	} else {
		c, err := r.consumer(l)
		if err != nil {
			return err
		}
		defer c.Close()
		work = func() error { return c.take(1 << 62) }
	}
	ready := []byte{'.'}
	if _, err := os.Stdout.Write(ready); err != nil {
		return err
	}
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	_, err = os.Stdout.Write(ready)
	return err
}

// full is what a full queue costs a producer.
func full(l load) (float64, error) {
	r, _, remove, err := fresh(l.kind)
	if err != nil {
		return 0, err
	}
	defer remove()
	p, err := r.(ours).q.NewProducer("bench")
	if err != nil {
		return 0, err
	}
	defer p.Close()
	for recs := make([]shm.Record, 32); p.Put(recs) > 0; {
	}
	recs := records(l)
	start := time.Now()
	for n := 0; n < l.packets; n += l.batch {
		if p.Put(recs) != 0 {
			return 0, errors.New("the queue is not full")
		}
	}
	return perPacket(start, l.packets), p.Err()
}

// breath gives the CPU away now and then to who has something to do: there may be fewer
// CPUs than threads that spin.
type breath int

func (b *breath) taken() {
	if *b++; *b%256 == 0 {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}
