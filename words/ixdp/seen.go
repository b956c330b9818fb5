package ixdp

import (
	"fmt"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/oui"
)

// seenRow prints a line of a table: what, frames, bytes, and a remark.
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

// showMACs prints who sends on an interface, the busiest first.
func (w words) showMACs(s *interp.Session) error {
	i, err := w.popInterface(s)
	if err != nil {
		return err
	}
	table, err := w.engine.MACs(i)
	if err != nil {
		return err
	}
	s.Printf("%d %s\n", i, w.engine.Ports()[i].Name)
	heading(s, "source", "vendor")
	for _, r := range table.Rows {
		seenRow(s, r.MAC.String(), r.Usage, oui.Describe(r.MAC))
	}
	seenRow(s, "no room", table.NoRoom, "")
	return nil
}

// showTypes prints what is sent on an interface: what stands below how many tags,
// then the tags.
func (w words) showTypes(s *interp.Session) error {
	i, err := w.popInterface(s)
	if err != nil {
		return err
	}
	table, err := w.engine.Types(i)
	if err != nil {
		return err
	}
	s.Printf("%d %s\n", i, w.engine.Ports()[i].Name)
	heading(s, "tags type", "last source")
	for _, r := range table.Types {
		seenRow(s, fmt.Sprintf("%d    %s", r.Level, typeLabel(r)), r.Usage, r.Last.String())
	}
	seenRow(s, "no room", table.TypesNoRoom, "")
	heading(s, "tag  VLAN", "last source")
	for _, r := range table.VLANs {
		seenRow(s, fmt.Sprintf("%d    0x%04x %d", r.Level, r.TPID, r.ID), r.Usage, r.Last.String())
	}
	seenRow(s, "no room", table.VLANsNoRoom, "")
	return nil
}

func typeLabel(r dataplane.TypeUsage) string {
	switch r.Kind {
	case dataplane.KindLength:
		return "802.3 length"
	case dataplane.KindShort:
		return "too short to have one"
	}
	if name := typeName(r.Type); name != "" {
		return fmt.Sprintf("0x%04x %s", r.Type, name)
	}
	return fmt.Sprintf("0x%04x", r.Type)
}
