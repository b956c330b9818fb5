// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"fmt"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/lib/ethertype"
	"ethertap/lib/oui"
	"ethertap/words/port"
)

// seenRow prints a row of a table: label, frames, bytes, and a remark if there is one.
func seenRow(s *interp.Session, label string, u dataplane.Usage, remark string) {
	line := fmt.Sprintf("  %-31s %-11d %d", label, u.Frames, u.Bytes)
	if remark != "" {
		line = fmt.Sprintf("  %-31s %-11d %-14d %s", label, u.Frames, u.Bytes, remark)
	}
	s.Print(line + "\n")
}

func heading(s *interp.Session, what, remark string) {
	s.Printf("  %-31s %-11s %-14s %s\n", what, "frames", "bytes", remark)
}

// macs is the table of the source addresses seen on an interface, the busiest first.
type macs struct {
	Interface int             `json:"interface"`
	Name      string          `json:"name"`
	Rows      []mac           `json:"rows"`
	NoRoom    dataplane.Usage `json:"no_room"`
}

type mac struct {
	dataplane.MACUsage
	Vendor string `json:"vendor"` // "" if it is not known
}

func (w words) macs(s *interp.Session) (v macs, err error) {
	if v.Interface, err = port.Pop(s, w.engine); err != nil {
		return v, err
	}
	table, err := w.engine.MACs(v.Interface)
	if err != nil {
		return v, err
	}
	v.Name, v.NoRoom, v.Rows = w.engine.PortNames()[v.Interface], table.NoRoom, make([]mac, len(table.Rows))
	for i, r := range table.Rows {
		v.Rows[i] = mac{r, oui.Describe(r.MAC)}
	}
	return v, nil
}

func showMACs(s *interp.Session, v macs) {
	s.Printf("%d %s\n", v.Interface, v.Name)
	heading(s, "source", "vendor")
	for _, r := range v.Rows {
		seenRow(s, r.MAC.String(), r.Usage, r.Vendor)
	}
	seenRow(s, "no room", v.NoRoom, "")
}

// types are the Ethertypes and VLANs seen on an interface.
type types struct {
	Interface   int             `json:"interface"`
	Name        string          `json:"name"`
	Types       []etype         `json:"types"`
	TypesNoRoom dataplane.Usage `json:"types_no_room"`
	VLANs       []vlan          `json:"vlans"`
	VLANsNoRoom dataplane.Usage `json:"vlans_no_room"`
}

type etype struct {
	Tags int    `json:"tags"` // VLAN tags before it
	Type string `json:"type"` // "0x0800", "length" or "short"
	Name string `json:"name"` // name of the protocol, "" if it is not known
	last
}

type vlan struct {
	Tag  int    `json:"tag"` // tags before this one
	TPID string `json:"tpid"`
	VLAN uint16 `json:"vlan"`
	last
}

// last is a usage with the source and the time of the last frame.
type last struct {
	dataplane.Usage
	Last policy.MAC `json:"last"`
	Seen time.Time  `json:"seen"`
}

func (w words) types(s *interp.Session) (v types, err error) {
	if v.Interface, err = port.Pop(s, w.engine); err != nil {
		return v, err
	}
	table, err := w.engine.Types(v.Interface)
	if err != nil {
		return v, err
	}
	v.Name, v.TypesNoRoom, v.VLANsNoRoom = w.engine.PortNames()[v.Interface], table.TypesNoRoom, table.VLANsNoRoom
	v.Types, v.VLANs = make([]etype, len(table.Types)), make([]vlan, len(table.VLANs))
	for i, r := range table.Types {
		v.Types[i] = etype{r.Level, fmt.Sprintf("0x%04x", r.Type), ethertype.Name(r.Type), last{r.Usage, r.Last, r.Seen}}
		switch r.Kind {
		case dataplane.KindLength:
			v.Types[i].Type, v.Types[i].Name = "length", "802.3"
		case dataplane.KindShort:
			v.Types[i].Type, v.Types[i].Name = "short", ""
		}
	}
	for i, r := range table.VLANs {
		v.VLANs[i] = vlan{r.Level, fmt.Sprintf("0x%04x", r.TPID), r.ID, last{r.Usage, r.Last, r.Seen}}
	}
	return v, nil
}

// showTypes prints a table of the Ethertypes, then one of the VLANs.
func showTypes(s *interp.Session, v types) {
	s.Printf("%d %s\n", v.Interface, v.Name)
	heading(s, "tags type", "last source")
	for _, r := range v.Types {
		seenRow(s, fmt.Sprintf("%d    %s", r.Tags, r.label()), r.Usage, r.Last.String())
	}
	seenRow(s, "no room", v.TypesNoRoom, "")
	heading(s, "tag  VLAN", "last source")
	for _, r := range v.VLANs {
		seenRow(s, fmt.Sprintf("%d    %s %d", r.Tag, r.TPID, r.VLAN), r.Usage, r.Last.String())
	}
	seenRow(s, "no room", v.VLANsNoRoom, "")
}

// label formats a type for people.
func (r etype) label() string {
	switch {
	case r.Type == "length":
		return "802.3 length"
	case r.Type == "short":
		return "too short to have one"
	case r.Name != "":
		return r.Type + " " + r.Name
	}
	return r.Type
}
