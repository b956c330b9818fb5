// SPDX-License-Identifier: BSD-3-Clause

// Package genl sends requests to the kernel by generic netlink (Linux documentation,
// userspace-api/netlink). It uses the requests of vishvananda/netlink, except for the header: its
// Genlmsg of two bytes sends four, whatever stands after it in memory, and the kernel requires
// zeros there.
package genl

import (
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Family returns the number that the kernel has given a family of commands; it is the same in all
// network namespaces. An error that is unix.ENOENT says that the kernel knows no family of that
// name.
func Family(name string) (uint16, error) {
	attrs, err := known(name)
	if err != nil {
		return 0, err
	}
	for _, a := range attrs {
		if a.Attr.Type&nl.NLA_TYPE_MASK == nl.GENL_CTRL_ATTR_FAMILY_ID && len(a.Value) == 2 {
			return nl.NativeEndian().Uint16(a.Value), nil
		}
	}
	return 0, fmt.Errorf("netlink family %s: the kernel's answer has no number", name)
}

// known returns the attributes of a family.
func known(name string) (attrs []syscall.NetlinkRouteAttr, err error) {
	replies, err := Ask(nl.GENL_ID_CTRL, nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION,
		nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(name)))
	if err == nil && len(replies) > 0 {
		attrs, err = nl.ParseRouteAttr(replies[0])
	}
	if err != nil {
		return nil, fmt.Errorf("netlink family %s: %w", name, err)
	}
	return attrs, nil
}

// Ask sends one command of a family in the network namespace of the calling thread, through a
// socket of its own, and returns the attributes of each answer. Errors are the kernel's.
func Ask(family uint16, command, version uint8, attrs ...*nl.RtAttr) (replies [][]byte, err error) {
	request := nl.NewNetlinkRequest(int(family), unix.NLM_F_ACK)
	header := []byte{command, version, 0, 0}
	for _, a := range attrs {
		header = append(header, a.Serialize()...)
	}
	request.AddRawData(header)
	messages, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if len(m) >= nl.SizeofGenlmsg {
			replies = append(replies, m[nl.SizeofGenlmsg:])
		}
	}
	return replies, nil
}

// Subscribe opens a socket that receives the messages that a family sends to one of its groups,
// in the network namespace of the calling thread. Close ends a Read that waits.
func Subscribe(family, group string) (*os.File, error) {
	id, err := groupID(family, group)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(id))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink group %s of %s: %w", group, family, err)
	}
	return os.NewFile(uintptr(fd), "netlink "+family), nil // nonblocking, so that Go polls it
}

// These are attributes of the groups of a family.
const (
	groupsAttr    = 7 // CTRL_ATTR_MCAST_GROUPS
	groupNameAttr = 1 // CTRL_ATTR_MCAST_GRP_NAME
	groupIDAttr   = 2 // CTRL_ATTR_MCAST_GRP_ID
)

// groupID returns the number that the kernel has given a group of a family.
func groupID(family, group string) (id uint32, err error) {
	attrs, err := known(family)
	if err != nil {
		return 0, err
	}
	for _, a := range attrs {
		if a.Attr.Type&nl.NLA_TYPE_MASK != groupsAttr {
			continue
		}
		groups, err := nl.ParseRouteAttr(a.Value)
		if err != nil {
			return 0, fmt.Errorf("netlink family %s: groups: %w", family, err)
		}
		for _, g := range groups {
			parts, err := nl.ParseRouteAttr(g.Value)
			if err != nil {
				return 0, fmt.Errorf("netlink family %s: groups: %w", family, err)
			}
			name := ""
			for _, p := range parts {
				switch {
				case p.Attr.Type&nl.NLA_TYPE_MASK == groupNameAttr:
					name = nl.BytesToString(p.Value)
				case p.Attr.Type&nl.NLA_TYPE_MASK == groupIDAttr && len(p.Value) == 4:
					id = nl.NativeEndian().Uint32(p.Value)
				}
			}
			if name == group && id != 0 {
				return id, nil
			}
		}
	}
	return 0, fmt.Errorf("netlink family %s has no group %s", family, group)
}
