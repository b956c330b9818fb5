// SPDX-License-Identifier: BSD-3-Clause

// Package lib contains the RPCL source that is embedded in the programs: the prelude, which is
// loaded at every start as ordinary source, and examples that `load` finds by name. It knows
// neither the VM nor any application.
package lib

import "embed"

// Files contains the sources, by file name: prelude.rpcl and others.
//
//go:embed *.rpcl
var Files embed.FS

// Prelude is the name of the file that defines compound words at every start.
const Prelude = "prelude.rpcl"

// Presets is the name of the file that defines the presets of `fault.preset`.
const Presets = "fault-presets.rpcl"
