// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/genl"
	"ethertap/dataplane/stamp"
)

// StampMode says where the time stamps of received frames come from.
type StampMode uint8

// StampsSoftware stamps frames when a program first sees them.
const (
	StampsSoftware StampMode = iota
	StampsHardware           // the device stamps them, or the interface cannot be served
	StampsAuto               // the device stamps them if it can, and the fast path does not suffer
)

var stampNames = [...]string{"software", "hardware", "auto"}

func (m StampMode) String() string { return stampNames[m] }

// ParseStampMode returns the mode with a name. Names that no mode has are an error.
func ParseStampMode(name string) (StampMode, error) {
	if i := slices.Index(stampNames[:], name); i >= 0 {
		return StampMode(i), nil
	}
	return 0, errors.New("time stamps are hardware, software or auto")
}

// stamps is what a port has for the time stamps of its device.
type stamps struct {
	source stamp.Source  // the programs get them from there
	device *stamp.Device // the clock; nil if the device has none
	clock  *stamp.Clock  // how it is related to the wall clock; nil: the frames have no stamps
	before *stampSettings
	failed string // why the clock could not be compared, as last logged
}

// stampSettings are the settings of a device about its time stamps.
type stampSettings struct {
	Flags  int32 `json:"flags"`
	TX     int32 `json:"tx_type"`
	Filter int32 `json:"rx_filter"` // which received frames are stamped
}

// SetStampMode sets the mode of all ports that share their options, from the next start on, or from
// Restamp on.
func (p *Port) SetStampMode(m StampMode) { p.options.Stamps = m }

// StampSource returns where the programs of the interface get its time stamps from.
func (p *Port) StampSource() stamp.Source { return p.stamps.source }

// ExpectStamps returns what StampSource will probably return after a start, for the interface with
// this index.
func (p *Port) ExpectStamps(index int, generic bool) (s stamp.Source) {
	if p.options.Stamps == StampsSoftware {
		return s
	}
	l, err := netlink.LinkByIndex(index)
	if err == nil && p.stampsLack(index, l.Attrs().Name, generic) == "" {
		s = p.sourceOf(index)
	}
	return s
}

func (p *Port) sourceOf(index int) stamp.Source {
	if p.options.StampClock != nil {
		return stamp.Source{Clock: p.options.StampClock}
	}
	return stamp.Source{Device: index}
}

// chooseStamps decides where time stamps come from, and makes the device stamp all frames if they
// come from there. why says why not. It is an error if the mode requires the device.
func (p *Port) chooseStamps() (why string, err error) {
	if p.options.Stamps == StampsSoftware {
		return "", nil
	}
	why = p.stampsLack(p.index, p.device, p.generic)
	if why == "" {
		if err := p.stampAll(); err != nil {
			p.dropStamps()
			why = err.Error()
		}
	}
	if why != "" && p.options.Stamps == StampsHardware {
		return why, p.noStamps(why)
	}
	return why, nil
}

// noStamps returns the error for an interface without the time stamps that the mode requires.
func (p *Port) noStamps(why string) error {
	return fmt.Errorf("port %s: no hardware time stamps: %s", p.name, why)
}

// sayStamps logs which time stamps are used, if the mode leaves that open.
func (p *Port) sayStamps(why string) {
	switch {
	case p.options.Stamps == StampsSoftware:
	case p.stamps.clock == nil:
		p.logf("port %s: time stamps are the program's: %s", p.name, why)
	case p.stamps.device != nil:
		p.logf("port %s: time stamps are the device's, converted from its clock %s", p.name, p.stamps.device.Name)
	default:
		p.logf("port %s: time stamps are those that the sender's device has given, which count as times of the wall clock: the driver (%s) has no clock", p.name, p.driver)
	}
}

// Numbers of the kernel's netdev protocol (6.7 and later).
const (
	netdevMetadata  = 5
	netdevTimestamp = 1 << 0 // NETDEV_XDP_RX_METADATA_TIMESTAMP
)

// stampsLack says why programs on an interface get no time stamps; "" if they do, as far as can be
// seen without a change.
func (p *Port) stampsLack(index int, device string, generic bool) string {
	switch {
	case p.options.StampClock != nil:
		return ""
	case generic:
		return "generic XDP gives none"
	}
	if err := stamp.Supported(); err != nil {
		return err.Error()
	}
	driver, _ := driver(device)
	features, err := metadata(index)
	switch {
	case err != nil:
		return err.Error()
	case features&netdevTimestamp == 0:
		return fmt.Sprintf("the driver (%s) gives XDP programs none", driver)
	case p.options.Stamps != StampsAuto:
		return ""
	case clockOf(device) < 0:
		return fmt.Sprintf("the driver (%s) has no clock", driver)
	}
	if err := stamp.Redirectable(index); err != nil {
		return fmt.Sprintf("on this kernel the fast path could not be used with the device's (Linux 6.15 and later can): %v", err)
	}
	return ""
}

// metadata returns what a driver can tell XDP programs of a frame, as flags of netdev.
func metadata(index int) (uint64, error) {
	const unknown = "this kernel does not say whether the driver has any (Linux 6.7 and later does)"
	family, err := genl.Family("netdev")
	if err != nil {
		return 0, errors.New(unknown)
	}
	attrs, err := request(family, netdevCommandGet, 1, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	if err != nil {
		return 0, err
	}
	v := attrs[netdevMetadata]
	if len(v) != 8 {
		return 0, errors.New(unknown)
	}
	return nl.NativeEndian().Uint64(v), nil
}

// onSocket calls fn with a socket for settings of interfaces.
func onSocket(fn func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	return errors.Join(fn(fd), unix.Close(fd))
}

// clockOf returns the number of the PTP hardware clock of an interface, or -1 if it has none.
func clockOf(device string) int {
	number := -1
	_ = onSocket(func(fd int) error {
		info, err := unix.IoctlGetEthtoolTsInfo(fd, device)
		if err == nil {
			number = int(info.Phc_index)
		}
		return err
	})
	return number
}

// stampAll makes the device stamp all received frames, and compares its clock with the wall clock.
// It keeps the former settings, also in the record.
func (p *Port) stampAll() error {
	if p.options.StampClock == nil {
		if number := clockOf(p.device); number >= 0 {
			if err := p.stampAllBy(number); err != nil {
				return err
			}
		}
	}
	p.stamps.source = p.sourceOf(p.index)
	p.stamps.clock = new(stamp.Clock)
	return p.compareClock()
}

func (p *Port) stampAllBy(number int) (err error) {
	if p.stamps.device, err = stamp.OpenDevice(number); err != nil {
		return fmt.Errorf("the clock of the device cannot be read: %w", err)
	}
	return onSocket(func(fd int) error {
		now, err := unix.IoctlGetHwTstamp(fd, p.device)
		if err != nil { // some drivers set it only
			now = &unix.HwTstampConfig{}
		}
		if now.Rx_filter == unix.HWTSTAMP_FILTER_ALL {
			return nil
		}
		if p.stamps.before == nil { // otherwise a killed process has changed them
			p.stamps.before = &stampSettings{now.Flags, now.Tx_type, now.Rx_filter}
		}
		if err := p.keepRecord(); err != nil {
			p.logf("port %s: the settings of its time stamps will not be restored if this process is killed: %v", p.name, err)
		}
		now.Rx_filter = unix.HWTSTAMP_FILTER_ALL
		if err := unix.IoctlSetHwTstamp(fd, p.device, now); err != nil {
			return fmt.Errorf("the driver (%s) does not stamp all frames: %w", p.driver, err)
		}
		if now.Rx_filter != unix.HWTSTAMP_FILTER_ALL { // the driver has chosen something else
			return fmt.Errorf("the driver (%s) stamps only some frames (filter %d of linux/net_tstamp.h)", p.driver, now.Rx_filter)
		}
		return nil
	})
}

// set restores the settings of an interface.
func (s *stampSettings) set(index int) error {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil // the interface is gone, and its settings with it
	}
	return onSocket(func(fd int) error {
		err := unix.IoctlSetHwTstamp(fd, l.Attrs().Name, &unix.HwTstampConfig{Flags: s.Flags, Tx_type: s.TX, Rx_filter: s.Filter})
		if err != nil && !errors.Is(err, unix.ENODEV) { // it has gone just now
			return fmt.Errorf("settings of time stamps: %w", err)
		}
		return nil
	})
}

// dropStamps ends the use of the device's stamps and restores its settings.
func (p *Port) dropStamps() {
	before := p.stamps.before
	err := p.stamps.device.Close()
	p.stamps = stamps{}
	if before != nil {
		err = errors.Join(err, before.set(p.index), p.keepRecord())
	}
	if err != nil {
		p.logf("port %s: %v", p.name, err)
	}
}

// CompareClock compares the clock of the device with the wall clock, if the frames have its stamps. It
// is to be called once a second.
func (p *Port) CompareClock() {
	err := p.compareClock()
	failed := ""
	if err != nil {
		if failed = err.Error(); failed != p.stamps.failed {
			p.logf("port %s: its clock cannot be compared with the wall clock any more: %v", p.name, err)
		}
	}
	p.stamps.failed = failed
}

func (p *Port) compareClock() error {
	if p.stamps.clock == nil || p.stamps.device == nil {
		return nil
	}
	c, err := p.stamps.device.Compare()
	if err == nil {
		p.stamps.clock = &c
	}
	return err
}

// Restamp carries out a change of the mode while the port is attached. It replaces the plain program
// on the interface. If the mode cannot be carried out, the interface has the stamps of the program,
// and the error says why.
func (p *Port) Restamp() error {
	p.dropStamps()
	why, refused := p.chooseStamps()
	fresh, err := p.newProgram(p.long, p.program.Sockets)
	if err != nil {
		return errors.Join(refused, err)
	}
	if err := p.SetProgram(fresh.Program); err != nil && !errors.Is(err, unix.ENOLINK) { // ENOLINK means that the interface is gone
		return errors.Join(refused, err, fresh.Close())
	}
	p.program.Program, fresh.Program = fresh.Program, p.program.Program
	if refused == nil {
		p.sayStamps(why)
	}
	return errors.Join(refused, fresh.Close())
}
