// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkPeer accepts root, the user of this process, and members of the socket's group. The mode
// of the socket says the same; this check holds even if somebody has changed it.
func checkPeer(nc *net.UnixConn) error {
	rc, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	cerr := rc.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if cerr != nil {
		return cerr
	}
	if err != nil {
		return fmt.Errorf("peer credentials: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(nc.LocalAddr().String(), &st); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	return allowed(cred, os.Geteuid(), st.Gid, supplementary)
}

// allowed decides about a peer; groups returns the supplementary groups of a process.
func allowed(cred *unix.Ucred, euid int, gid uint32, groups func(pid int32) []uint32) error {
	if cred.Uid == 0 || int(cred.Uid) == euid || cred.Gid == gid {
		return nil
	}
	if slices.Contains(groups(cred.Pid), gid) {
		return nil
	}
	return fmt.Errorf("user %d (PID %d) is neither root nor in group %d", cred.Uid, cred.Pid, gid)
}

// supplementary reads the groups of a process from /proc. SO_PEERGROUPS would give those at the
// time of the connect, but x/sys/unix has no call for it.
func supplementary(pid int32) []uint32 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	var gids []uint32
	for sc := bufio.NewScanner(f); sc.Scan(); {
		list, ok := strings.CutPrefix(sc.Text(), "Groups:")
		if !ok {
			continue
		}
		for _, w := range strings.Fields(list) {
			if g, err := strconv.ParseUint(w, 10, 32); err == nil {
				gids = append(gids, uint32(g))
			}
		}
	}
	return gids
}
