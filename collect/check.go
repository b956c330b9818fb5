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

// Check says why Create would not begin a stream, as far as that can be known without
// making a file.
func Check(path string, o Options) error {
	if err := namesFile(path); err != nil {
		return err
	}
	if o.Zstd && !strings.HasSuffix(path, ".zst") {
		path += ".zst"
	}
	if set := o.Rotate.Any(); set || strings.Contains(path, "%") {
		if _, err := newPattern(path, set); err != nil {
			return err
		}
		first, _, _ := strings.Cut(path, "%") // what has no name yet is made
		return writable(filepath.Dir(first + "x"))
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writable(filepath.Dir(path))
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("%s: is a directory", path)
	case unix.Access(path, unix.W_OK) != nil:
		return fmt.Errorf("%s: %w", path, fs.ErrPermission)
	case st.Mode().IsRegular():
		return written(path)
	}
	return nil
}

// written says who writes a file now.
func written(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // its lock cannot be asked for without the right to read
	}
	defer f.Close()
	if errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return busy(f, path)
	}
	return nil
}

// writable says why no file can be made in a directory.
func writable(dir string) error {
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
