// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"ethertap/cmd/internal/systemd"
	"ethertap/interp"
)

// words returns the words of the program itself.
func (p *program) words() interp.Set {
	return interp.Set{Name: "ethertap", Help: "the program", Prefixes: []string{"ethertap.", "log."}, Words: append([]interp.Word{
		{
			Name: "ethertap.reload", Stack: "( - )",
			Help: "load the configuration again; what it does not mention stays as it is", Example: "ethertap.reload",
			Func: func(s *interp.Session) error { return p.reload(s) },
		},
		p.liveWord(),
	}, p.logWords()...)}
}

// loading returns the line that loads the configuration. The default file may be missing.
func (p *program) loading() (string, error) {
	if p.config == "" {
		return fmt.Sprintf("%s load-if-present", interp.Quote(defaultConfig)), nil
	}
	if _, err := os.Stat(p.config); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--config %s: no such file", p.config)
	}
	return fmt.Sprintf("%s load", interp.Quote(p.config)), nil
}

// reload loads the configuration in s. The service manager is told, so that it can wait for the
// end.
func (p *program) reload(s *interp.Session) error {
	p.notify(systemd.Reloading())
	defer p.notify(systemd.Ready)
	line, err := p.loading()
	if err != nil {
		return err
	}
	return s.Load("reload", strings.NewReader(line))
}

// hangup loads the configuration on SIGHUP. Errors are logged, and the program goes on as it is.
// A log that was moved away is begun anew without it.
func (p *program) hangup() {
	if !p.reloading.CompareAndSwap(nil, interp.NewSession(p.dict, strings.NewReader(""), p.console.Log(), p.console.Log())) {
		p.logf("reload: the configuration is being loaded already")
		return
	}
	go func() { // a configuration that loops must not block signals or the prompt
		defer p.reloading.Store(nil)
		s := p.reloading.Load()
		if err := p.reload(s); err != nil {
			p.logf("reload: %v", err)
			return
		}
		s.Flush()
		p.logf("configuration loaded again")
	}()
}

// notify tells a service manager the state. An error is logged and does not end the program.
func (p *program) notify(state string) {
	if err := systemd.Notify(state); err != nil {
		p.logf("%v", err)
	}
}
