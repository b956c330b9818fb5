// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
)

const usage = `usage: control [options] ethertap               prompt of a running ethertap
       control [options] ethertap < script      run a script in it
       control [options] ethertap|collect status|stop|restart
       control [options] ethertap reload        load the configuration again
       control [options] ethertap live          rates, senders and events on the screen
       control [options] collect rotate         begin the next file
       options:
       -e|--eval <line>      run the line and exit (repeatable)
          --name <name>      instance, by its name or PID
          --all              all instances (stop, restart, reload, rotate)
          --timeout <secs>   wait so long for a shutdown (default 20)
          --kill             kill what has not ended by then
       -h|--help             show usage
       -v|--version          show version
       -c|--copyright        show copyright
`

// action is what to do with the instances.
type action string

const (
	attach  action = "attach" // no action is given
	status  action = "status"
	stop    action = "stop"
	restart action = "restart"
	reload  action = "reload"
	rotate  action = "rotate"
	watch   action = "live"
)

// actions are the actions of each program.
var actions = map[string][]action{
	"ethertap": {status, stop, restart, reload, watch},
	"collect":  {status, stop, restart, rotate},
}

// options is a parsed command line.
type options struct {
	info *about.Info // the question about the program itself, if any

	program string // "ethertap" or "collect"
	action  action
	lines   []string // of -e
	name    string   // of the instance, or its PID; "" means any
	all     bool
	timeout time.Duration
	kill    bool // an instance that has not ended in time
}

// flags returns the set of options.
func flags(o *options, seconds *int) *pflag.FlagSet {
	f := pflag.NewFlagSet("control", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringArrayVarP(&o.lines, "eval", "e", nil, "")
	f.StringVar(&o.name, "name", "", "")
	f.BoolVar(&o.all, "all", false, "")
	f.IntVar(seconds, "timeout", 20, "")
	f.BoolVar(&o.kill, "kill", false, "")
	o.info = about.Flags(f)
	return f
}

// parse reads a command line; its errors mean wrong usage.
func parse(args []string) (options, error) {
	o := options{action: attach}
	var seconds int
	f := flags(&o, &seconds)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.info.Asked() {
		return o, nil
	}
	const longest = 24 * 60 * 60
	if seconds < 0 || seconds > longest {
		return o, fmt.Errorf("--timeout %d: 0 to %d seconds", seconds, longest)
	}
	o.timeout = time.Duration(seconds) * time.Second

	words := f.Args()
	if len(words) == 0 {
		return o, errors.New("no program named (ethertap or collect)")
	}
	if len(words) > 2 {
		return o, fmt.Errorf("%s: one argument too many", words[2])
	}
	o.program = words[0]
	if o.program != "ethertap" && o.program != "collect" {
		return o, fmt.Errorf("%s: no such program (ethertap or collect)", o.program)
	}
	if len(words) == 2 {
		o.action = action(words[1])
		if !slices.Contains(actions[o.program], o.action) {
			return o, fmt.Errorf("%s: no such action (%s)", words[1], listed(o.program))
		}
	}
	return o, o.consistent(f.Changed("eval"), f.Changed("name"))
}

// consistent refuses options that make no sense together.
func (o options) consistent(eval, named bool) error {
	switch {
	case o.program == "collect" && o.action == attach:
		return fmt.Errorf("collect has no prompt: %s", listed(o.program))
	case eval && o.action != attach:
		return fmt.Errorf("--eval does not go with %s", o.action)
	case named && o.name == "":
		return errors.New("--name is empty")
	case o.all && (o.action == attach || o.action == status || o.action == watch):
		return errors.New("--all goes with stop, restart, reload and rotate")
	case o.kill && o.action != stop && o.action != restart:
		return errors.New("--kill goes with stop and restart")
	case o.all && named:
		return errors.New("--all does not go with --name")
	}
	return nil
}

// listed names the actions of a program.
func listed(program string) string {
	var names []string
	for _, a := range actions[program] {
		names = append(names, string(a))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
