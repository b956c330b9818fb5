// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
)

// The tables of what was seen have each value under its own key in JSON.
func TestKeysOfTables(t *testing.T) {
	seen := time.Unix(1700000000, 0).UTC()
	for want, v := range map[string]any{
		`{"interface":1,"name":"eth1","rows":[{"mac":"02:00:00:00:00:02","frames":3,"bytes":4,"seen":"2023-11-14T22:13:20Z","vendor":"V"}],"no_room":{"frames":5,"bytes":6}}`: macs{
			Interface: 1, Name: "eth1", NoRoom: dataplane.Usage{Frames: 5, Bytes: 6},
			Rows: []mac{{dataplane.MACUsage{MAC: policy.MAC{2, 0, 0, 0, 0, 2}, Usage: dataplane.Usage{Frames: 3, Bytes: 4}, Seen: seen}, "V"}},
		},
		`{"interface":1,"name":"eth1","types":[{"tags":2,"type":"0x0800","name":"IPv4","frames":3,"bytes":4,"last":"02:00:00:00:00:05","seen":"2023-11-14T22:13:20Z"}],` +
			`"types_no_room":{"frames":6,"bytes":7},"vlans":[{"tag":1,"tpid":"0x8100","vlan":8,"frames":9,"bytes":10,"last":"02:00:00:00:00:0b","seen":"2023-11-14T22:13:20Z"}],` +
			`"vlans_no_room":{"frames":12,"bytes":13}}`: types{
			Interface: 1, Name: "eth1", TypesNoRoom: dataplane.Usage{Frames: 6, Bytes: 7}, VLANsNoRoom: dataplane.Usage{Frames: 12, Bytes: 13},
			Types: []etype{{2, "0x0800", "IPv4", last{dataplane.Usage{Frames: 3, Bytes: 4}, policy.MAC{2, 0, 0, 0, 0, 5}, seen}}},
			VLANs: []vlan{{1, "0x8100", 8, last{dataplane.Usage{Frames: 9, Bytes: 10}, policy.MAC{2, 0, 0, 0, 0, 11}, seen}}},
		},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v, not\n%s", got, err, want)
		}
	}
}

// The error of a probability of a burst names the input that is wrong.
func TestInputsOfBurst(t *testing.T) {
	for i, name := range []string{"enter", "leave", "bad", "good"} {
		var err error
		printed(t, func(s *interp.Session) {
			for j := range 4 {
				n := int64(1 + j)
				if j == i {
					n = policy.Certain + 1
				}
				s.Push(interp.NewInt(n))
			}
			err = burst(s, new(policy.Fault))
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error of %s is %v", name, err)
		}
	}
}
