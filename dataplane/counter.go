// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/json"
	"slices"
	"strconv"

	"ethertap/dataplane/policy"
)

// The counters of a thread for each interface. Those of sent frames and of their taps belong to the
// interface that sends, those of failed calls to the interface of the socket, and all others to the
// interface of reception.
const (
	countRX = iota
	countTX
	countRXBytes // bytes of the frames in rx
	countTXBytes // bytes of the frames in tx
	countLost    // frames that came in pieces nobody asked for; the frames lost by the kernel are added later
	countDrop
	countNoIf
	countMirrored
	countBypassed  // frames of the counters above that the kernel forwarded because their thread was not there
	countFIDropped // by all faults that drop frames
	countTapQualified
	countTapStored
	countTapRefused
	countUnstamped                                  // frames for taps, as received, without a time stamp of the device that should give one
	countHeld                                       // a gauge: frames held now, in the TX ring and by faults
	countWaiting                                    // a gauge: frames held now by faults
	countFault                                      // one for each of policy.Faults: frames that have suffered the fault
	countErr       = countFault + policy.FaultKinds // one for each reason: frames that could not be sent
	countCall      = countErr + reasons             // one for each reason: system calls that failed
	countTotal     = countCall + reasons            // the number of counters
)

// PortStats holds the counters of an interface, in frames unless said otherwise. TX, TXBytes,
// CallErrors and the part of the tap counters that is about sent frames belong to the interface
// that sends; all others to the interface that receives. The function balances says how they add
// up.
type PortStats struct {
	RX       uint64 // taken from the RX ring
	TX       uint64 // taken by the kernel from the TX ring and not reported as dropped
	RXBytes  uint64 // bytes of the frames in RX, except those that were held at a reset
	TXBytes  uint64 // bytes of the frames in TX
	Drop     uint64 // dropped by the drop list or the drop filter
	NoIf     uint64 // the output interface does not exist (any more)
	Err      uint64 // could not be sent; the sum of ErrReasons
	Mirrored uint64 // received and not to be sent
	Bypassed uint64 // forwarded in the kernel without taps and faults, because no thread was there; in the other counters too
	Lost     uint64 // dropped by the kernel before reception: no room in a ring, longer than allowed, or on a queue without a thread; or received in pieces; not in RX
	Held     uint64 // held now, by faults, or in the TX ring because the link is down or busy

	DroppedByFI uint64                    // by all faults that drop frames
	ByFI        [policy.FaultKinds]uint64 // by the index of policy.Faults: frames that have suffered the fault
	HeldByFI    uint64                    // held now by faults; part of Held

	TapQualified uint64 // wanted by the TAP queue, each direction counted separately: TapStored + TapLost + TapRefused
	TapStored    uint64 // put into the TAP queue
	TapLost      uint64 // put into the TAP queue, and lost when its file was removed or damaged
	TapRefused   uint64 // refused because the TAP queue was full, or is missing
	Unstamped    uint64 // wanted by taps as received, and without a plausible time stamp of the device, though it should give one

	ErrReasons Counts // Err by reason
	CallErrors Counts // failed system calls on this interface, by errno
}

// Counter describes one counter of an interface. Everything that shows counters (the rows of
// if.stats, JSON, metrics, documents) takes them from Counters.
type Counter struct {
	Name  string // in rows: "dropped by FI"
	Key   string // in JSON: "dropped_by_fi"
	Help  string // says what it counts; "Frames" in front makes a sentence of it, unless it counts bytes
	Rows  Rows   // the part of the listing that has its row
	Bytes bool   // it counts bytes; the others count frames
	Gauge bool   // it is a present value; the others only grow, except for a reset
	Rare  bool   // its row is shown only when it is not 0
	Out   bool   // it belongs to the interface that sends the frame; the others to the one that receives it

	// Metric is the name of its metric without program, unit and suffix: "receive" stands for
	// ethertap_receive_frames_total. It is "" for a sum of counters that have a metric each.
	Metric string
	Fault  string // the fault that it counts, a label of its metric; "" if it counts none

	at    int // the index in a tally, or derived
	field func(*PortStats) *uint64
}

// derived is the index of a counter that is computed from others.
const derived = -1

// Of returns the value of the counter in s.
func (c *Counter) Of(s *PortStats) uint64 { return *c.field(s) }

// Total returns the value of the counter's metric. Unlike Of it never falls between two resets: a frame
// that was put into the TAP queue stays counted when it is lost with the file of the queue.
func (c *Counter) Total(s *PortStats) uint64 {
	if c.at == countTapStored {
		return s.TapStored + s.TapLost
	}
	return c.Of(s)
}

// Rows is a part of the listing of an interface. Within each part the counters have the order of
// Counters.
type Rows uint8

// NoRow marks counters that only JSON has.
const (
	NoRow         Rows = iota
	ForwardRows        // at the top
	FaultRows          // the faults drop, bitflip and dup
	LengthRows         // after the probability of the length fault
	MoreFaultRows      // faults whose setting has no row
	MirrorRows         // of a mirrored interface only
	EndRows            // at the end
)

// Counters lists all counters of an interface, except those of errors by reason.
var Counters = slices.Concat(frameCounters[:], ofFaults(), tapCounters[:])

// frameCounters are the first of Counters. They count all frames.
var frameCounters = [...]Counter{
	{Name: "rx", Key: "rx", Help: "received", Rows: ForwardRows, Metric: "receive", at: countRX, field: func(s *PortStats) *uint64 { return &s.RX }},
	{Name: "tx", Key: "tx", Help: "sent", Rows: ForwardRows, Out: true, Metric: "transmit", at: countTX, field: func(s *PortStats) *uint64 { return &s.TX }},
	{Name: "rx bytes", Key: "rx_bytes", Help: "bytes of the frames in `rx`, but for those that a reset found held", Rows: NoRow, Bytes: true, Metric: "receive", at: countRXBytes, field: func(s *PortStats) *uint64 { return &s.RXBytes }},
	{Name: "tx bytes", Key: "tx_bytes", Help: "bytes of the frames in `tx`", Rows: NoRow, Bytes: true, Out: true, Metric: "transmit", at: countTXBytes, field: func(s *PortStats) *uint64 { return &s.TXBytes }},
	{Name: "drop", Key: "drop", Help: "dropped by the drop list or the drop filter", Rows: ForwardRows, Metric: "drop", at: countDrop, field: func(s *PortStats) *uint64 { return &s.Drop }},
	{Name: "noif", Key: "noif", Help: "not forwarded, because the output interface does not exist", Rows: ForwardRows, Metric: "no_interface", at: countNoIf, field: func(s *PortStats) *uint64 { return &s.NoIf }},
	{Name: "err", Key: "err", Help: "that could not be sent; the sum of `err_reasons`", Rows: ForwardRows, at: derived, field: func(s *PortStats) *uint64 { return &s.Err }},
	{Name: "mirrored", Key: "mirrored", Help: "received and not to be sent", Rows: MirrorRows, Metric: "mirrored", at: countMirrored, field: func(s *PortStats) *uint64 { return &s.Mirrored }},
	{Name: "bypassed", Key: "bypassed", Help: "forwarded in the kernel, since no thread was there; in the others too", Rows: EndRows, Metric: "bypassed", at: countBypassed, field: func(s *PortStats) *uint64 { return &s.Bypassed }},
	{Name: "lost", Key: "lost", Help: "lost in the kernel before they were received; not in `rx`", Rows: EndRows, Metric: "lost", at: countLost, field: func(s *PortStats) *uint64 { return &s.Lost }},
	{Name: "held", Key: "held", Help: "waiting now, for a delay or for a link that is down", Rows: EndRows, Gauge: true, Metric: "held", at: countHeld, field: func(s *PortStats) *uint64 { return &s.Held }},
	{Name: "dropped by FI", Key: "dropped_by_fi", Help: "dropped by all faults that drop frames: the sum of their counters", Rows: FaultRows, at: countFIDropped, field: func(s *PortStats) *uint64 { return &s.DroppedByFI }},
}

// tapCounters are the last of Counters.
var tapCounters = [...]Counter{
	{Name: "held by FI", Key: "held_by_fi", Help: "waiting now, for a fault; part of `held`", Rows: NoRow, Gauge: true, Metric: "fault_held", at: countWaiting, field: func(s *PortStats) *uint64 { return &s.HeldByFI }},
	{Name: "tap qualified", Key: "tap_qualified", Help: "wanted by the TAP queue, each direction by itself", Rows: NoRow, Metric: "tap_qualified", at: countTapQualified, field: func(s *PortStats) *uint64 { return &s.TapQualified }},
	{Name: "tapped", Key: "tapped", Help: "put in the TAP queue", Rows: EndRows, Metric: "tap_stored", at: countTapStored, field: func(s *PortStats) *uint64 { return &s.TapStored }},
	{Name: "tap lost", Key: "tap_lost", Help: "put in the TAP queue and lost with its file; not in `tapped`", Rows: EndRows, Rare: true, Metric: "tap_lost", at: derived, field: func(s *PortStats) *uint64 { return &s.TapLost }},
	{Name: "tap unstamped", Key: "tap_unstamped", Help: "tapped as received, to which the device gave no time stamp, or one that cannot be right, though `if.timestamps` asks for it", Rows: EndRows, Rare: true, Metric: "tap_unstamped", at: countUnstamped, field: func(s *PortStats) *uint64 { return &s.Unstamped }},
	{Name: "tap full", Key: "tap_full", Help: "refused by the TAP queue", Rows: EndRows, Metric: "tap_full", at: countTapRefused, field: func(s *PortStats) *uint64 { return &s.TapRefused }},
}

// ofFaults returns the counters of faultCounters.
func ofFaults() (list []Counter) {
	for _, f := range faultCounters {
		f.Metric, f.Fault = "fault", policy.Faults[f.fault].Name
		f.at, f.field = countFault+f.fault, func(s *PortStats) *uint64 { return &s.ByFI[f.fault] }
		list = append(list, f.Counter)
	}
	return list
}

// MarshalJSON implements json.Marshaler: it writes one key for each of Counters, then the errors by
// reason.
func (s PortStats) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i := range Counters {
		c := &Counters[i]
		b = append(strconv.AppendQuote(b, c.Key), ':')
		b = append(strconv.AppendUint(b, c.Of(&s), 10), ',')
	}
	rest, err := json.Marshal(struct {
		ErrReasons Counts `json:"err_reasons"`
		CallErrors Counts `json:"call_errors"`
	}{s.ErrReasons, s.CallErrors})
	return append(b, rest[1:]...), err
}
