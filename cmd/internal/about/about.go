// SPDX-License-Identifier: BSD-3-Clause

// Package about answers the questions that every program answers in the same way: usage, version,
// copyright.
package about

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// Version is the version of all programs; the build sets it with -ldflags "-X
// ethertap/cmd/internal/about.Version=…".
var Version = "dev"

// Copyright is printed by -c, after the name and the version of the program.
const Copyright = "copyright (c) 2026 the EtherTAP authors"

// Info is the question of the user, if any.
type Info struct{ help, version, copyright bool }

// Flags adds -h, -v and -c with their long forms to a program's options.
func Flags(f *pflag.FlagSet) *Info {
	var i Info
	f.BoolVarP(&i.help, "help", "h", false, "")
	f.BoolVarP(&i.version, "version", "v", false, "")
	f.BoolVarP(&i.copyright, "copyright", "c", false, "")
	return &i
}

// Asked says whether Show has something to print.
func (i *Info) Asked() bool { return i.help || i.version || i.copyright }

// Show prints the answer, and says whether there was a question.
func (i *Info) Show(w io.Writer, program, usage string) bool {
	switch {
	case i.help:
		fmt.Fprint(w, usage)
	case i.version:
		fmt.Fprintf(w, "%s %s\n", program, Version)
	case i.copyright:
		fmt.Fprintf(w, "EtherTAP %s, %s\n", program, Copyright)
	default:
		return false
	}
	return true
}
