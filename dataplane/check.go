// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import "ethertap/dataplane/nic"

// Privileged returns an error that names the capabilities which this process lacks to start the
// engine, or nil. Ports that are no network interfaces need none.
func (e *Engine) Privileged() error {
	if len(e.nics()) == 0 {
		return nil
	}
	return nic.Privileged(memoryFor(&e.config, max(e.config.Queues, 1), 4096))
}

// Mistakes returns everything about the interfaces and the configuration that would make Start
// fail, one error for each. running says that a process serves the interfaces now and will be
// replaced, so that its program on an interface is no mistake.
func (e *Engine) Mistakes(running bool) (all []error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.Privileged(); err != nil {
		return []error{err}
	}
	e.expectOursLocked(running || e.bypassed())
	for _, p := range e.ports {
		if err := p.Inspect(); err != nil {
			all = append(all, err)
		}
	}
	if len(all) > 0 {
		return all
	}
	if err := e.inspectLocked(); err != nil {
		all = append(all, err)
	}
	return all
}

// Check returns the error with which Start would refuse the interfaces, or nil, as far as that can
// be known without changing anything.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expectOursLocked(e.bypassed())
	return e.inspectLocked()
}

// bypassed says whether an earlier process has left something for a bypass. A program on an
// interface may belong to it; Start finds out.
func (e *Engine) bypassed() bool { return e.config.BypassDir != "" && exists(e.config.BypassDir) }

// expectOursLocked tells the network interfaces whether XDP programs on them are ours.
func (e *Engine) expectOursLocked(ours bool) {
	for _, p := range e.nics() {
		p.ExpectOurs(ours)
	}
}
