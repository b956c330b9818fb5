package dataplane

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
// since they end with the process.
type record struct {
	Boot     string   `json:"boot"`      // id of the boot; settings of another are gone
	Netns    uint64   `json:"namespace"` // inode of the network namespace
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	MAC      string   `json:"mac"`
	Features []string `json:"switched_off"`
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

// note writes the record of features that are about to be switched off. The file
// it returns holds the lock; forget removes it. Without a run directory both do
// nothing.
func (p *port) note(dir string, features []string) (forget func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	boot, netns, err := here()
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(record{boot, netns, p.index, p.device, p.mac.String(), features})
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	f, err := os.CreateTemp(dir, ".offloads-*")
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	name := filepath.Join(dir, fmt.Sprintf("%s%d.%d%s", recordPrefix, netns, p.index, recordSuffix))
	// Locked before it has its name: nobody takes it for one of a dead process.
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record %s: %w", name, err), os.Remove(f.Name()), f.Close())
	}
	return func() {
		// What fails here is mended by the next start.
		_ = os.Remove(name)
		_ = f.Close()
	}, nil
}

// recover puts back what processes left behind that were killed, on interfaces of
// this network namespace.
func (e *Engine) recover(tool *ethtool) error {
	if e.config.RunDir == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(e.config.RunDir, recordPrefix+"*"+recordSuffix))
	if err != nil || len(names) == 0 {
		return err
	}
	boot, netns, err := here()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := e.recoverFrom(name, boot, netns, tool); err != nil && !errors.Is(err, fs.ErrNotExist) {
			e.config.Logf("record %s of what a killed process has changed: %v", name, err)
		}
	}
	return nil
}

func (e *Engine) recoverFrom(name, boot string, netns uint64, tool *ethtool) error {
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
	if r.Boot == boot && r.Netns != netns {
		return nil // for a start in that namespace
	}
	l, err := netlink.LinkByIndex(r.Index)
	if r.Boot != boot || err != nil || l.Attrs().Name != r.Name || l.Attrs().HardwareAddr.String() != r.MAC {
		return os.Remove(name) // the interface is gone, and its settings with it
	}
	// Nothing but what we switch off is switched on, whatever the file says.
	features := slices.DeleteFunc(r.Features, func(f string) bool { return !slices.Contains(falsifying, f) })
	if err := tool.setFeatures(r.Index, features, true); err != nil {
		return err
	}
	e.config.Logf("port %s: restored, since an earlier process was killed: %s", r.Name, strings.Join(features, " "))
	return os.Remove(name)
}
