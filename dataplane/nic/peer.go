// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// peer is the other end of a veth, as far as it can be found out.
type peer struct {
	index int    // in its network namespace
	nsid  int    // the id of that namespace here; -1: it is this namespace
	name  string // "" if it cannot be looked up, or is gone
	// commandPrefix begins a command that runs in that namespace. It is "" if the namespace
	// has no name and no process that we see.
	commandPrefix string
}

// hasPeer says whether a link is a veth that has another end.
func hasPeer(l netlink.Link) bool { return l.Type() == "veth" && l.Attrs().ParentIndex != 0 }

// peerOf returns the other end of a veth.
func peerOf(l netlink.Link) (p peer, ok bool) {
	if !hasPeer(l) {
		return peer{}, false
	}
	a := l.Attrs()
	p = peer{index: a.ParentIndex, nsid: a.NetNsID}
	if other, err := peerLink(l); err == nil {
		if p.name = other.Attrs().Name; p.nsid >= 0 {
			p.commandPrefix = enterCommand(p.nsid)
		}
	}
	return p, true
}

// peerLink looks up the other end of a veth in any namespace. It asks the kernel once.
func peerLink(l netlink.Link) (netlink.Link, error) {
	a := l.Attrs()
	if a.NetNsID < 0 {
		return netlink.LinkByIndex(a.ParentIndex)
	}
	return linkElsewhere(a.NetNsID, a.ParentIndex)
}

// where names the peer in another namespace.
func (p peer) where() string {
	if p.name == "" {
		return fmt.Sprintf("interface %d of another namespace", p.index)
	}
	return p.name + " in another namespace"
}

// fix returns the end of a message: the command that sets features of the peer.
func (p peer) fix(features string) string {
	switch {
	case p.name == "":
		return fmt.Sprintf("; to fix this, run in the namespace of its other end, where ip link shows its NAME for the number %d: ethtool -K NAME %s", p.index, features)
	case p.nsid >= 0 && p.commandPrefix == "":
		return fmt.Sprintf("; to fix this, run in the namespace of its other end: ethtool -K %s %s", port.Word(p.name), features)
	}
	return fmt.Sprintf("; to fix this, run: %sethtool -K %s %s", p.commandPrefix, port.Word(p.name), features)
}

// linkElsewhere looks up an interface in the namespace that has the id nsid here. The kernel
// demands CAP_NET_ADMIN in that namespace.
func linkElsewhere(nsid, index int) (netlink.Link, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	request.AddData(message)
	request.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(nsid))))
	replies, err := request.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return nil, fmt.Errorf("interface %d of namespace %d: %w", index, nsid, err)
	}
	if len(replies) != 1 {
		return nil, fmt.Errorf("interface %d of namespace %d: %d answers", index, nsid, len(replies))
	}
	return netlink.LinkDeserialize(nil, replies[0])
}

// namedNamespaces is the directory where iproute2 keeps namespaces with names.
const namedNamespaces = "/run/netns"

// enterCommand returns the beginning of a command that runs in the namespace with the id nsid,
// ending in a space. It is "" if there is none.
func enterCommand(nsid int) string {
	names, _ := os.ReadDir(namedNamespaces)
	for _, e := range names {
		f, err := os.Open(filepath.Join(namedNamespaces, e.Name()))
		if err != nil {
			continue
		}
		id, err := netlink.GetNetNsIdByFd(int(f.Fd()))
		f.Close()
		if err == nil && id == nsid {
			return fmt.Sprintf("ip netns exec %s ", port.Word(e.Name()))
		}
	}
	var pids []int
	processes, _ := os.ReadDir("/proc")
	for _, e := range processes {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	seen := map[string]bool{}
	for _, pid := range pids {
		namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || seen[namespace] {
			continue
		}
		seen[namespace] = true
		if id, err := netlink.GetNetNsIdByPid(pid); err == nil && id == nsid {
			return fmt.Sprintf("nsenter -t %d -n ", pid)
		}
	}
	return ""
}
