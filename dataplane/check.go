package dataplane

// Privileged says which capabilities this process lacks to start the engine.
func (e *Engine) Privileged() error {
	return checkPrivileges(memoryFor(&e.config, max(e.config.Queues, 1), 4096))
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
	tool, err := newEthtool()
	if err != nil {
		return []error{err}
	}
	running = running || e.config.BypassDir != "" && exists(e.config.BypassDir)
	for _, p := range e.ports {
		if err := p.inspect(&e.config, e.ports, running, tool); err != nil {
			all = append(all, err)
		}
	}
	if len(all) > 0 {
		return all
	}
	if err := e.inspect(tool, running, func(string, ...any) {}); err != nil {
		all = append(all, err)
	}
	return all
}

// Check says why Start would refuse the interfaces, as far as that can be known
// without changing anything.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	// A program there may be ours: Start finds out.
	bypassed := e.config.BypassDir != "" && exists(e.config.BypassDir)
	return e.inspect(tool, bypassed, func(string, ...any) {})
}
