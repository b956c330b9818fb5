// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each recipe of docs/extending.md, followed to the letter, passes its own commands and touches at
// most three files besides tests and documents. The changed files take the place of those of the
// tree by go's -overlay, so the tree itself does not change.
func TestRecipes(t *testing.T) {
	t.Parallel()
	recipes := readRecipes(t, "../docs/extending.md")
	if len(recipes) != 4 {
		t.Errorf("%d recipes", len(recipes))
	}
	for _, r := range recipes {
		t.Run(r.title, func(t *testing.T) {
			files := map[string]string{}
			for _, s := range r.steps {
				s.follow(t, files)
			}
			var touched []string
			for name := range files {
				if !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "tests/") {
					touched = append(touched, name)
				}
			}
			if slices.Sort(touched); len(touched) == 0 || len(touched) > 3 {
				t.Errorf("it touches %q", touched)
			}
			overlay := overlayOf(t, files)
			if len(r.commands) == 0 {
				t.Error("it has no commands")
			}
			for _, line := range r.commands {
				runOver(t, overlay, line)
			}
		})
	}
}

// recipe is a section of the document.
type recipe struct {
	title    string
	steps    []step
	commands []string // lines of its blocks marked sh
}

// step puts a block into a file. way is "new", "after", "before" or "in place of"; the last three
// refer to the only line that begins with place.
type step struct {
	file, way, place, block string
}

var (
	stepLine = regexp.MustCompile("^In `([^`]+)`, (after|before|in place of) the line `(.+)`:$")
	newLine  = regexp.MustCompile("^In the new file `([^`]+)`:$")
)

// readRecipes reads the document. The line before each Go block says where the block goes.
func readRecipes(t *testing.T, file string) (list []recipe) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var last string // line that is not empty
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		language, opens := strings.CutPrefix(line, "```")
		if title, ok := strings.CutPrefix(line, "## "); ok {
			list = append(list, recipe{title: title})
		}
		if !opens {
			if line != "" {
				last = line
			}
			continue
		}
		end := slices.Index(lines[i+1:], "```")
		if end < 0 || len(list) == 0 {
			t.Fatalf("%s:%d: a block without an end, or outside of a recipe", file, i+1)
		}
		block, r := lines[i+1:i+1+end], &list[len(list)-1]
		i += end + 1
		if language == "sh" {
			r.commands = append(r.commands, block...)
			continue
		}
		s := step{way: "new", block: strings.Join(block, "\n") + "\n"}
		if m := newLine.FindStringSubmatch(last); m != nil {
			s.file = m[1]
		} else if m := stepLine.FindStringSubmatch(last); m != nil {
			s.file, s.way, s.place = m[1], m[2], m[3]
		} else {
			t.Fatalf("%s:%d: the line before the block does not say where it goes: %q", file, i+1, last)
		}
		r.steps = append(r.steps, s)
	}
	return list
}

// follow does what a step says. files are the files changed so far, by name.
func (s step) follow(t *testing.T, files map[string]string) {
	t.Helper()
	text, changed := files[s.file]
	there, err := os.ReadFile(filepath.Join("..", s.file))
	switch {
	case s.way == "new" && (err == nil || changed):
		t.Fatalf("%s is there already", s.file)
	case s.way == "new":
		files[s.file] = s.block
		return
	case err != nil:
		t.Fatal(err)
	case !changed:
		text = string(there)
	}
	lines, at := strings.SplitAfter(text, "\n"), -1
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), s.place) {
			if at >= 0 {
				t.Fatalf("%s: lines %d and %d both begin with %q", s.file, at+1, i+1, s.place)
			}
			at = i
		}
	}
	if at < 0 {
		t.Fatalf("%s: no line begins with %q", s.file, s.place)
	}
	switch s.way {
	case "after":
		lines = slices.Insert(lines, at+1, s.block)
	case "before":
		lines = slices.Insert(lines, at, s.block)
	default:
		lines[at] = s.block
	}
	files[s.file] = strings.Join(lines, "")
}

// overlayOf writes files to a temporary directory, and returns the path of the list for go's -overlay.
func overlayOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replaced := t.TempDir(), map[string]string{}
	for name, text := range files {
		path := filepath.Join(dir, fmt.Sprint(len(replaced))+".go")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(root, name)] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runOver runs a line, go test or go build, on the tree with the overlay. A program that it builds is
// discarded, and go test must run a test.
func runOver(t *testing.T, overlay, line string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(line, "'", ""))
	if len(words) < 3 || words[0] != "go" || words[1] != "test" && words[1] != "build" {
		t.Fatalf("%q is neither go test nor go build", line)
	}
	args := []string{words[1], "-overlay", overlay}
	if words[1] == "build" {
		args = append(args, "-o", os.DevNull)
	} else {
		args = append(args, "-vet=off")
	}
	cmd := exec.Command("go", append(args, words[2:]...)...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}
