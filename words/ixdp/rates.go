// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"time"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/rate"
)

// rateTime is how long if.rates measures.
const rateTime = time.Second

// rates are what the interfaces receive and send per second.
type rates struct {
	Seconds    float64    `json:"seconds"` // how long it was measured
	Interfaces []portRate `json:"interfaces"`
}

type portRate struct {
	Index    int     `json:"index"`
	Name     string  `json:"name"`
	RXFrames float64 `json:"rx_frames_per_s"`
	RXBits   float64 `json:"rx_bits_per_s"`
	TXFrames float64 `json:"tx_frames_per_s"`
	TXBits   float64 `json:"tx_bits_per_s"`
}

// rates measures for rateTime, or until an interrupt.
func (w words) rates(s *interp.Session) (rates, error) {
	before := w.engine.Snapshot(false)
	if err := s.Sleep(rateTime); err != nil {
		return rates{}, err
	}
	return ratesBetween(before, w.engine.Snapshot(false)), nil
}

func ratesBetween(before, now dataplane.Snapshot) rates {
	d := now.Time.Sub(before.Time)
	v := rates{Seconds: d.Seconds()}
	for i := range now.Ports {
		a, b := &before.Ports[i].Stats, &now.Ports[i].Stats
		v.Interfaces = append(v.Interfaces, portRate{
			Index: i, Name: now.Ports[i].Name,
			RXFrames: rate.PerSecond(a.RX, b.RX, d), RXBits: 8 * rate.PerSecond(a.RXBytes, b.RXBytes, d),
			TXFrames: rate.PerSecond(a.TX, b.TX, d), TXBits: 8 * rate.PerSecond(a.TXBytes, b.TXBytes, d),
		})
	}
	return v
}

func showRates(s *interp.Session, v rates) {
	for _, p := range v.Interfaces {
		s.Printf("%d %s\n", p.Index, p.Name)
		row(s, "rx", rate.Frames(p.RXFrames)+", "+rate.Bits(p.RXBits/8))
		row(s, "tx", rate.Frames(p.TXFrames)+", "+rate.Bits(p.TXBits/8))
	}
}
