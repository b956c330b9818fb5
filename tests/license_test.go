// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every source file names its licence in one of its first lines. The programs for the kernel have the one
// that they tell the kernel.
func TestSourcesNameTheirLicence(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("git", "ls-files", "-z", "--", "*.go", "*.c", "*.h", "*.sh", "*.rpcl", "*.js", "*.css", "Makefile")
	cmd.Dir = ".."
	list, err := cmd.Output()
	if err != nil {
		t.Skipf("no work tree of git: %v", err)
	}
	files := 0
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if strings.Contains(name, "/testdata/") || strings.HasPrefix(name, "docs/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		first := bytes.SplitN(text, []byte("\n"), 4)
		if bytes.Contains(first[0], []byte("Code generated")) {
			continue
		}
		want := "SPDX-License-Identifier: BSD-3-Clause"
		if filepath.Dir(name) == "dataplane/fastpath" && slices.Contains([]string{".c", ".h"}, filepath.Ext(name)) {
			want = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
		}
		files++
		if !slices.ContainsFunc(first[:min(3, len(first))], func(line []byte) bool { return bytes.Contains(line, []byte(want)) }) {
			t.Errorf("%s does not say %s", name, want)
		}
	}
	if files < 100 {
		t.Errorf("just %d files", files)
	}
}
