// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"testing"
)

func TestMirror(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"http://a.example/debian-security/ bookworm-security main\nhttp://a.example/debian/ bookworm-updates main\n" +
			"http://a.example/debian/ bookworm contrib\nhttp://a.example/debian/ bookworm main\n", "http://a.example/debian/"},
		{"https://b.example/tools/ bookworm-tools main\nhttps://b.example/d/ trixie main\n", "https://b.example/d/"},
		{"http://c.example/ubuntu/ noble main\n", ""},
		{"", ""},
	} {
		got, err := mirrorOf(c.lines)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.lines, got, err, c.want)
		}
	}
}

func TestChosenPackages(t *testing.T) {
	const simulation = `Reading package lists...
The following NEW packages will be installed:
  linux-base linux-image-6.1.0-50-amd64 linux-image-amd64
Inst linux-base (4.12.1~deb12u1 Debian:12.15/oldstable [all])
Inst linux-image-6.1.0-50-amd64 (6.1.176-1 Debian:12.15/oldstable [amd64])
Inst linux-modules-7.3.4+deb13-amd64 [7.3.3-1] (7.3.4-1~bpo13+1 Debian Backports:stable-backports [amd64])
Inst linux-image-amd64 (6.1.176-1 Debian:12.15/oldstable [amd64])
Conf linux-base (4.12.1~deb12u1 Debian:12.15/oldstable [all])
`
	want := []string{"linux-image-6.1.0-50-amd64=6.1.176-1", "linux-modules-7.3.4+deb13-amd64=7.3.4-1~bpo13+1"}
	if got := chosen(simulation, kernelParts); !slices.Equal(got, want) {
		t.Errorf("chosen %q, want %q", got, want)
	}
	if got := chosen(simulation, nil); len(got) != 4 {
		t.Errorf("all: %q", got)
	}
}
