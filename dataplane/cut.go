// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"math"
	"time"

	"ethertap/dataplane/policy"
)

// Outage drops all frames that interface number receives during the time d from now on. It replaces
// an outage that is under way, or a cut; 0 ends both. It fails if the interface does not exist, is
// mirrored, or has fault injection disabled and d is not 0.
func (e *Engine) Outage(number int, d time.Duration) error {
	return e.outage(number, d > 0, int64(e.now()+d))
}

// Cut drops all frames that interface number receives until Outage ends it, and fails as Outage does.
// With policy.Fault.CutCarrier the interface by which they would leave is set down meanwhile, so that
// the other side loses its carrier.
func (e *Engine) Cut(number int) error { return e.outage(number, true, policy.Endless) }

// outage drops all frames up to a time of the engine's clock, if enabled fault injection is needed for
// that.
func (e *Engine) outage(number int, needed bool, end int64) error {
	return e.Update(func(p *policy.Policy) error {
		if number < 0 || number >= len(e.config.Interfaces) {
			return fmt.Errorf("no interface %d", number)
		}
		if err := policy.CheckFault(e.ends, number); err != nil {
			return err
		}
		f := &p.Ports[number].Fault
		if needed && !f.Enabled {
			return fmt.Errorf("fault injection is disabled on interface %d: %d fault.enable", number, number)
		}
		f.Outage = end
		return nil
	})
}

// outageLeft returns how long an outage of an interface still lasts, math.MaxInt64 if it is cut.
func (e *Engine) outageLeft(number int) time.Duration {
	f := &e.plan.Load().Ports[number].Fault
	if f.IsCut() {
		return math.MaxInt64
	}
	return max(0, time.Duration(f.Outage)-e.now())
}

// carriersDown says for each interface whether it is to be set down, so that the other side of a link
// that is cut has no carrier.
func carriersDown(p *policy.Policy) (down [policy.MaxPorts]bool) {
	for in := range p.Ports {
		f := &p.Ports[in].Fault
		down[len(p.Ports)-1-in] = f.Enabled && f.CutCarrier && f.IsCut()
	}
	return down
}

// followCarriersLocked sets down the interfaces whose other side is to have no carrier, and up those
// that it has set down before. If that fails, it logs why.
func (e *Engine) followCarriersLocked() {
	e.setCarriersLocked(carriersDown(&e.plan.Load().Policy))
}

func (e *Engine) setCarriersLocked(down [policy.MaxPorts]bool) {
	for i, p := range e.ports {
		switch {
		case p.gone.Load():
		case p.nic != nil:
			if err := p.nic.TakeDown(down[i]); err != nil {
				e.config.Logf("port %s: %v", p.Name(), err)
			}
		case down[i]:
			e.config.Logf("port %s: it has no carrier that could be taken down", p.Name())
		}
	}
}

// restoreCarriersLocked sets the interfaces up again at the end of a run, and those that an earlier
// process has left down.
func (e *Engine) restoreCarriersLocked() error {
	e.setCarriersLocked([policy.MaxPorts]bool{})
	return nil
}
