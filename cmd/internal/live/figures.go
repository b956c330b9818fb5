// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"encoding/json"
	"fmt"
	"time"

	"ethertap/interp"
)

// Ask runs a line of words in an ethertap and returns its output. One goroutine at a time calls it.
type Ask func(line string) (printed string, err error)

// figures are the answers of an ethertap at one look. docs/json.md describes the keys.
type figures struct {
	list
	Stats    stats
	Queue    queue
	QueueErr string // why nothing is known of the TAP queue
	Users    []user // of the TAP queue
	Bypass   bypass
	Further  []further
	tables
}

// tables may have thousands of rows. Only those that the page shows are read.
type tables struct {
	At      time.Time
	Senders [][]sender  // by interface; nil: not asked for
	Types   []seenTypes // likewise
}

// list is what if.list.json prints.
type list struct {
	Instance string    `json:"instance"`
	Time     time.Time `json:"time"`
	State    string    `json:"state"`
	Waiting  string    `json:"waiting"`
	Short    string    `json:"short"`
}

// stats is what if.stats.json prints.
type stats struct {
	Time       time.Time   `json:"time"`
	DropHash   []string    `json:"drop_hash"`
	TapHash    []string    `json:"tap_hash"`
	FaultHash  []string    `json:"fault_hash"`
	Interfaces []portState `json:"interfaces"`
}

// portState is an interface with its counters.
type portState struct {
	Name     string `json:"name"`
	Mode     string `json:"mode"`
	Up       bool   `json:"up"`
	Downs    uint64 `json:"downs"`
	Gone     bool   `json:"gone"`
	FastPath string `json:"fast_path"`
	RXTap    bool   `json:"rx_tap"`
	TXTap    bool   `json:"tx_tap"`
	Fault    struct {
		Enabled bool `json:"enabled"`
	} `json:"fault"`
	Reasons map[string]uint64 `json:"err_reasons"`
	Calls   map[string]uint64 `json:"call_errors"`
	counts  map[string]uint64 // by key
}

// counters are the keys of all counters of an interface, in the order in which they are shown.
var counters = []string{
	"rx", "tx", "rx_bytes", "tx_bytes", "drop", "noif", "err", "mirrored", "bypassed", "lost", "held",
	"dropped_by_fi", "random_by_fi", "burst_by_fi", "outage_by_fi", "trace_by_fi", "rate_by_fi", "hold_by_fi",
	"bitflipped_by_fi", "duplicated_by_fi", "length_by_fi", "ecn_by_fi", "corrupted_by_fi", "delayed_by_fi", "reordered_by_fi", "held_by_fi",
	"tap_qualified", "tapped", "tap_lost", "tap_full", "tap_unstamped",
}

// gauges are the counters that can also fall.
var gauges = map[string]bool{"held": true, "held_by_fi": true}

// UnmarshalJSON implements json.Unmarshaler.
func (p *portState) UnmarshalJSON(b []byte) error {
	type plain portState
	if err := json.Unmarshal(b, (*plain)(p)); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	p.counts = map[string]uint64{}
	for _, key := range counters {
		var n uint64
		if raw, there := all[key]; there {
			if err := json.Unmarshal(raw, &n); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			p.counts[key] = n
		}
	}
	p.Name = interp.Printable(p.Name)
	return nil
}

// queue is what tap.queue.status.json prints.
type queue struct {
	Time        time.Time `json:"time"`
	Name        string    `json:"name"`
	Inserted    uint64    `json:"inserted"`
	Full        uint64    `json:"full"`
	Retrieved   uint64    `json:"retrieved"`
	Slots       uint64    `json:"slots"`
	SlotSize    uint64    `json:"slot_size"`
	Waiting     uint64    `json:"waiting"`
	HighWater   uint64    `json:"highwater"`
	Discarded   uint64    `json:"discarded"`
	Overwritten uint64    `json:"overwritten"`
	Truncated   uint64    `json:"truncated"`
	Orphaned    uint64    `json:"orphaned"`
	Abandoned   uint64    `json:"abandoned"`
	Lost        uint64    `json:"lost"`
	Overwrite   bool      `json:"overwrite"`
}

// user is a process that has the TAP queue open.
type user struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
	Role    string `json:"role"`
	Packets uint64 `json:"packets"`
	Name    string `json:"name"`
	Alive   bool   `json:"alive"`
}

// bypass is what bypass.status.json prints.
type bypass struct {
	Enabled bool   `json:"enabled"`
	Pinned  string `json:"pinned"`
	Why     string `json:"why"`
}

// further is a further queue.
type further struct {
	Name   string `json:"name"`
	Tapped uint64 `json:"tapped"`
	Full   uint64 `json:"full"`
	Lost   uint64 `json:"lost"`
}

// usage is what was counted of something.
type usage struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

// sender is a row of if.mac.json.
type sender struct {
	usage
	MAC    string `json:"mac"`
	Vendor string `json:"vendor"`
}

// seenTypes is what if.etype.json prints.
type seenTypes struct {
	Time  time.Time `json:"time"`
	Types []struct {
		usage
		Tags int    `json:"tags"`
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"types"`
	VLANs []struct {
		usage
		Tag  int    `json:"tag"`
		TPID string `json:"tpid"`
		VLAN int    `json:"vlan"`
	} `json:"vlans"`
}

// read asks an ethertap for its figures, with the tables that are wanted. It returns an error if an
// answer is missing or is not as expected.
func read(ask Ask, senders, types bool) (f figures, err error) {
	if err := asked(ask, "if.list.json", &f.list); err != nil {
		return f, err
	}
	if err := asked(ask, "if.stats.json", &f.Stats); err != nil {
		return f, err
	}
	if err := asked(ask, "bypass.status.json", &f.Bypass); err != nil {
		return f, err
	}
	if err := asked(ask, "tap.queue.status.json", &f.Queue); err != nil {
		f.QueueErr = interp.Printable(err.Error()) // it was deleted, or is damaged
	} else {
		who := struct{ Users []user }{}
		if err := asked(ask, "tap.queue.who.json", &who); err != nil {
			return f, err
		}
		f.Users = who.Users
	}
	queues := struct{ Queues []further }{}
	if err := asked(ask, "pqueue.json", &queues); err != nil {
		return f, err
	}
	f.Further = queues.Queues
	f.tables, err = readTables(ask, len(f.Stats.Interfaces), senders, types)
	return f, err
}

// readTables reads the tables of a number of interfaces.
func readTables(ask Ask, interfaces int, senders, types bool) (t tables, err error) {
	for i := range interfaces {
		if senders {
			table := struct {
				Time time.Time
				Rows []sender
			}{}
			if err := asked(ask, fmt.Sprintf("%d if.mac.json", i), &table); err != nil {
				return t, err
			}
			t.At, t.Senders = table.Time, append(t.Senders, table.Rows)
		}
		if types {
			var table seenTypes
			if err := asked(ask, fmt.Sprintf("%d if.etype.json", i), &table); err != nil {
				return t, err
			}
			t.At, t.Types = table.Time, append(t.Types, table)
		}
	}
	return t, nil
}

// asked runs a line and decodes its output into v.
func asked(ask Ask, line string, v any) error {
	printed, err := ask(line)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(printed), v); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}
