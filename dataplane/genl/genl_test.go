// SPDX-License-Identifier: BSD-3-Clause

package genl

import (
	"errors"
	"os"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func TestFamily(t *testing.T) {
	if n, err := Family("nlctrl"); err != nil || n != nl.GENL_ID_CTRL {
		t.Errorf("nlctrl: %d, %v", n, err)
	}
	if n, err := Family(unix.ETHTOOL_GENL_NAME); err != nil || n < unix.NLMSG_MIN_TYPE {
		t.Errorf("ethtool: %d, %v", n, err)
	}
	if n, err := Family("no-such-family"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a family that is not there: %d, %v", n, err)
	}
}

// Answers and the errors of the kernel come through.
func TestAsk(t *testing.T) {
	family, err := Family(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		t.Fatal(err)
	}
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|int(nl.NLA_F_NESTED), nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated("lo"))
	replies, err := Ask(family, unix.ETHTOOL_MSG_FEATURES_GET, unix.ETHTOOL_GENL_VERSION, header)
	if err != nil || len(replies) != 1 || len(replies[0]) == 0 {
		t.Errorf("features of lo: %v, %v", replies, err)
	}
	nobody := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|int(nl.NLA_F_NESTED), nil)
	nobody.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated("no-such-link"))
	if _, err := Ask(family, unix.ETHTOOL_MSG_FEATURES_GET, unix.ETHTOOL_GENL_VERSION, nobody); !errors.Is(err, unix.ENODEV) {
		t.Errorf("features of nobody: %v", err)
	}
}

func TestSubscribe(t *testing.T) {
	f, err := Subscribe(unix.ETHTOOL_GENL_NAME, unix.ETHTOOL_MCGRP_MONITOR_NAME)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := f.Read(make([]byte, 100))
		for err == nil { // what somebody else changes meanwhile
			_, err = f.Read(make([]byte, 100))
		}
		ended <- err
	}()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed socket: %v", err)
	}
	if _, err := Subscribe(unix.ETHTOOL_GENL_NAME, "no-such-group"); err == nil {
		t.Error("a group that is not there")
	}
	if _, err := Subscribe("no-such-family", "monitor"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a family that is not there: %v", err)
	}
}
