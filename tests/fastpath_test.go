// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/tests/netlab"
)

// The fast path from the command line and at the prompt: the same counters, the engine
// in the header of if.stats, and a reason with a command where it cannot be.
func TestFastPathAtThePrompt(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	netlab.NeedsKernel(t, 6, 3, "veths that tell whether they take redirected frames")
	r := newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{GRO: true}))
	r.daemon("--fastpath")
	if out := r.rpcl("fastpath.status if.stats"); !strings.HasPrefix(out, "fast path enabled\n0 d0 in use\n1 d1 in use\n0 d0 veth queues:1 COPY fastpath\n") {
		t.Errorf("status: %s", out)
	}
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "50 frames", func() bool { return r.stat(1, "tx") == "50" })
	if out := r.rpcl("0 if.mac.show"); !strings.Contains(out, "02:65:74:00:00:01") {
		t.Errorf("if.mac.show: %s", out)
	}
	r.rpcl("if.check 0 tap.rx.enable")
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "100 frames", func() bool { return r.stat(1, "tx") == "100" && r.stat(0, "tapped") == "50" })
	r.rpcl("if.check 0 tap.rx.disable")
	r.Snk.SetFeature(netlab.K1, "rx-gro", false)
	netlab.Await(t, "the reason", func() bool {
		return strings.Contains(r.rpcl("fastpath.status"), "0 d0 not in use: port d1 takes no redirected frames; to fix this, run: ip netns exec "+r.Snk.Name()+" ethtool -K k1 gro on")
	})
	if out := r.rpcl("if.stats"); !strings.HasPrefix(out, "0 d0 veth queues:1 COPY fastpath:refused\n") {
		t.Errorf("if.stats: %s", out)
	}
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "150 frames", func() bool { return r.stat(1, "tx") == "150" })
	if out := r.rpcl("if.check fastpath.disable fastpath.status"); !strings.Contains(out, "fast path disabled\n0 d0 not in use: disabled\n") {
		t.Errorf("status: %s", out)
	}
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "200 frames", func() bool { return r.stat(1, "tx") == "200" })
	r.rpcl("if.check if.stop if.check")
	r.untouched()
}

// Without CAP_PERFMON frames go through the threads, and the reason names the capability.
func TestFastPathWithoutPerfmon(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	r := newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{GRO: true}))
	setpriv := netlab.RequireTool(t, "setpriv")
	r.must(setpriv, "--bounding-set", "-perfmon,-sys_admin", r.ethertap,
		"--daemon", "--tap-queue", r.queue, "--config", os.DevNull, "--log", filepath.Join(r.dir, "log"), netlab.D0, netlab.D1)
	r.Settle()
	if out := r.rpcl("fastpath.status"); strings.Count(out, "not in use: load: not permitted without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON\n") != 2 {
		t.Errorf("status: %s", out)
	}
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "50 frames", func() bool { return r.stat(1, "tx") == "50" })
	r.rpcl("if.check")
}
