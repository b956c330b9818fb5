// SPDX-License-Identifier: BSD-3-Clause

package port

import (
	"os/exec"
	"testing"
)

// A shell takes every name as one word, and runs nothing of it.
func TestWordIsOneWord(t *testing.T) {
	for name, want := range map[string]string{
		"eth0": "eth0", "enp1s0f0np0": "enp1s0f0np0", "br-1.2_x@y+z": "br-1.2_x@y+z",
		"$(reboot)": "'$(reboot)'", "a;b": "'a;b'", "`id`": "'`id`'", "a'b": `'a'\''b'`, "''": `''\'''\'''`,
		`a\b"c`: `'a\b"c'`, "a b": "'a b'", "\xff": "'\xff'", "": "''", "é": "'é'", "~": "'~'", "*": "'*'",
	} {
		got := Word(name)
		if got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
		out, err := exec.Command("/bin/sh", "-c", "printf '%s|' "+got).Output()
		if err != nil || string(out) != name+"|" {
			t.Errorf("%q: the shell has %q, %v", name, out, err)
		}
	}
}
