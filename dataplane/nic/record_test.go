// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"encoding/json"
	"testing"
)

// A record has the keys that earlier versions wrote, since the process that reads it may be of
// another version than the one that was killed.
func TestKeysOfRecords(t *testing.T) {
	r := record{
		Boot: "a", Netns: 1, Index: 2, Name: "eth0", MAC: "02:00:00:00:00:01", Features: []string{"rx-gro"}, Promisc: true, Bypass: "/sys/fs/bpf/x",
		Interrupts: &interrupts{Defer: 3, Timeout: 4},
	}
	const want = `{"boot":"a","namespace":1,"index":2,"name":"eth0","mac":"02:00:00:00:00:01","switched_off":["rx-gro"],"promiscuous":true,` +
		`"bypass":"/sys/fs/bpf/x","interrupts":{"napi_defer_hard_irqs":3,"gro_flush_timeout":4}}`
	if b, err := json.Marshal(r); err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
