package dataplane_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

func TestZZBench(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	for _, tap := range []bool{false, true} {
		for _, size := range []int{64, 1500} {
			lab := netlab.NewBridge(t)
			c := dataplane.Config{CPUs: []int{1}}
			if tap {
				c.Queue = newQueue(t, 4096)
			}
			d := newDevice(t, lab, c)
			d.mustStart()
			d.policy(func(p *dataplane.Policy) { p.Port[0].TapRX = tap })
			drop, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}})
			if err != nil {
				t.Fatal(err)
			}
			if err := lab.Snk.Do(func() error {
				l, err := link.AttachXDP(link.XDPOptions{Program: drop, Interface: lab.Snk.Link(netlab.K1).Index, Flags: link.XDPDriverMode})
				if err == nil {
					t.Cleanup(func() { l.Close() })
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			gen, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
				asm.Mov.Imm(asm.R1, int32(lab.Src.Link(netlab.S0).Index)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return()}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				b0, t0, r0 := d.stats(1).TX, time.Now(), d.stats(0)
				done := make(chan struct{})
				go func() {
					defer close(done)
					lab.Src.Do(func() error {
						runtime.LockOSThread()
						var old, set unix.CPUSet
						unix.SchedGetaffinity(0, &old)
						set.Set(0)
						unix.SchedSetaffinity(0, &set)
						defer unix.SchedSetaffinity(0, &old)
						_, err := gen.Run(&ebpf.RunOptions{Data: netlab.UDP(size, 1), Repeat: 4000000, Flags: 2, BatchSize: 64})
						return err
					})
				}()
				<-done
				el := time.Since(t0)
				tx := d.stats(1).TX - b0
				r1 := d.stats(0)
				t.Logf("tap %v size %d: %.0f k/s in %v, rx %d, err %d lost %d callerr %v", tap, size, float64(tx)/el.Seconds()/1000, el, r1.RX-r0.RX, r1.Err-r0.Err, r1.Lost-r0.Lost, d.stats(1).CallErrors)
			}
			d.mustStop()
		}
	}
}
