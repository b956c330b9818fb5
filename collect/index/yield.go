// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Yield gives the process the lowest priority, for CPU and disk: all threads that it has, and so
// those that they start. What the kernel refuses is left as it is.
func Yield() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		unix.Setpriority(unix.PRIO_PROCESS, tid, 19)
		unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 19}, 0)
		const ofProcess, idle = 1, 3 << 13
		unix.Syscall(unix.SYS_IOPRIO_SET, ofProcess, uintptr(tid), idle)
	}
}
