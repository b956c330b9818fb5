package dataplane

import "ethertap/dataplane/nic"

// Privileged says which capabilities this process lacks to start the engine. Ports that are
// no network interfaces need none.
func (e *Engine) Privileged() error {
	if len(e.nics()) == 0 {
		return nil
	}
	return nic.Privileged(memoryFor(&e.config, max(e.config.Queues, 1), 4096))
}

// Mistakes says what of the interfaces and of what is asked of them would keep Start from
// working, each for itself. running says that the process that serves the interfaces now
// is to be replaced: then a program on one is no mistake.
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

// Check says why Start would refuse the interfaces, as far as that can be known
// without changing anything.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expectOursLocked(e.bypassed())
	return e.inspectLocked()
}

// bypassed says whether there is a bypass of an earlier process: a program on an interface may be
// its. Start finds out.
func (e *Engine) bypassed() bool { return e.config.BypassDir != "" && exists(e.config.BypassDir) }

// expectOursLocked says whether XDP programs on the interfaces are ours.
func (e *Engine) expectOursLocked(ours bool) {
	for _, p := range e.nics() {
		p.ExpectOurs(ours)
	}
}
