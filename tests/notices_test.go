// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// legal are the names of files with the terms under which a module may be used.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([-.].*)?$`)

// terms returns the files with licences and notices of a module, by their path in it.
func terms(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && legal.MatchString(d.Name()) {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// NOTICES has the licence and the notices of everything that is linked into the programs, for all
// architectures. -update writes it.
func TestNoticesAreComplete(t *testing.T) {
	t.Parallel()
	type module struct {
		Path, Version, Dir string
		Main               bool
	}
	linked := map[string]module{}
	packages := map[string][]string{} // by module, their folders
	for _, arch := range []string{"amd64", "s390x"} {
		cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/...")
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
			var p struct {
				Dir      string
				Standard bool
				Module   *module
			}
			if err := d.Decode(&p); err != nil {
				t.Fatal(err)
			}
			if p.Standard || p.Module.Main {
				continue
			}
			linked[p.Module.Path] = *p.Module
			packages[p.Module.Path] = append(packages[p.Module.Path], p.Dir)
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	fmt.Fprintln(&want, "EtherTAP's programs are static. These are the licences and notices of what is linked into them.")
	write := func(name, dir string, folders []string) {
		found := false
		for _, file := range terms(t, dir) {
			// a licence holds for the folder that it stands in, and for those below it
			below := filepath.Join(dir, filepath.Dir(file))
			if !slices.ContainsFunc(folders, func(f string) bool { return f == below || strings.HasPrefix(f, below+"/") }) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			found = true
			fmt.Fprintf(&want, "\n%s\n%s, %s\n%[1]s\n\n%[4]s\n", strings.Repeat("=", 80), name, file, bytes.TrimSpace(text))
		}
		if !found {
			t.Errorf("%s has no licence", name)
		}
	}
	goroot := strings.TrimSpace(string(root))
	text, err := os.ReadFile(filepath.Join(goroot, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&want, "\n%s\nThe Go standard library, LICENSE\n%[1]s\n\n%[2]s\n", strings.Repeat("=", 80), bytes.TrimSpace(text))
	var paths []string
	for path := range linked {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		write(path+" "+linked[path].Version, linked[path].Dir, packages[path])
	}
	const file = "../NOTICES"
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("NOTICES is not that of the modules that are linked (%v): go test ./tests -update -run Notices", err)
	}
}
