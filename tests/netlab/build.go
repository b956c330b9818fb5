// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// builds are the binaries of this test process. Its tests share them, so they cannot belong to
// one test.
var builds struct {
	mu    sync.Mutex
	dir   string
	paths map[string]string // by package
}

// Build compiles one of our programs without cgo, such as "./cmd/ethertap" seen from the top of
// the module, and returns the path of the binary. Each is built once per test process; the
// directory is removed when that process ends. A machine without a compiler has the programs in
// the directory that ETHERTAP_PROGRAMS names.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	if dir := os.Getenv(programsVariable); dir != "" {
		path := filepath.Join(dir, filepath.Base(pkg))
		if _, err := os.Stat(path); err != nil {
			t.Skipf("needs %s, and this machine has no compiler", pkg)
		}
		return path
	}
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if path, ok := builds.paths[pkg]; ok {
		return path
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if builds.dir == "" {
		dir, err := temporaryDir()
		if err != nil {
			t.Fatalf("directory for binaries: %v", err)
		}
		builds.dir = dir
		builds.paths = make(map[string]string)
	}
	path := filepath.Join(builds.dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	builds.paths[pkg] = path
	return path
}

// moduleRoot returns the nearest directory upwards with a go.mod.
func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("module root: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("module root: no go.mod above %s", start)
		}
	}
}

// temporaryDir makes a directory that is removed when this process ends, however it ends: a shell
// waits for the end of a pipe that only we hold open, and removes it.
func temporaryDir() (string, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-build-", prefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	remover := exec.Command("/bin/sh", "-c", `trap "" HUP INT TERM; read -r _; rm -rf -- "$1"`, "sh", dir)
	remover.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	remover.Dir = "/"
	// We never close the pipe: the end of this process does.
	if _, err = remover.StdinPipe(); err == nil {
		err = remover.Start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("remover of %s: %w", dir, err)
	}
	go func() { _ = remover.Wait() }()
	return dir, nil
}
