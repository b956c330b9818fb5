// SPDX-License-Identifier: BSD-3-Clause

// Package need says what a test needs. If that is missing, the test is skipped. With CI=true it
// fails instead, since everything that tests need is installed there, and a test must not be
// skipped unnoticed.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Skip skips the test, or fails it when CI=true. The text says what is missing.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+" (CI=true: not skipped)", args...)
	}
	t.Skipf(format, args...)
}

// Root needs the rights of root.
func Root(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		Skip(t, "needs root (effective uid is %d)", uid)
	}
}

// Tool needs a program and returns its path.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, "needs %s: %v", name, err)
	}
	return path
}
