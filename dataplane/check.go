package dataplane

// Check says why Start would refuse the interfaces or the process, as far as that
// can be known without changing anything.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := checkPrivileges(memoryFor(&e.config, 4096)); err != nil {
		return err
	}
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	quiet := e.config
	quiet.Logf = func(string, ...any) {}
	for _, p := range e.ports {
		if err := p.inspect(&quiet, tool); err != nil {
			return err
		}
	}
	return nil
}
