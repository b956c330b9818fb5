// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"strings"

	"ethertap/cmd/internal/rundir"
	"ethertap/interp"
	"ethertap/interp/console"
	"ethertap/words/core"
)

// serveSockets serves the prompt to control and, with a group, another one to its members: that has a
// dictionary of its own with the words that ask. closeAll ends both.
func (p *program) serveSockets(instance *rundir.Instance) (closeAll func(), err error) {
	var servers []*console.Server
	closeAll = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	serve := func(d *interp.Dict, path string, group int) error {
		listener, err := console.Listen(path, group)
		if err != nil {
			return err
		}
		server := console.NewServer(d, p.name, console.ServerOptions{Logf: p.logf})
		servers = append(servers, server)
		go func() {
			if err := server.Serve(listener); err != nil {
				p.logf("control: %v", err)
			}
		}()
		return nil
	}
	err = serve(p.dict, instance.SocketPath(), console.OwnGroup)
	if p.group != 0 && err == nil {
		var asking *interp.Dict
		if asking, err = p.askingDict(); err == nil {
			err = serve(asking, instance.AskPath(), p.group)
		}
	}
	if err != nil {
		closeAll()
		return nil, err
	}
	return closeAll, nil
}

// askingDict returns a dictionary of the words that ask. What its users define stays in it.
func (p *program) askingDict() (*interp.Dict, error) {
	var asking []interp.Set
	for _, s := range p.sets() {
		asking = append(asking, s.Asking("only root may do that; you may ask"))
	}
	d, err := interp.NewDict(asking...)
	if err == nil {
		err = core.Prelude(interp.NewSession(d, strings.NewReader(""), io.Discard, io.Discard))
	}
	if err != nil {
		return nil, fmt.Errorf("words that ask: %w", err)
	}
	return d, nil
}
