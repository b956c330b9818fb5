package dataplane

// Privileged says which capabilities this process lacks to start the engine.
func (e *Engine) Privileged() error {
	return checkPrivileges(memoryFor(&e.config, max(e.config.Queues, 1), 4096))
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
