// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"maps"
	"strings"
	"testing"
)

// The command that ends the joining of frames has the names by which ethtool -K knows the features.
func TestOptionsOfJoining(t *testing.T) {
	options := map[string]string{}
	for _, f := range joining {
		options[f.feature] = f.option
	}
	if want := map[string]string{"rx-gro": "gro", "rx-gro-hw": "rx-gro-hw", "rx-lro": "lro"}; !maps.Equal(options, want) {
		t.Errorf("%v", options)
	}
}

// What is said of a master names its kind, and only a port of Open vSwitch leaves it by another
// command than ip.
func TestMastersAreNamed(t *testing.T) {
	for kind, m := range masters {
		text := strings.ToLower(strings.ReplaceAll(m.part, " ", ""))
		if !strings.Contains(text, kind) || strings.HasPrefix(m.out, "ip ") == (kind == "openvswitch") {
			t.Errorf("%s: %+v", kind, m)
		}
	}
}
