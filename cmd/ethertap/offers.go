// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
)

// printOffers prints what this machine offers: the kernel, and the interfaces of the command line or, if it names
// none, all. What a feature needs is in docs/requirements.md. The error says which privileges are missing.
func (p *program) printOffers() error {
	all, err := dataplane.Offers(p.plane)
	if err != nil {
		return err
	}
	for _, o := range all {
		switch {
		case o.Err != nil && len(p.plane.Interfaces) > 0:
			continue // check says it
		case o.Err != nil:
			fmt.Fprintln(p.stdout, o.Err)
		case o.Interface == "":
			fmt.Fprintf(p.stdout, "Linux %s on %s\n", kernelRelease(), runtime.GOARCH)
		default:
			fmt.Fprintln(p.stdout, o.Interface)
		}
		for _, f := range o.Offers {
			fmt.Fprintf(p.stdout, "  %-27s %s\n", f.Feature, offerText(f))
		}
	}
	return nil
}

// offerText says whether a feature is there, and its note.
func offerText(o nic.Offer) string {
	text := "no"
	switch {
	case !o.Known:
		text = "unknown"
	case o.Has:
		text = "yes"
	}
	if o.Note != "" {
		text += ": " + o.Note
	}
	return text
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "of unknown version"
	}
	return unix.ByteSliceToString(u.Release[:])
}
