// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ethertap/tests/need"
)

const again = "make generate, and commit what it changes"

// The committed objects were made from the committed source.
func TestObjectsAreCurrent(t *testing.T) {
	sums, err := os.ReadFile("object.sum")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(file)); got != sum {
			t.Errorf("%s is not what object.sum says: %s", name, again)
		}
	}
}

// Made again, the objects are the same to the byte. Another version of clang makes other objects.
// CI installs this version; `make test` does not.
func TestObjectsAreReproducible(t *testing.T) {
	need.Tool(t, "clang-14")
	need.Tool(t, "llvm-strip-14")
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^//go:generate go (run .*bpf2go )(.*)$`).FindSubmatch(source)
	if command == nil {
		t.Fatal("doc.go has no command that makes the objects")
	}
	dir := t.TempDir()
	args := append(strings.Fields(string(command[1])), "-output-dir", dir)
	cmd := exec.Command("go", append(args, strings.Fields(string(command[2]))...)...)
	cmd.Env = append(os.Environ(), "GOPACKAGE=fastpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"object_bpfel.o", "object_bpfeb.o", "object_bpfel.go", "object_bpfeb.go"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s made again is another one: %s", name, again)
		}
	}
}
