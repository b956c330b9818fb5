// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"testing"

	"github.com/spf13/pflag"
)

// Each option of Wireshark's asks its own question.
func TestOptionsOfExtcap(t *testing.T) {
	for args, want := range map[[2]string]extcap{
		{"--extcap-interfaces"}:          {interfaces: true},
		{"--extcap-dlts"}:                {dlts: true},
		{"--extcap-config"}:              {config: true},
		{"--capture"}:                    {capture: true},
		{"--extcap-interface", "a"}:      {iface: "a"},
		{"--fifo", "a"}:                  {fifo: "a"},
		{"--extcap-capture-filter", "a"}: {filter: "a"},
		{"--extcap-version", "a"}:        {version: "a"},
		{"--extcap-reload-option", "a"}:  {reload: "a"},
	} {
		var got extcap
		f := pflag.NewFlagSet("collect", pflag.ContinueOnError)
		got.flags(f)
		given := args[:]
		if given[1] == "" {
			given = given[:1]
		}
		if err := f.Parse(given); err != nil || got != want || !got.asked(f) {
			t.Errorf("%s: %+v, %v", given, got, err)
		}
	}
}
