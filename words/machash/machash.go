// SPDX-License-Identifier: BSD-3-Clause

// Package machash makes the words of a set of addresses in a policy: `tap.hash.*`,
// `pqueue.hash.*`, `drop.hash.*` and `fault.hash.*` are the same words on different sets. It
// does not know what a set is for, nor who carries out the policy.
package machash

import (
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/lib/oui"
	"ethertap/words/report"
)

// Policy is a policy that words read and change, as dataplane.Engine has it.
type Policy interface {
	Policy() policy.Policy
	Update(func(*policy.Policy) error) error // changes all or, on an error, nothing
}

// Set is a set of addresses in a policy.
type Set struct {
	Policy Policy
	From   report.Source
	Prefix string                            // of the words: "tap.hash"
	Name   string                            // in their help: "TAP"
	Of     func(*policy.Policy) *policy.MACs // finds the set

	// Where several things have such a set each, OfKey is set and not Of: it finds the set by
	// a name, which the words take from the top of the stack. The examples begin with Example
	// and give Key as the name.
	OfKey        func(*policy.Policy, string) (*policy.MACs, error)
	Key, Example string
}

// Words returns the words of the set.
func (h Set) Words() []interp.Word {
	const mac = "00:23:7d:86:71:ff "
	one, none := "( mac - )", "( - )"
	if h.OfKey != nil {
		one, none = "( mac name - )", "( name - )"
	}
	return append([]interp.Word{
		{Name: h.Prefix + ".insert", Stack: one, Help: "add specific MAC address to " + h.Name, Example: h.Example + mac + h.Key + h.Prefix + ".insert", Func: h.change(policy.MACs.With)},
		{Name: h.Prefix + ".delete", Stack: one, Help: "remove specific MAC address from " + h.Name, Example: h.Example + mac + h.Key + h.Prefix + ".delete", Func: h.change(policy.MACs.Without)},
		{Name: h.Prefix + ".reset", Stack: none, Help: "reset " + h.Name + " machash to 0 elements", Example: h.Example + h.Key + h.Prefix + ".reset", Func: h.reset},
	}, report.Pair[addresses]{Name: h.Prefix + ".show", Stack: none, Help: "show " + h.Name + " machash", Example: h.Example + h.Key + h.Prefix + ".show", Get: h.addresses, Text: show}.Words(h.From)...)
}

// addresses is the content of a set, in the order of insertion.
type addresses struct {
	Addresses []Address `json:"addresses"`
}

// Address is a MAC address and the vendor of its network card, "" if that is not known.
type Address struct {
	MAC    policy.MAC `json:"mac"`
	Vendor string     `json:"vendor"`
}

// Described returns the addresses of a set with their vendors; it is never nil.
func Described(set policy.MACs) []Address {
	list := []Address{}
	for _, m := range set.All() {
		list = append(list, Address{m, oui.Describe(m)})
	}
	return list
}

// String returns `00:23:7d:86:71:ff Hewlett Packard`, or the bare address if the vendor is not
// known.
func (a Address) String() string {
	if a.Vendor == "" {
		return a.MAC.String()
	}
	return a.MAC.String() + " " + a.Vendor
}

// find takes the name from the stack, if the words need one, and returns a function that
// finds the set in a policy.
func (h Set) find(s *interp.Session) (func(*policy.Policy) (*policy.MACs, error), error) {
	if h.OfKey == nil {
		return func(p *policy.Policy) (*policy.MACs, error) { return h.Of(p), nil }, nil
	}
	name, err := s.PopString()
	return func(p *policy.Policy) (*policy.MACs, error) { return h.OfKey(p, name) }, err
}

// change makes the function of a word that changes the set by one address.
func (h Set) change(by func(policy.MACs, ...policy.MAC) policy.MACs) func(*interp.Session) error {
	return func(s *interp.Session) error {
		find, err := h.find(s)
		if err != nil {
			return err
		}
		mac, err := s.PopMAC()
		if err != nil {
			return err
		}
		return h.update(find, func(set policy.MACs) policy.MACs { return by(set, mac) })
	}
}

// update replaces the set that find finds by what by makes of it.
func (h Set) update(find func(*policy.Policy) (*policy.MACs, error), by func(policy.MACs) policy.MACs) error {
	return h.Policy.Update(func(p *policy.Policy) error {
		set, err := find(p)
		if err == nil {
			*set = by(*set)
		}
		return err
	})
}

func (h Set) reset(s *interp.Session) error {
	find, err := h.find(s)
	if err != nil {
		return err
	}
	return h.update(find, func(policy.MACs) policy.MACs { return "" })
}

func (h Set) addresses(s *interp.Session) (v addresses, err error) {
	find, err := h.find(s)
	if err != nil {
		return v, err
	}
	now := h.Policy.Policy()
	set, err := find(&now)
	if err != nil {
		return v, err
	}
	v.Addresses = Described(*set)
	return v, nil
}

// show prints a line per address.
func show(s *interp.Session, v addresses) {
	for _, a := range v.Addresses {
		s.Print(a.String() + "\n")
	}
}
