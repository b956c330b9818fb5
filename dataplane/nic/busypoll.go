// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// interrupts are the settings of an interface by which the kernel leaves its interrupts off while
// somebody polls it: the number of empty polls before they are on again, and the time in
// nanoseconds.
type interrupts struct {
	Defer   uint64 `json:"napi_defer_hard_irqs"`
	Timeout uint64 `json:"gro_flush_timeout"`
}

// deferred are the settings for busy polling, as Documentation/networking/napi.rst recommends them.
// The time must be longer than a thread needs for a full batch.
var deferred = interrupts{Defer: 2, Timeout: 200_000}

// Unpollable says why busy polling cannot do the work of the interface's driver, as last seen; "" if
// it can. The sender of a frame does the work of an interface that is software.
func (p *Port) Unpollable() string {
	if !p.onBus {
		return fmt.Sprintf("the driver (%s) has no interrupts to leave off", p.driver)
	}
	return ""
}

// DeferInterrupts leaves the interrupts of the interface off while its queues are polled, or
// restores the settings. The record has the former settings, in case this process is killed.
func (p *Port) DeferInterrupts(on bool) error {
	if !on {
		before := p.interrupts
		if before == nil {
			return nil
		}
		p.interrupts = nil
		return errors.Join(before.set(p.device, p.index), p.keepRecord())
	}
	if p.interrupts == nil {
		before, err := interruptsOf(p.device, p.index)
		if err != nil {
			return err
		}
		p.interrupts = &before
	}
	if err := p.keepRecord(); err != nil {
		p.logf("port %s: the settings of its interrupts will not be restored if this process is killed: %v", p.name, err)
	}
	return deferred.set(p.device, p.index)
}

// isChanged says whether a setting of the interface is to be restored.
func (p *Port) isChanged() bool {
	return p.interrupts != nil || len(p.switchedOff) > 0 || p.promisc || p.takenDown || p.stamps.before != nil
}

// keepRecord writes the record again, or removes it if no setting is changed any more.
func (p *Port) keepRecord() error {
	if !p.isChanged() {
		p.removeRecord()
		return nil
	}
	return p.writeRecord(p.bypass)
}

func interruptsOf(device string, index int) (i interrupts, err error) {
	dir, err := sysfsOf(device, index)
	if err != nil {
		return i, err
	}
	for name, v := range i.files() {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return i, fmt.Errorf("busy polling: this kernel cannot leave interrupts off: %w", err)
		}
		if *v, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
			return i, fmt.Errorf("busy polling: %s: %w", name, err)
		}
	}
	return i, nil
}

func (i *interrupts) set(device string, index int) error {
	dir, err := sysfsOf(device, index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the interface is gone, and its settings with it
	} else if err != nil {
		return err
	}
	for name, v := range i.files() {
		if err := os.WriteFile(filepath.Join(dir, name), strconv.AppendUint(nil, *v, 10), 0); err != nil {
			return fmt.Errorf("busy polling: %w", err)
		}
	}
	return nil
}

// files returns the settings by their names in sysfs.
func (i *interrupts) files() map[string]*uint64 {
	return map[string]*uint64{"napi_defer_hard_irqs": &i.Defer, "gro_flush_timeout": &i.Timeout}
}

// sysfsOf returns the directory of an interface in sysfs. It fails if sysfs shows another network
// namespace than that of the calling thread.
func sysfsOf(device string, index int) (string, error) {
	dir := filepath.Join("/sys/class/net", device)
	b, err := os.ReadFile(filepath.Join(dir, "ifindex"))
	if err != nil {
		return "", fmt.Errorf("busy polling: %w", err)
	}
	if strings.TrimSpace(string(b)) != strconv.Itoa(index) {
		return "", fmt.Errorf("busy polling: /sys shows another network namespace than that of %s", device)
	}
	return dir, nil
}
