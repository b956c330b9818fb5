// Package tap is the word set that says what goes into the TAP queue: `tap.rx.*`,
// `tap.tx.*` and `tap.hash.*`. It translates between the VM and the dataplane's
// policy and holds nothing but a pointer to the engine.
package tap

import (
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/oui"
)

// Words returns the words that work on one engine.
func Words(e *dataplane.Engine) interp.Set {
	w := words{e}
	return interp.Set{
		Name:     "tap",
		Help:     "what goes into the TAP queue: by interface and direction, by MAC address",
		Prefixes: []string{"tap."},
		Words: []interp.Word{
			{Name: "tap.rx.enable", Stack: "( interface - )", Help: "enable RX TAP for interface", Example: "0 tap.rx.enable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapRX = true })},
			{Name: "tap.rx.disable", Stack: "( interface - )", Help: "disable RX TAP for interface", Example: "0 tap.rx.disable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapRX = false })},
			{Name: "tap.tx.enable", Stack: "( interface - )", Help: "enable TX TAP for interface", Example: "0 tap.tx.enable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapTX = true })},
			{Name: "tap.tx.disable", Stack: "( interface - )", Help: "disable TX TAP for interface", Example: "0 tap.tx.disable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapTX = false })},
			{Name: "tap.hash.insert", Stack: "( mac - )", Help: "add specific MAC address to TAP", Example: "00:23:7d:86:71:ff tap.hash.insert",
				Func: w.address(func(h *dataplane.MACHash, m dataplane.MAC) *dataplane.MACHash { return h.With(m) })},
			{Name: "tap.hash.delete", Stack: "( mac - )", Help: "remove specific MAC address from TAP", Example: "00:23:7d:86:71:ff tap.hash.delete",
				Func: w.address(func(h *dataplane.MACHash, m dataplane.MAC) *dataplane.MACHash { return h.Without(m) })},
			{Name: "tap.hash.reset", Stack: "( - )", Help: "reset TAP machash to 0 elements", Example: "tap.hash.reset", Func: w.reset},
			{Name: "tap.hash.show", Stack: "( - )", Help: "show TAP machash", Example: "tap.hash.show", Func: w.show},
		},
	}
}

type words struct{ engine *dataplane.Engine }

// port makes the function of a word that changes the policy of one interface.
func (w words) port(change func(*dataplane.PortPolicy)) func(*interp.Session) error {
	return func(s *interp.Session) error {
		i, err := s.PopRange("interface", 0, int64(len(w.engine.Ports())-1))
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *dataplane.Policy) error {
			change(&p.Port[i])
			return nil
		})
	}
}

// address makes the function of a word that changes the TAP machash by one address.
func (w words) address(change func(*dataplane.MACHash, dataplane.MAC) *dataplane.MACHash) func(*interp.Session) error {
	return func(s *interp.Session) error {
		mac, err := s.PopMAC()
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *dataplane.Policy) error {
			p.TapHash = change(p.TapHash, mac)
			return nil
		})
	}
}

func (w words) reset(*interp.Session) error {
	return w.engine.Update(func(p *dataplane.Policy) error {
		p.TapHash = nil
		return nil
	})
}

// show prints a line per address, in the order of insertion, with its vendor.
func (w words) show(s *interp.Session) error {
	policy := w.engine.Policy()
	for _, m := range policy.TapHash.All() {
		s.Print(m.String())
		if vendor := oui.Describe(m); vendor != "" {
			s.Print(" " + vendor)
		}
		s.Print("\n")
	}
	return nil
}
