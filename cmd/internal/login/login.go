// SPDX-License-Identifier: BSD-3-Clause

// Package login has the options by which programs say who they are to a NATS server, and whom they
// trust. They have the names of those of nats(1), and all name files: what stands on a command line can
// be seen by all users of the machine.
package login

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"ethertap/collect/stream"
)

// Options are the names of the options.
var Options = []string{"creds", "nkey", "tlsca", "tlscert", "tlskey"}

// Flags adds the options to those of a program.
func Flags(f *pflag.FlagSet) *stream.Access {
	var a stream.Access
	for i, to := range []*string{&a.Creds, &a.NKey, &a.CA, &a.Cert, &a.Key} {
		f.StringVar(to, Options[i], "", "")
	}
	return &a
}

// Check refuses options that are wrong together. With background, the program changes its directory.
func Check(a *stream.Access, background bool) error {
	switch {
	case (a.Cert == "") != (a.Key == ""):
		return errors.New("--tlscert and --tlskey go together: a certificate and its key")
	case a.Creds != "" && a.NKey != "":
		return errors.New("--creds has an NKEY of its own; give it or --nkey")
	}
	for i, path := range []string{a.Creds, a.NKey, a.CA, a.Cert, a.Key} {
		if background && path != "" && !filepath.IsAbs(path) {
			return fmt.Errorf("--daemon changes to /, so %s of --%s would not be found; give the whole path", path, Options[i])
		}
	}
	return nil
}
