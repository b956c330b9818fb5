// Package machash makes the words of one set of addresses in the dataplane's
// policy: `tap.hash.*`, `drop.hash.*` and `fault.hash.*` are the same four words on
// three sets. It knows which set it is given and not what it is for.
package machash

import (
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/oui"
)

// Set is a set of addresses in the policy of an engine.
type Set struct {
	Engine *dataplane.Engine
	Prefix string                                      // of the words: "tap.hash"
	Name   string                                      // in their help: "TAP"
	Of     func(*dataplane.Policy) **dataplane.MACHash // where it is
}

// Words returns the words of a set.
func (h Set) Words() []interp.Word {
	const mac = "00:23:7d:86:71:ff "
	return []interp.Word{
		{Name: h.Prefix + ".insert", Stack: "( mac - )", Help: "add specific MAC address to " + h.Name, Example: mac + h.Prefix + ".insert", Func: h.change((*dataplane.MACHash).With)},
		{Name: h.Prefix + ".delete", Stack: "( mac - )", Help: "remove specific MAC address from " + h.Name, Example: mac + h.Prefix + ".delete", Func: h.change((*dataplane.MACHash).Without)},
		{Name: h.Prefix + ".reset", Stack: "( - )", Help: "reset " + h.Name + " machash to 0 elements", Example: h.Prefix + ".reset", Func: h.reset},
		{Name: h.Prefix + ".show", Stack: "( - )", Help: "show " + h.Name + " machash", Example: h.Prefix + ".show", Func: h.show},
	}
}

// change makes the function of a word that changes the set by one address.
func (h Set) change(by func(*dataplane.MACHash, ...dataplane.MAC) *dataplane.MACHash) func(*interp.Session) error {
	return func(s *interp.Session) error {
		mac, err := s.PopMAC()
		if err != nil {
			return err
		}
		return h.Engine.Update(func(p *dataplane.Policy) error {
			set := h.Of(p)
			*set = by(*set, mac)
			return nil
		})
	}
}

func (h Set) reset(*interp.Session) error {
	return h.Engine.Update(func(p *dataplane.Policy) error {
		*h.Of(p) = nil
		return nil
	})
}

// show prints a line per address, in the order of insertion, with its vendor.
func (h Set) show(s *interp.Session) error {
	policy := h.Engine.Policy()
	for _, m := range (*h.Of(&policy)).All() {
		s.Print(Named(m) + "\n")
	}
	return nil
}

// Named is an address with who makes its card, or the bare address if nobody
// knows: `00:23:7d:86:71:ff Hewlett Packard`.
func Named(m dataplane.MAC) string {
	if vendor := oui.Describe(m); vendor != "" {
		return m.String() + " " + vendor
	}
	return m.String()
}
