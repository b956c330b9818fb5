// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"testing"

	"ethertap/dataplane/policy"
)

func TestHostsAgreeWithAMap(t *testing.T) {
	var macs []policy.MAC
	for i := range 3000 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(i*i*7919))
		macs = append(macs, policy.MAC(b[2:]))
	}
	in := map[policy.MAC]bool{}
	for _, m := range macs[:2000] {
		in[m] = true
	}
	h := newHosts(policy.MACs("").With(macs[:2000]...))
	for _, m := range macs {
		if h.has(macKey(m)) != in[m] {
			t.Fatalf("%v: %v", m, h.has(macKey(m)))
		}
		if macOf(macKey(m)) != m {
			t.Fatalf("%v: the key is that of %v", m, macOf(macKey(m)))
		}
	}
	if n := testing.AllocsPerRun(10, func() { h.has(macKey(macs[0])) }); n != 0 {
		t.Errorf("a look-up allocates %v", n)
	}
}
