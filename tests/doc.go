// SPDX-License-Identifier: BSD-3-Clause

// Package tests holds what no single package can test: transcripts of prompts as
// golden files, the real binaries end to end in network namespaces, and the import
// picture of docs/architecture.md.
package tests
