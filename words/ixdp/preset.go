// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"fmt"
	"slices"
	"strings"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/lib"
)

// presetPrefix begins the names of the words that set a preset.
const presetPrefix = "fault.preset."

// preset sets the faults of an interface as a compound word says, and shows them. If the word fails,
// the settings are as before.
func (w words) preset(s *interp.Session) error {
	inputs := [2]interp.Value{s.Peek(1), s.Peek(0)}
	name, i, err := w.popNamed(s)
	if err != nil {
		return err
	}
	for _, v := range inputs { // they stay on the stack, which is as before if the source fails that runs now
		if err := s.Push(v); err != nil {
			return err
		}
	}
	word, err := presetWord(s, name)
	if err != nil {
		return err
	}
	depth := s.Depth()
	before := w.engine.Policy().Ports[i].Fault
	if err := w.put(i, policy.Fault{Enabled: before.Enabled}); err != nil {
		return err
	}
	err = s.Push(interp.NewInt(int64(i)))
	if err == nil {
		err = s.Execute(interp.NewString(word))
	}
	if err == nil && s.Depth() != depth {
		err = fmt.Errorf("%s should leave nothing and take the interface", word)
	}
	if err != nil {
		if failed := w.put(i, before); failed != nil {
			return fmt.Errorf("%w; and the settings before are lost: %w", err, failed)
		}
		return err
	}
	for range inputs {
		if _, err := s.Pop(); err != nil {
			return err
		}
	}
	v, err := w.faults(s)
	if err == nil {
		v.Interfaces = v.Interfaces[i : i+1]
		showFaults(s, v)
	}
	return err
}

// put replaces the faults of an interface.
func (w words) put(i int, f policy.Fault) error {
	return w.engine.Update(func(p *policy.Policy) error { p.Ports[i].Fault = f; return nil })
}

// presetWord returns the name of the word of a preset. It loads the presets of the library if there is
// no such word yet.
func presetWord(s *interp.Session, name string) (string, error) {
	word := presetPrefix + name
	if !slices.Contains(s.Dict().Compounds(), word) {
		f, err := lib.Files.Open(lib.Presets)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if err := s.Load(lib.Presets, f); err != nil {
			return "", err
		}
	}
	var known []string
	for _, compound := range s.Dict().Compounds() {
		if compound == word {
			return word, nil
		}
		if of, ok := strings.CutPrefix(compound, presetPrefix); ok {
			known = append(known, of)
		}
	}
	return "", fmt.Errorf("there is no preset %s, only %s; define one as : %s ( interface - ) … ;", interp.Quote(name), strings.Join(known, ", "), presetPrefix+"NAME")
}
