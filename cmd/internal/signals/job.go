// SPDX-License-Identifier: BSD-3-Clause

package signals

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Jobs makes a program at a terminal obey a shell's job control, from now to the end of the
// process: it calls suspend before SIGTSTP stops the process, and resume after SIGCONT.
func Jobs(suspend, resume func()) {
	tstp, cont := make(chan os.Signal, 1), make(chan os.Signal, 1)
	if !signal.Ignored(unix.SIGTSTP) {
		signal.Notify(tstp, unix.SIGTSTP)
	}
	signal.Notify(cont, unix.SIGCONT)
	go func() {
		for {
			select {
			case <-tstp:
				if orphaned() { // nobody would continue it: the kernel does not stop it either
					continue
				}
				suspend()
				stop()
				resume()
			case <-cont:
				resume()
			}
		}
	}()
}

// Resized calls f whenever the size of the terminal changes, from now to the end of the process.
func Resized(f func()) {
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, unix.SIGWINCH)
	go func() {
		for range winch {
			f()
		}
	}()
}

// KeepRunning keeps the terminal from stopping the process in the background, when it reads,
// writes or changes the mode. A read fails there.
func KeepRunning() { signal.Ignore(unix.SIGTTIN, unix.SIGTTOU) }

// stop stops the process and returns when it goes on. Package signal cannot restore the default
// action of SIGTSTP, so this is SIGSTOP. It is sent to the calling thread, so it takes effect
// before the call returns.
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// orphaned says whether the process group has no parent in its session that could continue it, as
// a shell does.
func orphaned() bool {
	group := unix.Getpgrp()
	session, err := unix.Getsid(0)
	if err != nil {
		return true
	}
	for pid := unix.Getppid(); pid > 1; {
		if of, err := unix.Getsid(pid); err != nil || of != session {
			return true
		}
		if of, err := unix.Getpgid(pid); err != nil || of != group {
			return err != nil
		}
		pid = parent(pid)
	}
	return true
}

// parent returns the parent of a process; 0 if it is not known.
func parent(pid int) (ppid int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	text := string(b)
	var state string
	fmt.Sscan(text[strings.LastIndexByte(text, ')')+1:], &state, &ppid) // the name may contain anything
	return ppid
}
