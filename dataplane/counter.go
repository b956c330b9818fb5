package dataplane

import (
	"encoding/json"
	"strconv"
)

// Counter describes one of the counters of an interface. Whoever shows counters, the rows of
// if.stats, JSON or a document, has them from Counters.
type Counter struct {
	Name  string // in the rows: "dropped by FI"
	Key   string // in JSON: "dropped_by_fi"
	Help  string // what it counts
	Rows  Rows   // where its row is
	Bytes bool   // it counts bytes; the others count frames
	Gauge bool   // it is what is now; the others only grow, but for a reset
	Rare  bool   // its row is shown when it is not 0
	Out   bool   // it belongs to the interface by which frames leave; the others to that of reception

	at    int // where a thread counts it; derived: it does not
	field func(*PortStats) *uint64
}

// derived is the place of a counter that PortStats works out of others.
const derived = -1

// Of returns the counter's value.
func (c *Counter) Of(s *PortStats) uint64 { return *c.field(s) }

// Rows is a part of the listing of an interface. In each part the counters stand in the
// order of Counters.
type Rows uint8

// NoRow is for counters that only JSON has.
const (
	NoRow         Rows = iota
	ForwardRows        // at the top
	FaultRows          // of the first faults that there were
	LengthRows         // behind the chance of the length fault
	MoreFaultRows      // of faults whose setting has no row
	MirrorRows         // of a mirrored interface alone
	EndRows            // at the end
)

// Counters are all the counters of an interface that have a name of their own; errors by
// reason come besides.
var Counters = [...]Counter{
	{Name: "rx", Key: "rx", Help: "received", Rows: ForwardRows, at: countRX, field: func(s *PortStats) *uint64 { return &s.RX }},
	{Name: "tx", Key: "tx", Help: "sent", Rows: ForwardRows, Out: true, at: countTX, field: func(s *PortStats) *uint64 { return &s.TX }},
	{Name: "rx bytes", Key: "rx_bytes", Help: "bytes of the frames in `rx`, but for those that a reset found held", Rows: NoRow, Bytes: true, at: countRXBytes, field: func(s *PortStats) *uint64 { return &s.RXBytes }},
	{Name: "tx bytes", Key: "tx_bytes", Help: "bytes of the frames in `tx`", Rows: NoRow, Bytes: true, Out: true, at: countTXBytes, field: func(s *PortStats) *uint64 { return &s.TXBytes }},
	{Name: "drop", Key: "drop", Help: "dropped by the drop list", Rows: ForwardRows, at: countDrop, field: func(s *PortStats) *uint64 { return &s.Drop }},
	{Name: "noif", Key: "noif", Help: "the output interface does not exist", Rows: ForwardRows, at: countNoIf, field: func(s *PortStats) *uint64 { return &s.NoIf }},
	{Name: "err", Key: "err", Help: "could not be sent; the sum of `err_reasons`", Rows: ForwardRows, at: derived, field: func(s *PortStats) *uint64 { return &s.Err }},
	{Name: "mirrored", Key: "mirrored", Help: "received and not to be sent", Rows: MirrorRows, at: countMirrored, field: func(s *PortStats) *uint64 { return &s.Mirrored }},
	{Name: "bypassed", Key: "bypassed", Help: "forwarded in the kernel, since no thread was there; in the others too", Rows: EndRows, at: countBypassed, field: func(s *PortStats) *uint64 { return &s.Bypassed }},
	{Name: "lost", Key: "lost", Help: "lost in the kernel before they were received; not in `rx`", Rows: EndRows, at: derived, field: func(s *PortStats) *uint64 { return &s.Lost }},
	{Name: "held", Key: "held", Help: "waiting now, for a delay or for a link that is down", Rows: EndRows, Gauge: true, at: countHeld, field: func(s *PortStats) *uint64 { return &s.Held }},
	{Name: "dropped by FI", Key: "dropped_by_fi", Help: "by all faults: the sum of the next five", Rows: FaultRows, at: countFIDropped, field: func(s *PortStats) *uint64 { return &s.DroppedByFI }},
	{Name: "random by FI", Key: "random_by_fi", Help: "dropped by `fault.drop`", Rows: NoRow, at: countFIRandom, field: func(s *PortStats) *uint64 { return &s.RandomByFI }},
	{Name: "burst loss by FI", Key: "burst_by_fi", Help: "dropped by `fault.burst`", Rows: MoreFaultRows, at: countFIBurst, field: func(s *PortStats) *uint64 { return &s.BurstByFI }},
	{Name: "outage by FI", Key: "outage_by_fi", Help: "dropped by `fault.outage`", Rows: MoreFaultRows, at: countFIOutage, field: func(s *PortStats) *uint64 { return &s.OutageByFI }},
	{Name: "rate limit by FI", Key: "rate_by_fi", Help: "dropped by `fault.rate`", Rows: MoreFaultRows, at: countFIRate, field: func(s *PortStats) *uint64 { return &s.RateByFI }},
	{Name: "hold limit by FI", Key: "hold_by_fi", Help: "dropped, since they found no room to wait in", Rows: MoreFaultRows, at: countFIHold, field: func(s *PortStats) *uint64 { return &s.HoldByFI }},
	{Name: "bitflipped by FI", Key: "bitflipped_by_fi", Help: "with an inverted bit", Rows: FaultRows, at: countBitflipped, field: func(s *PortStats) *uint64 { return &s.BitflippedByFI }},
	{Name: "duplicated by FI", Key: "duplicated_by_fi", Help: "sent twice", Rows: FaultRows, at: countDuplicated, field: func(s *PortStats) *uint64 { return &s.DuplicatedByFI }},
	{Name: "length by FI", Key: "length_by_fi", Help: "cut short or made longer", Rows: LengthRows, at: countLength, field: func(s *PortStats) *uint64 { return &s.LengthByFI }},
	{Name: "delayed by FI", Key: "delayed_by_fi", Help: "delayed", Rows: MoreFaultRows, at: countDelayed, field: func(s *PortStats) *uint64 { return &s.DelayedByFI }},
	{Name: "reordered by FI", Key: "reordered_by_fi", Help: "spared the delay", Rows: MoreFaultRows, at: countReordered, field: func(s *PortStats) *uint64 { return &s.ReorderedByFI }},
	{Name: "held by FI", Key: "held_by_fi", Help: "waiting now, for a fault; part of `held`", Rows: NoRow, Gauge: true, at: countWaiting, field: func(s *PortStats) *uint64 { return &s.HeldByFI }},
	{Name: "tap qualified", Key: "tap_qualified", Help: "wanted by the TAP queue, each direction by itself", Rows: NoRow, at: countTapQualified, field: func(s *PortStats) *uint64 { return &s.TapQualified }},
	{Name: "tapped", Key: "tapped", Help: "put in the TAP queue", Rows: EndRows, at: countTapStored, field: func(s *PortStats) *uint64 { return &s.TapStored }},
	{Name: "tap lost", Key: "tap_lost", Help: "put in the TAP queue and lost with its file; not in `tapped`", Rows: EndRows, Rare: true, at: derived, field: func(s *PortStats) *uint64 { return &s.TapLost }},
	{Name: "tap full", Key: "tap_full", Help: "refused by the TAP queue", Rows: EndRows, at: countTapRefused, field: func(s *PortStats) *uint64 { return &s.TapRefused }},
}

// MarshalJSON implements json.Marshaler: one key for each of Counters, then the errors.
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
