package main

import (
	"fmt"
	"io"

	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/dataplane"
)

// clearBypass ends the bypass that an instance has left which does not run any more.
func clearBypass(o options, out io.Writer) error {
	caught := signals.Catch(false) // to the end, which is near: half of it would be worse
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
