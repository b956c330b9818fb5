package ixdp

import (
	"encoding/json"
	"fmt"
	"time"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/oui"
)

// printJSON prints a value as one line. Numbers are frames, bytes or what their name
// says, up to 2⁶⁴.
func printJSON(s *interp.Session, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	s.Print(string(b) + "\n")
	return nil
}

func (w words) statsJSON(s *interp.Session) error {
	type port struct {
		dataplane.PortInfo
		dataplane.PortStats
		dataplane.PortPolicy
	}
	policy, all := w.engine.Policy(), w.engine.AllStats()
	list := make([]port, len(all))
	for i, info := range w.engine.Ports() {
		list[i] = port{info, all[i], policy.Port[i]}
	}
	return printJSON(s, struct {
		Running    bool   `json:"running"`
		FaultSeed  int64  `json:"fault_seed"`
		FaultHash  macs   `json:"fault_hash"`
		DropHash   macs   `json:"drop_hash"`
		TapHash    macs   `json:"tap_hash"`
		Interfaces []port `json:"interfaces"`
	}{w.engine.Running(), int64(policy.FaultSeed.Seed), policy.FaultHash.All(), policy.DropHash.All(), policy.TapHash.All(), list})
}

// macs are a list that is [] when it is empty.
type macs []dataplane.MAC

// MarshalJSON implements json.Marshaler.
func (m macs) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]dataplane.MAC(m))
}

func (w words) queueStatsJSON(s *interp.Session) error {
	port, queue, st, err := w.popQueue(s)
	if err != nil {
		return err
	}
	return printJSON(s, struct {
		dataplane.PortInfo
		Queue int `json:"queue"`
		dataplane.QueueStats
	}{port, queue, st})
}

func (w words) macsJSON(s *interp.Session) error {
	i, err := w.popInterface(s)
	if err != nil {
		return err
	}
	table, err := w.engine.MACs(i)
	if err != nil {
		return err
	}
	type row struct {
		dataplane.MACUsage
		Vendor string `json:"vendor"`
	}
	rows := make([]row, len(table.Rows))
	for i, r := range table.Rows {
		rows[i] = row{r, oui.Describe(r.MAC)}
	}
	return printJSON(s, struct {
		Interface int             `json:"interface"`
		Name      string          `json:"name"`
		Rows      []row           `json:"rows"`
		NoRoom    dataplane.Usage `json:"no_room"`
	}{i, w.engine.Ports()[i].Name, rows, table.NoRoom})
}

func (w words) typesJSON(s *interp.Session) error {
	i, err := w.popInterface(s)
	if err != nil {
		return err
	}
	table, err := w.engine.Types(i)
	if err != nil {
		return err
	}
	type seen struct {
		dataplane.Usage
		Last dataplane.MAC `json:"last"`
		Seen time.Time     `json:"seen"`
	}
	type typeRow struct {
		Tags int    `json:"tags"`
		Type string `json:"type"` // "0x0800", "length" or "short"
		Name string `json:"name"`
		seen
	}
	type vlanRow struct {
		Tag  int    `json:"tag"`
		TPID string `json:"tpid"`
		VLAN uint16 `json:"vlan"`
		seen
	}
	types, vlans := make([]typeRow, len(table.Types)), make([]vlanRow, len(table.VLANs))
	for i, r := range table.Types {
		types[i] = typeRow{r.Level, fmt.Sprintf("0x%04x", r.Type), typeName(r.Type), seen{r.Usage, r.Last, r.Seen}}
		switch r.Kind {
		case dataplane.KindLength:
			types[i].Type, types[i].Name = "length", "802.3"
		case dataplane.KindShort:
			types[i].Type, types[i].Name = "short", ""
		}
	}
	for i, r := range table.VLANs {
		vlans[i] = vlanRow{r.Level, fmt.Sprintf("0x%04x", r.TPID), r.ID, seen{r.Usage, r.Last, r.Seen}}
	}
	return printJSON(s, struct {
		Interface   int             `json:"interface"`
		Name        string          `json:"name"`
		Types       []typeRow       `json:"types"`
		TypesNoRoom dataplane.Usage `json:"types_no_room"`
		VLANs       []vlanRow       `json:"vlans"`
		VLANsNoRoom dataplane.Usage `json:"vlans_no_room"`
	}{i, w.engine.Ports()[i].Name, types, table.TypesNoRoom, vlans, table.VLANsNoRoom})
}
