// SPDX-License-Identifier: BSD-3-Clause

package rundir

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	// logDir is the default directory of logs.
	logDir     = "/var/log/ethertap"
	logDirMode = 0o700 // recordings may be there too
)

// LogPath returns the default log file of an instance: in /var/log/ethertap, or in the run
// directory if Env moved that, or with the state of a user who is not root. It makes the
// directory if it is missing.
func LogPath(program, name string) (string, error) {
	file := baseName(program, name) + ".log"
	dir := logDir
	switch state, home := os.Getenv("XDG_STATE_HOME"), os.Getenv("HOME"); {
	case os.Getenv(Env) != "":
		dir, err := prepare()
		return filepath.Join(dir, file), err
	case os.Geteuid() == 0:
	case state != "":
		dir = filepath.Join(state, "ethertap")
	case home != "":
		dir = filepath.Join(home, ".local", "state", "ethertap")
	}
	if err := os.MkdirAll(dir, logDirMode); err != nil {
		return "", fmt.Errorf("log: %w; name another with --log", err)
	}
	return filepath.Join(dir, file), nil
}
