// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"ethertap/shm"
)

// demoLab is what --demo makes: two hosts, a and b, in network namespaces that ping each other, and a third
// namespace between them, in which the tap bridges d0 and d1. %[1]s is the first part of the namespaces' names.
const demoLab = `
set -e
for ns in %[1]s-a %[1]s-b %[1]s-tap; do ip netns add $ns; done
ip link add a0 netns %[1]s-a type veth peer name d0 netns %[1]s-tap
ip link add b0 netns %[1]s-b type veth peer name d1 netns %[1]s-tap
for ns in %[1]s-a %[1]s-b %[1]s-tap; do # its neighbour discovery would be in every picture
	ip netns exec $ns sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done'
done
ip -n %[1]s-a addr add 10.99.0.1/24 dev a0
ip -n %[1]s-b addr add 10.99.0.2/24 dev b0
ip -n %[1]s-a link set a0 up
ip -n %[1]s-b link set b0 up
for link in lo d0 d1; do ip -n %[1]s-tap link set $link up; done
for host in a b; do
	# what a host on a veth needs for the fast path, and for frames that are whole
	ip netns exec %[1]s-$host ethtool -K ${host}0 gro on tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off
done
`

// demoEnd removes it. The pings in the namespaces have ended before.
const demoEnd = `for ns in %[1]s-a %[1]s-b %[1]s-tap; do ip netns del $ns 2>/dev/null || true; done`

const demoText = `Host a (10.99.0.1) and host b (10.99.0.2) ping each other through d0 and d1, which are bridged here. Try:
  if.stats                                 what has passed
  tap.on  tap.queue.get packet.show        tap it, and look at a packet
  0 fault.enable 30%% 0 fault.drop.probability   lose 30 %% of what d0 receives
  live                                     the whole screen
In another terminal: control --name %[1]s ethertap, collect -q ixdp.pqueue.%[1]s packets.pcap
or as host a: ip netns exec %[1]s-a bash. The demo ends with the prompt (bye), and nothing stays.
`

// demo makes the lab, runs this program in it with a prompt on the terminal, or with the lines of standard
// input, and removes the lab when that ends.
func demo(stdin *os.File, stdout, stderr io.Writer) (status int) {
	if err := demoNeeds(); err != nil {
		fmt.Fprintf(stderr, "ethertap: --demo: %v\n", err)
		return failed
	}
	name := fmt.Sprintf("demo%d", os.Getpid())
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT) // the lab is to be removed in any case
	defer func() {
		if out, err := shell(demoEnd, name); err != nil {
			fmt.Fprintf(stderr, "ethertap: --demo: to remove the rest, run ip netns list: %v: %s\n", err, out)
			status = failed
		}
	}()
	queue := shm.Prefix + name
	defer shm.Delete(queue) // which is there if the tap has started
	if out, err := shell(demoLab, name); err != nil {
		fmt.Fprintf(stderr, "ethertap: --demo: %v: %s\n", err, out)
		return failed
	}
	for _, end := range [][2]string{{"a", "10.99.0.2"}, {"b", "10.99.0.1"}} {
		ping := exec.Command("ip", "netns", "exec", name+"-"+end[0], "ping", "-q", "-i", "0.5", end[1])
		ping.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // Ctrl-C is for the prompt
		if err := ping.Start(); err != nil {
			fmt.Fprintf(stderr, "ethertap: --demo: %v\n", err)
			return failed
		}
		defer func() {
			ping.Process.Kill()
			ping.Wait()
		}()
	}
	fmt.Fprintf(stdout, demoText, name)
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	tap := exec.Command("ip", "netns", "exec", name+"-tap", self, "--name", name, "--tap-queue", queue, "--config", os.DevNull, "d0", "d1")
	tap.Stdin, tap.Stdout, tap.Stderr = stdin, stdout, stderr
	if err := tap.Start(); err != nil {
		fmt.Fprintf(stderr, "ethertap: --demo: %v\n", err)
		return failed
	}
	go func() {
		for s := range caught {
			if s != syscall.SIGINT && s != syscall.SIGQUIT { // the terminal sends these to the tap as well
				tap.Process.Signal(s)
			}
		}
	}()
	if err := tap.Wait(); err != nil {
		return max(failed, tap.ProcessState.ExitCode())
	}
	return ok
}

// demoNeeds returns what --demo lacks on this machine, or nil.
func demoNeeds() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, since it makes network namespaces")
	}
	for tool, pkg := range map[string]string{"ip": "iproute2", "ping": "iputils-ping", "ethtool": "ethtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("needs %s; to fix this, run apt-get install %s", tool, pkg)
		}
	}
	return nil
}

// shell runs a script in which %[1]s is name, and returns what it printed.
func shell(script, name string) (string, error) {
	out, err := exec.Command("/bin/sh", "-c", fmt.Sprintf(script, name)).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
