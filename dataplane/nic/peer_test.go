// SPDX-License-Identifier: BSD-3-Clause

package nic

import "testing"

// Messages about the other end of a veth give what is known of it, and invent nothing.
func TestPeerMessages(t *testing.T) {
	for _, c := range []struct {
		peer
		where, command string
	}{
		{peer{index: 7, nsid: -1, name: "v1"}, "", "; to fix this, run: ethtool -K v1 gro on"},
		{peer{index: 7, nsid: 3, name: "v1", commandPrefix: "ip netns exec red "}, "v1 in another namespace", "; to fix this, run: ip netns exec red ethtool -K v1 gro on"},
		{peer{index: 7, nsid: 3, name: "v1"}, "v1 in another namespace", "; to fix this, run in the namespace of its other end: ethtool -K v1 gro on"},
		{peer{index: 7, nsid: 3}, "interface 7 of another namespace", "; to fix this, run in the namespace of its other end, where ip link shows its NAME for the number 7: ethtool -K NAME gro on"},
	} {
		if got := c.peer.fix("gro on"); got != c.command {
			t.Errorf("%+v: %q, want %q", c.peer, got, c.command)
		}
		if got := c.peer.where(); c.nsid >= 0 && got != c.where {
			t.Errorf("%+v: %q, want %q", c.peer, got, c.where)
		}
	}
}
