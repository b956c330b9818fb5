// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// sizesLab is a bridge of which each side is a TAP device or a veth.
type sizesLab struct {
	*device
	write func(frame []byte) error
	read  func(deadline time.Time) ([]byte, error)
	far   *netlab.Namespace // of the other end of a veth d1
}

func newSizesLab(t *testing.T, in, out string, mtu int, fast bool) *sizesLab {
	t.Helper()
	lab := &netlab.Bridge{Src: netlab.NewNamespace(t, "src"), Dut: netlab.NewNamespace(t, "dut"), Snk: netlab.NewNamespace(t, "snk")}
	l := &sizesLab{far: lab.Snk}
	veth := netlab.VethOptions{MTU: mtu}
	if in == "tap" {
		l.write = lab.Dut.NewTAP(netlab.D0, mtu).Write
	} else {
		netlab.Veth(lab.Src, netlab.S0, lab.Dut, netlab.D0, veth)
		lab.Src.SetFeature(netlab.S0, "rx-gro", true)
		s := lab.Src.NewSender(netlab.S0, true)
		l.write = func(frame []byte) error { return s.Send(frame) }
	}
	if out == "tap" {
		l.read = lab.Dut.NewTAP(netlab.D1, mtu).Read
	} else {
		netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, veth)
		lab.Snk.SetFeature(netlab.K1, "rx-gro", true)
		l.read = lab.Snk.NewReceiver(netlab.K1).Receive
	}
	l.device = newDevice(t, lab, dataplane.Config{FastPath: fast})
	l.mustStart()
	if fast {
		l.mustUseFastPath()
	}
	return l
}

// around returns the sizes near an MTU at which something changes: with each number of headers and
// tags.
func around(mtu int) (sizes []int) {
	for tags := range 6 {
		sizes = append(sizes, mtu+14+4*tags-1, mtu+14+4*tags, mtu+14+4*tags+1)
	}
	return sizes
}

// sizes sends a frame of each size with so many tags, and a short one after each. It returns the
// frames that arrived, by size, and the counters.
func (l *sizesLab) sizes(sizes []int, tags int) (arrived []int, stats [2]dataplane.PortStats) {
	l.t.Helper()
	l.ResetStats()
	before, sent := l.stats(0), uint64(0)
	sum := func(s dataplane.PortStats) uint64 { return s.RX + s.Lost }
	var want [][]byte
	for i, size := range sizes {
		f := netlab.Frame{Size: size, Seq: uint64(i)}
		for range tags {
			f.Tags = append(f.Tags, netlab.Tag{Type: netlab.TypeVLAN, TCI: 7})
		}
		want = append(want, f.Bytes(), netlab.UDP(60, uint64(i)))
		for _, frame := range want[len(want)-2:] {
			if err := l.write(frame); err != nil {
				l.t.Fatal(err)
			}
			sent++
		}
	}
	l.await("all are counted", func() bool {
		s := l.stats(0)
		return sum(s)-sum(before) == sent && s.Held == 0
	})
	for deadline := time.Now().Add(20 * time.Second); len(want) > 0; {
		if uint64(len(arrived)) == l.stats(1).TX {
			break
		}
		got, err := l.read(deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			l.t.Fatalf("%d frames came, %d are counted as sent", len(arrived), l.stats(1).TX)
		} else if err != nil {
			l.t.Fatal(err)
		}
		i := slices.IndexFunc(want, func(f []byte) bool { return slices.Equal(f, got) })
		if i < 0 {
			if len(got) > 12 && [6]byte(got[6:12]) == netlab.SrcMAC {
				l.t.Fatalf("a frame of %d bytes came that was not sent", len(got))
			}
			continue // a frame of the kernel
		}
		want = slices.Delete(want, i, i+1)
		arrived = append(arrived, len(got))
	}
	slices.Sort(arrived)
	l.checkBooks()
	return arrived, [2]dataplane.PortStats(l.AllStats())
}

// For any length of a frame, any tags and any MTUs, also after changes of the MTU, the fast path
// does what the threads do. A thread sends the frames that a redirect would refuse, if the driver
// takes them. Short frames between long ones always pass.
func TestSizesOfFrames(t *testing.T) {
	netlab.RequireRoot(t)
	for _, c := range []struct {
		in, out string
		mtus    [][3]int // of d0, d1 and the other end of d1, one after the other
		most    func(mtus [3]int) int
	}{
		// A frame that the kernel sends on a TAP device may be as long as a chunk.
		{"tap", "tap", [][3]int{{1500, 1500}, {1280, 1600}, {1763, 1763}, {9000, 9000}, {9000, 1500}}, func(m [3]int) int { return 9100 }},
		{"veth", "tap", [][3]int{{1500, 1500}, {1600, 1500}, {9000, 9000}, {9000, 5000}}, func(m [3]int) int { return m[0] + 18 }},
		// A veth drops frames that its other end would not take, and has no limit of its own.
		{"tap", "veth", [][3]int{{1500, 1500, 1500}, {1500, 1500, 1400}, {1500, 1400, 1500}, {1500, 1500, 1600}, {9000, 9000, 9000}, {9000, 9000, 5000}}, func(m [3]int) int { return m[2] + 18 }},
		{"veth", "veth", [][3]int{{1500, 1500, 1500}, {1600, 1500, 1400}, {1600, 1400, 1500}, {9000, 9000, 9000}, {9000, 9000, 5000}, {9000, 5000, 9000}}, func(m [3]int) int { return min(m[0], m[2]) + 18 }},
	} {
		t.Run(c.in+" to "+c.out, func(t *testing.T) {
			threads, fast := newSizesLab(t, c.in, c.out, c.mtus[0][0], false), newSizesLab(t, c.in, c.out, c.mtus[0][0], true)
			for _, mtus := range c.mtus {
				t.Run(fmt.Sprint(mtus), func(t *testing.T) {
					var sizes []int
					for _, mtu := range mtus {
						for _, size := range around(mtu) {
							if mtu > 0 && (c.in == "tap" || size <= mtus[0]+18) {
								sizes = append(sizes, size)
							}
						}
					}
					for _, l := range []*sizesLab{threads, fast} {
						l.t = t
						l.setMTUs(c.in, c.out, mtus)
					}
					for tags := 0; tags <= 4; tags += 2 {
						var some []int
						for _, size := range sizes {
							if size >= 60+4*tags && (c.in == "tap" || tags > 0 || size <= mtus[0]+14) {
								some = append(some, size)
							}
						}
						slow, slowStats := threads.sizes(some, tags)
						quick, fastStats := fast.sizes(some, tags)
						if !slices.Equal(slow, quick) {
							t.Errorf("%d tags, of %v: by the threads came %v, by the fast path %v", tags, some, slow, quick)
						}
						for i := range slowStats {
							slowStats[i].CallErrors, fastStats[i].CallErrors = nil, nil // the fast path makes fewer calls
							if !reflect.DeepEqual(slowStats[i], fastStats[i]) {
								t.Errorf("%d tags, interface %d: threads %+v, fast path %+v", tags, i, slowStats[i], fastStats[i])
							}
						}
						var expected []int
						for _, size := range some {
							if expected = append(expected, 60); size <= c.most(mtus) {
								expected = append(expected, size)
							}
						}
						if slices.Sort(expected); !slices.Equal(slow, expected) {
							t.Errorf("%d tags: %v came, want %v", tags, slow, expected)
						}
						var errs dataplane.Counts
						if n := 2*len(some) - len(expected); n > 0 {
							errs = dataplane.Counts{{Name: "EMSGSIZE", N: uint64(n)}}
						}
						if got := fastStats[0].ErrReasons; !slices.Equal(got, errs) {
							t.Errorf("%d tags: %v, want %v", tags, got, errs)
						}
					}
				})
			}
		})
	}
}

// setMTUs changes all MTUs and waits until the engine follows.
func (l *sizesLab) setMTUs(in, out string, mtus [3]int) {
	l.t.Helper()
	// Our MTUs are first: while they are small, the other end of a veth cannot have a large one.
	set := func(d1 int) {
		l.lab.Dut.SetMTU(netlab.D0, mtus[0])
		l.lab.Dut.SetMTU(netlab.D1, d1)
		l.await("the MTUs are followed", func() bool {
			p := l.Ports()
			return l.Running() && p[0].MTU == mtus[0] && p[1].MTU == d1
		})
	}
	set(mtus[1] + 1)
	if in == "veth" {
		l.lab.Src.SetMTU(netlab.S0, mtus[0])
	}
	if out == "veth" {
		l.far.SetMTU(netlab.K1, mtus[2])
	}
	set(mtus[1]) // so that the engine looks at the other end once more
}
