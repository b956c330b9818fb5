// Package lib holds the RPCL source that is embedded in the programs: the prelude,
// loaded at every start as ordinary source, and examples that `load` finds by name.
// It knows neither the VM nor any application.
package lib

import "embed"

// Files holds the sources, by file name: prelude.rpcl and others.
//
//go:embed *.rpcl
var Files embed.FS

// Prelude is the file that defines the predefined compound words.
const Prelude = "prelude.rpcl"
