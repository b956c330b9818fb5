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

// record is what has to be put back on an interface should this process be
// killed. It is a file of the run directory, locked as long as the process lives:
// the kernel drops the lock however it ends, and the next start puts back what
// records without one say. Promiscuous mode and the XDP program need no record,
// since they end with the process, unless a bypass is to outlive it: then nothing is
// put back before that is cleared.
type record struct {
	Boot     string   `json:"boot"`      // id of the boot; settings of another are gone
	Netns    uint64   `json:"namespace"` // inode of the network namespace
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	MAC      string   `json:"mac"`
	Features []string `json:"switched_off"`
	Promisc  bool     `json:"promiscuous,omitempty"` // made so for a bypass
	Bypass   string   `json:"bypass,omitempty"`      // where that is pinned: in force while it is there
	// Interrupts are the settings as they were before busy polling; nil: they are so still.
	Interrupts *interrupts `json:"interrupts,omitempty"`
}

const (
	recordPrefix = "offloads."
	recordSuffix = ".json"
)

// here says in which boot and which network namespace the calling thread is.
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

// writeRecord writes the record of what is changed, or about to be, on the port's interface,
// in the place of an earlier one. The port holds its lock until forget. Without a run
// directory it does nothing.
func (p *Port) writeRecord(bypass string) error {
	dir := p.options.RunDir
	if dir == "" {
		return nil
	}
	boot, netns, err := here()
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{boot, netns, p.index, p.device, p.mac.String(), p.switchedOff, p.promisc, bypass, p.interrupts})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	f, err := os.CreateTemp(dir, ".offloads-*")
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	name := recordName(dir, netns, p.index)
	// Locked before it has its name: nobody takes it for one of a dead process.
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

// recordNames returns the records of a run directory.
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

// removeRecord removes the record. What fails is mended by the next start.
func (p *Port) removeRecord() {
	if p.record != nil {
		_ = os.Remove(p.recorded)
		p.closeRecord()
	}
}

// readRecord learns from an earlier process' record what it changed on the interface.
func (p *Port) readRecord() {
	p.switchedOff, p.promisc, p.interrupts = nil, false, nil
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
		return // somebody's who lives, or nobody knows
	}
	if r.Index != p.index || r.MAC != p.mac.String() && r.Name != p.device {
		return // of an interface that had the index before
	}
	p.switchedOff = slices.DeleteFunc(r.Features, func(f string) bool { return !slices.Contains(falsifying, f) })
	p.promisc, p.interrupts = r.Promisc, r.Interrupts
}

// RestoreChanges puts back what processes left behind that were killed, on interfaces of the calling
// thread's network namespace, as the records in a directory say; "" is none. It returns how
// many records are used up.
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
			logf("record %s of what a killed process has changed: %v", name, err)
		}
	}
	left, err := recordNames(dir)
	return len(names) - len(left), err
}

// Records returns for which interfaces a directory says what a bypass pinned in dir has
// changed and nobody has put back: since they are in another network namespace, say.
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
		return errors.Join(fmt.Errorf("removed, it cannot be read: %w", err), os.Remove(name))
	}
	if r.Boot == boot && (r.Netns != netns || r.Bypass != "" && exists(r.Bypass)) {
		return nil // for a start in that namespace, or for the end of the bypass
	}
	l, err := netlink.LinkByIndex(r.Index)
	if err == nil && r.Bypass != "" && l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached {
		return nil // the bypass is in force, and its directory on a file system that is not mounted here
	}
	if r.Boot != boot || err != nil || !sameInterface(l.Attrs(), r.Index, r.Name, r.MAC) {
		return os.Remove(name) // the interface is gone, and its settings with it
	}
	// Nothing but what we switch off is switched on, whatever the file says.
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
	if r.Interrupts != nil {
		if err := r.Interrupts.set(l.Attrs().Name, r.Index); err != nil {
			return err
		}
		features = append(features, "interrupts")
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
