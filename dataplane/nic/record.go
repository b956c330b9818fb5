// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// record lists the settings to restore on an interface if this process is killed. It is a file in
// the run directory, locked while the process lives. The kernel drops the lock when the process
// ends in whatever way, and the next start restores the settings in unlocked records. Promiscuous
// mode and the XDP program need no record, since they end with the process. If a bypass outlives
// the process, nothing is restored before the bypass is cleared.
type record struct {
	Boot     string   `json:"boot"`      // id of the boot; the settings of an earlier boot are gone
	Netns    uint64   `json:"namespace"` // inode of the network namespace
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	MAC      string   `json:"mac"`
	Features []string `json:"switched_off"`
	Promisc  bool     `json:"promiscuous,omitempty"` // a bypass has made the interface promiscuous
	Bypass   string   `json:"bypass,omitempty"`      // directory of the bypass, which is in force while the directory exists
	Down     bool     `json:"down,omitempty"`        // it was set down
	// Interrupts holds the settings before busy polling; nil: they were not changed.
	Interrupts *interrupts `json:"interrupts,omitempty"`
	// Stamps holds the settings before the device was made to stamp all frames; nil likewise.
	Stamps *stampSettings `json:"time_stamps,omitempty"`
}

const (
	recordPrefix = "offloads."
	recordSuffix = ".json"
)

// here returns the id of the boot and the inode of the network namespace of the calling thread.
func here() (boot string, netns uint64, err error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0, fmt.Errorf("boot id: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", 0, fmt.Errorf("network namespace: %w", err)
	}
	return strings.TrimSpace(string(b)), st.Ino, nil
}

// writeRecord replaces the record of the settings that are changed, or about to be changed, on the
// interface. The port holds its lock until closeRecord. Without a run directory it does nothing.
func (p *Port) writeRecord(bypass string) error {
	dir := p.options.RunDir
	if dir == "" {
		return nil
	}
	boot, netns, err := here()
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{boot, netns, p.index, p.device, p.mac.String(), p.switchedOff, p.promisc, bypass, p.takenDown, p.interrupts, p.stamps.before})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	f, err := os.CreateTemp(dir, ".offloads-*")
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	name := recordName(dir, netns, p.index)
	// It is locked before it gets its name, so nobody takes it for the record of a dead process.
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record %s: %w", name, err), os.Remove(f.Name()), f.Close())
	}
	p.closeRecord()
	p.recorded, p.record, p.bypass = name, f, bypass
	return nil
}

func recordName(dir string, netns uint64, index int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d.%d%s", recordPrefix, netns, index, recordSuffix))
}

// recordNames returns the file names of the records in a run directory.
func recordNames(dir string) ([]string, error) {
	return filepath.Glob(filepath.Join(dir, recordPrefix+"*"+recordSuffix))
}

// closeRecord leaves the record to the next start.
func (p *Port) closeRecord() {
	if p.record != nil {
		_ = p.record.Close()
		p.record = nil
	}
}

// removeRecord removes the record. If that fails, the next start removes it.
func (p *Port) removeRecord() {
	if p.record != nil {
		_ = os.Remove(p.recorded)
		p.closeRecord()
	}
}

// readRecord reads what an earlier process has changed on the interface.
func (p *Port) readRecord() {
	p.switchedOff, p.promisc, p.takenDown, p.interrupts, p.stamps.before = nil, false, false, nil, nil
	dir := p.options.RunDir
	_, netns, err := here()
	if dir == "" || err != nil {
		return
	}
	f, err := os.Open(recordName(dir, netns, p.index))
	if err != nil {
		return // nothing was changed
	}
	defer f.Close()
	var r record
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || json.NewDecoder(f).Decode(&r) != nil {
		return // its process lives, or it cannot be read
	}
	if r.Index != p.index || r.MAC != p.mac.String() && r.Name != p.device {
		return // another interface had the index before
	}
	p.switchedOff = slices.DeleteFunc(r.Features, func(f string) bool { return !slices.Contains(falsifying, f) })
	p.promisc, p.takenDown, p.interrupts, p.stamps.before = r.Promisc, r.Down, r.Interrupts, r.Stamps
}

// RestoreChanges restores the settings that killed processes have changed on interfaces of the
// network namespace of the calling thread. It reads the records in dir; "" means none. done is the
// number of records that were used up. A record that cannot be carried out is logged and is no
// error.
func RestoreChanges(dir string, logf func(string, ...any)) (done int, err error) {
	if dir == "" {
		return 0, nil
	}
	names, err := recordNames(dir)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	tool, err := newEthtool()
	if err != nil {
		return 0, err
	}
	boot, netns, err := here()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := restoreFrom(name, boot, netns, tool, logf); err != nil && !errors.Is(err, fs.ErrNotExist) {
			logf("record %s of a killed process: %v", name, err)
		}
	}
	left, err := recordNames(dir)
	return len(names) - len(left), err
}

// Records returns the names of the interfaces whose changes by a bypass, pinned in dir, were not
// restored, by the records in runDir. They may be in another network namespace.
func Records(runDir, dir string) (interfaces []string) {
	names, _ := recordNames(runDir)
	for _, name := range names {
		b, err := os.ReadFile(name)
		var r record
		if err == nil && json.Unmarshal(b, &r) == nil && dir != "" && r.Bypass == dir {
			interfaces = append(interfaces, r.Name)
		}
	}
	return interfaces
}

func restoreFrom(name, boot string, netns uint64, tool *ethtool, logf func(string, ...any)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // its process lives
	}
	var r record
	if err := json.NewDecoder(f).Decode(&r); err != nil {
		return errors.Join(fmt.Errorf("it is removed, since it cannot be read: %w", err), os.Remove(name))
	}
	if r.Boot == boot && (r.Netns != netns || r.Bypass != "" && exists(r.Bypass)) {
		return nil // a start in that namespace, or the end of the bypass, will do it
	}
	l, err := netlink.LinkByIndex(r.Index)
	if err == nil && r.Bypass != "" && l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached {
		return nil // the bypass is in force, though its file system is not mounted here
	}
	if r.Boot == boot && errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil // it may be in another namespace for a while, with the offloads that it had here
	}
	if r.Boot != boot || err != nil || !sameInterface(l.Attrs(), r.Index, r.Name, r.MAC) {
		return os.Remove(name) // the interface is gone, and its settings with it
	}
	// Only features that we switch off are switched on, whatever the file says.
	features := slices.DeleteFunc(r.Features, func(f string) bool { return !slices.Contains(falsifying, f) })
	if err := tool.setFeatures(r.Index, features, true); err != nil {
		return err
	}
	if r.Promisc {
		if err := netlink.SetPromiscOff(l); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
		features = append(features, "promiscuous mode")
	}
	if r.Down {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("it stays down: %w", err)
		}
		features = append(features, "link up")
	}
	if r.Interrupts != nil {
		if err := r.Interrupts.set(l.Attrs().Name, r.Index); err != nil {
			return err
		}
		features = append(features, "interrupts")
	}
	if r.Stamps != nil {
		if err := r.Stamps.set(r.Index); err != nil {
			return err
		}
		features = append(features, "settings of time stamps")
	}
	why := "since an earlier process was killed"
	if r.Bypass != "" {
		why = "since the bypass has ended"
	}
	logf("port %s: restored, %s: %s", l.Attrs().Name, why, strings.Join(features, " "))
	return os.Remove(name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
