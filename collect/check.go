// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Check returns the error with which Create would fail, as far as that can be known without
// making a file.
func Check(path string, o Options) error {
	if err := namesFile(path); err != nil {
		return err
	}
	path = zstdName(path, o)
	if set := o.Rotate.Any(); set || strings.Contains(path, "%") {
		if _, err := newPattern(path, set); err != nil {
			return err
		}
		first, _, _ := strings.Cut(path, "%") // directories with conversions in their names are made
		dir := filepath.Dir(first + "x")
		if err := checkWritable(dir); err != nil {
			return err
		}
		if err := unix.Access(dir, unix.R_OK); err != nil { // the files of earlier runs are looked for
			return &fs.PathError{Op: "open", Path: dir, Err: err}
		}
		return nil
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkWritable(filepath.Dir(path))
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("%s: is a directory", path)
	case unix.Access(path, unix.W_OK) != nil:
		return fmt.Errorf("%s: %w", path, fs.ErrPermission)
	case st.Mode().IsRegular():
		return checkNoWriter(path)
	}
	return nil
}

// checkNoWriter returns a BusyError if somebody writes the file now.
func checkNoWriter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // without the right to read, its lock cannot be checked
	}
	defer f.Close()
	if errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return busy(f, path)
	}
	return nil
}

// checkWritable returns an error if no file can be made in a directory.
func checkWritable(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s: not a directory", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write in", Path: dir, Err: err}
	}
	return nil
}
