// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"

	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/dataplane"
)

// clearBypass ends the bypass that an instance which is gone has left. If no instance is named,
// it is the usual one, and the bypasses of others are listed.
func clearBypass(o options, out io.Writer) error {
	err := clearInstance(o, out)
	if !o.named {
		listOthers(o, out)
	}
	return err
}

func clearInstance(o options, out io.Writer) error {
	caught := signals.Catch(false) // a signal must not leave the work half done
	instance, err := rundir.Register(caught.Context(), "ethertap", o.name)
	if err != nil {
		return fmt.Errorf("%w; there, bypass.disable", err)
	}
	defer instance.Close()
	found, err := dataplane.ClearBypass(o.plane.BypassDir, instance.Dir(), func(format string, args ...any) {
		fmt.Fprintf(out, format+"\n", args...)
	})
	if err == nil && !found {
		fmt.Fprintln(out, "nothing to clear")
	}
	return err
}

// listOthers prints what other instances have pinned, and how to end it.
func listOthers(o options, out io.Writer) {
	for _, name := range pinned(o.bpffs) {
		if name == o.name {
			continue
		}
		programs, on := dataplane.Pinned(pinDir(o.bpffs, name))
		who := ""
		if len(programs) > 0 {
			who, _ = holder(programs[0])
		}
		if who != "" {
			fmt.Fprintf(out, "%s has a bypass on %s and runs; to end it: %s -e bypass.disable\n", who, on, controlling(name))
		} else {
			fmt.Fprintf(out, "ethertap %q has left a bypass on %s; to end it: %s\n", name, on, clearing(o.bpffs, name))
		}
	}
}
