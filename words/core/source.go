// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ethertap/interp"
	"ethertap/lib"
)

var sourceWords = []interp.Word{
	{Name: "load", Stack: "( filename - )", Help: "runs a file as source; a name without / is looked for in the current directory, beside the file that loads it, in the directories of the variable load.path (separated by colons) and in the library, with and without .rpcl", Example: "\"prelude\" load", Func: load},
	{Name: "load-if-present", Stack: "( filename - )", Help: "runs a file as source if there is one", Example: "\"/nonexistent.rpcl\" load-if-present", Func: loadIfPresent},
	{Name: "load.list", Stack: "( - )", Help: "lists the files of the library with their first line", Example: "load.list", Func: listLibrary},
	{Name: "bye", Stack: "( - )", Help: "leaves the session", Example: "bye", Func: bye},
	{Name: "quit", Stack: "( - )", Help: "leaves the session, as bye does", Example: "quit", Func: bye},
}

func load(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return runFile(s, name)
}

func loadIfPresent(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	if err := runFile(s, name); !missing(err) {
		return err
	}
	return nil
}

// missing says whether the file to load does not exist; a file that is missing when this one
// loads it does not count.
func missing(err error) bool {
	var inside *interp.Error
	return errors.Is(err, fs.ErrNotExist) && !errors.As(err, &inside)
}

// runFile runs a file of the file system or of the library.
func runFile(s *interp.Session, name string) error {
	f, at, err := find(s, name)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.Load(at, f)
}

// loadPath is the variable that holds the directories in which to look for files.
const loadPath = "load.path"

// find opens the file with a name, and returns where it was found.
func find(s *interp.Session, name string) (f fs.File, at string, err error) {
	places := []string{name}
	if !strings.Contains(name, "/") {
		if from := s.Source(); strings.Contains(from, "/") {
			places = append(places, filepath.Join(filepath.Dir(from), name))
		}
		if v, err := s.Fetch(interp.NewString(loadPath)); err == nil {
			dirs, err := v.Str()
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", loadPath, err)
			}
			for _, d := range filepath.SplitList(dirs) {
				places = append(places, filepath.Join(d, name))
			}
		}
	}
	for _, at := range places {
		for _, suffix := range []string{"", ".rpcl"} {
			f, openErr := open(at + suffix)
			if !errors.Is(openErr, fs.ErrNotExist) {
				return f, at + suffix, openErr
			}
			if err == nil {
				err = openErr // of the name as it was given
			}
		}
	}
	for _, suffix := range []string{"", ".rpcl"} {
		if f, err := lib.Files.Open(name + suffix); err == nil {
			return f, name + suffix, nil
		}
	}
	return nil, "", err
}

// loadable returns the names that complete prefix: files in the directory of the prefix, and, for
// a prefix without /, those that load finds elsewhere.
func loadable(d *interp.Dict, prefix string) []string {
	const most = 1000 // more names than anybody reads
	dir, base := filepath.Split(prefix)
	var names []string
	add := func(where, before, suffix string) {
		f, err := os.OpenFile(where, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return
		}
		defer f.Close()
		entries, _ := f.ReadDir(most)
		for _, e := range entries {
			name := e.Name()
			hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".")
			if !strings.HasPrefix(name, base) || hidden || name != interp.Printable(name) || strings.ContainsAny(name, "\"\\") {
				continue
			}
			if info, err := os.Stat(filepath.Join(where, name)); err == nil && info.IsDir() {
				name += "/"
			} else if !strings.HasSuffix(name, suffix) {
				continue
			}
			names = append(names, before+name)
		}
	}
	add(cmp.Or(dir, "."), dir, "")
	if dir != "" {
		return names
	}
	if v, ok := d.Value(loadPath); ok {
		if dirs, err := v.Str(); err == nil {
			for _, where := range filepath.SplitList(dirs) {
				add(where, "", ".rpcl")
			}
		}
	}
	files, _ := fs.Glob(lib.Files, "*.rpcl")
	for _, name := range files {
		if name = strings.TrimSuffix(name, ".rpcl"); strings.HasPrefix(name, base) {
			names = append(names, name)
		}
	}
	return names
}

// open opens a regular file.
func open(name string) (fs.File, error) {
	// A pipe or device could make the session wait for ever, in open or later.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, interp.FileError(err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() && name != os.DevNull {
		f.Close()
		return nil, fmt.Errorf("%s is no regular file", interp.Quote(name))
	}
	return f, nil
}

// listLibrary prints the name of each file and the sentence in its first line.
func listLibrary(s *interp.Session) error {
	return library(func(name, about string) { list(s, name, about) })
}

// library calls show for each file of the library, with its name and the sentence in its first
// line.
func library(show func(name, about string)) error {
	files, err := fs.Glob(lib.Files, "*.rpcl")
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := fs.ReadFile(lib.Files, name)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		show(name, strings.TrimLeft(first, "# "))
	}
	return nil
}

func bye(s *interp.Session) error { return s.Leave() }
