// Package genl asks the kernel by generic netlink (Linux documentation, userspace-api/netlink).
// The requests of vishvananda/netlink serve for all but the header: its Genlmsg of two bytes
// sends four, whatever stands behind it in memory, and the kernel wants zeros there.
package genl

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Family returns the number that the kernel has given a family of commands, in whatever
// network namespace. An error that is unix.ENOENT says that it knows none of the name.
func Family(name string) (uint16, error) {
	replies, err := Ask(nl.GENL_ID_CTRL, nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION,
		nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(name)))
	if err != nil {
		return 0, fmt.Errorf("netlink family %s: %w", name, err)
	}
	for _, reply := range replies {
		attrs, err := nl.ParseRouteAttr(reply)
		if err != nil {
			return 0, fmt.Errorf("netlink family %s: %w", name, err)
		}
		for _, a := range attrs {
			if a.Attr.Type&nl.NLA_TYPE_MASK == nl.GENL_CTRL_ATTR_FAMILY_ID && len(a.Value) == 2 {
				return nl.NativeEndian().Uint16(a.Value), nil
			}
		}
	}
	return 0, fmt.Errorf("netlink family %s: the kernel's answer has no number", name)
}

// Ask sends one command of a family, in the network namespace of the calling thread, through a
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
