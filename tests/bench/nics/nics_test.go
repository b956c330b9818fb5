// SPDX-License-Identifier: BSD-3-Clause

// Package nics measures the bridge on NICs in the ways that a driver gives: with zero-copy and
// without, in the threads and in the kernel, with interrupts and with busy polling. It runs in the
// guests of tests/guest (make guest-bench), whose devices are emulated: its ratios say how the ways
// compare there, its rates say nothing of hardware.
package nics

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// ways are what is compared, the first with all others.
var ways = []struct {
	name    string
	options []string
}{
	{"copy, threads", []string{"--copy", "--fastpath=false"}},
	{"zero-copy, threads", []string{"--zerocopy", "--fastpath=false"}},
	{"copy, fast path", []string{"--copy"}},
	{"copy, threads, busy polling", []string{"--copy", "--fastpath=false", "--poll", "busy"}},
	{"zero-copy, threads, busy polling", []string{"--zerocopy", "--fastpath=false", "--poll", "busy"}},
}

const (
	rounds  = 3
	flood   = 500 * time.Millisecond
	batch   = 64 // frames of a system call of the generator
	singles = 50 // frames that are sent one by one in a round
)

var sizes = []int{64, 1500}

// figures are the results of one way, one a round.
type figures struct {
	rates  [2][]float64 // thousands of frames a second, by size
	delays []float64    // from the generator's call to the end of the receiver's, of one frame, µs
}

func TestWays(t *testing.T) {
	if !netlab.OnNICs() {
		t.Skip("measures NICs: make guest-bench")
	}
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	results := make([]figures, len(ways))
	for round := range rounds {
		for i := range ways {
			way := &ways[(i+round)%len(ways)]
			if err := measure(t, lab, way.options, &results[(i+round)%len(ways)]); err != nil {
				t.Fatalf("%s: %v", way.name, err)
			}
			f := &results[(i+round)%len(ways)]
			t.Logf("round %d, %s: %.1f and %.1f kpps, %.0f µs", round, way.name, f.rates[0][round], f.rates[1][round], f.delays[round])
		}
	}
	t.Logf("%s, %d rounds, medians and in brackets the ratio to the first row", netlab.Driver(t), rounds)
	t.Logf("| way | 64 bytes, kpps | 1500 bytes, kpps | one frame through, µs |")
	t.Logf("|---|---|---|---|")
	for i, way := range ways {
		cell := func(of func(*figures) []float64) string {
			v, first := median(of(&results[i])), median(of(&results[0]))
			return fmt.Sprintf("%.1f (%.2f)", v, v/first)
		}
		t.Logf("| %s | %s | %s | %s |", way.name,
			cell(func(f *figures) []float64 { return f.rates[0] }),
			cell(func(f *figures) []float64 { return f.rates[1] }),
			cell(func(f *figures) []float64 { return f.delays }))
	}
}

func median(list []float64) float64 {
	list = slices.SortedFunc(slices.Values(list), cmp.Compare[float64])
	return list[len(list)/2]
}

// measure takes one round of a way.
func measure(t *testing.T, lab *netlab.Bridge, options []string, f *figures) (err error) {
	name := fmt.Sprintf("bench-%d", os.Getpid())
	args := append([]string{"--name", name, "--stay", "--config", os.DevNull}, options...)
	cmd := lab.Dut.Command(netlab.Build(t, "./cmd/ethertap"), append(args, netlab.D0, netlab.D1)...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	t.Cleanup(func() { os.Remove("/dev/shm/ixdp.pqueue." + name) })
	p := netlab.StartProcess(t, cmd)
	defer func() {
		err = errors.Join(err, p.Signal(syscall.SIGTERM))
		_, late := p.Wait(20 * time.Second)
		err = errors.Join(err, late)
	}()
	if _, err := p.Write([]byte("if.list.json\n")); err != nil {
		return err
	}
	if err := p.WaitOutput(`"state":"running"`, 20*time.Second); err != nil {
		return fmt.Errorf("%w: %s", err, p.Output())
	}
	lab.Settle()
	inKernel := slices.Contains(options, "--copy") && !slices.Contains(options, "--fastpath=false")
	if n := strings.Count(p.Output(), `"fast_path":"fastpath"`); inKernel && n != 2 {
		return fmt.Errorf("the fast path is not in use: %s", p.Output())
	}
	sender := lab.Src.NewSender(netlab.S0, true)
	defer sender.Close()
	for i, size := range sizes {
		rate, err := saturate(lab, sender, size)
		if err != nil {
			return err
		}
		f.rates[i] = append(f.rates[i], rate/1000)
	}
	d, err := delay(lab, sender)
	f.delays = append(f.delays, d)
	return err
}

// saturate returns how many frames a second come out when as many go in as the generator can send.
func saturate(lab *netlab.Bridge, sender *netlab.Sender, size int) (float64, error) {
	frames := make([][]byte, batch)
	for i := range frames {
		frames[i] = netlab.UDP(size, uint64(i))
	}
	send := func(during time.Duration) error {
		for began := time.Now(); time.Since(began) < during; {
			if err := sender.Send(frames...); err != nil {
				return err
			}
		}
		return nil
	}
	arrived := func() float64 { return float64(lab.Snk.Link(netlab.K1).Counters.RxPackets) }
	if err := send(flood / 4); err != nil {
		return 0, err
	}
	began, before := time.Now(), arrived()
	if err := send(flood); err != nil {
		return 0, err
	}
	after, took := arrived(), time.Since(began)
	return (after - before) / took.Seconds(), nil
}

// delay returns the median time that one frame takes from the generator's call to the receiver.
func delay(lab *netlab.Bridge, sender *netlab.Sender) (float64, error) {
	receiver := lab.Snk.NewReceiver(netlab.K1)
	defer receiver.Close()
	var list []float64
	const first = 1 << 40 // frames of the flood have smaller numbers
	for n, lost := uint64(0), 0; len(list) < singles; n++ {
		began := time.Now()
		if err := sender.Send(netlab.UDP(64, first+n)); err != nil {
			return 0, err
		}
		for came := false; !came; {
			frame, err := receiver.Receive(began.Add(time.Second))
			if errors.Is(err, os.ErrDeadlineExceeded) { // what is left of the flood was in its way
				if lost++; lost > singles/10 {
					return 0, fmt.Errorf("%d single frames were lost", lost)
				}
				break
			}
			if err != nil {
				return 0, err
			}
			if seq, ok := netlab.Seq(frame); ok && seq == first+n {
				list, came = append(list, float64(time.Since(began))/float64(time.Microsecond)), true
			}
		}
	}
	return median(list), nil
}
