// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
)

// view is the text of a packet: a paragraph for each layer, with its name in the margin and its
// fields beside it, wrapped.
type view struct {
	b     strings.Builder
	col   int
	fresh bool // the line has only its margin yet
}

const (
	margin  = 10  // columns of the layers' names
	width   = 79  // columns of a line
	dumped  = 256 // the most bytes of a payload that are shown
	entries = 64  // the most entries of a list that are shown
)

// layer begins the paragraph of a layer.
func (v *view) layer(name string) {
	v.end()
	fmt.Fprintf(&v.b, "%-*s ", margin-1, name)
	v.col = max(margin, len(name)+1)
	v.fresh = true
}

// field adds a field to the paragraph.
func (v *view) field(format string, args ...any) {
	text := interp.Printable(fmt.Sprintf(format, args...))
	n := utf8.RuneCountInString(text)
	switch {
	case v.fresh:
	case v.col+2+n > width:
		v.line()
	default:
		v.b.WriteString("  ")
		v.col += 2
	}
	v.b.WriteString(text)
	v.col += n
	v.fresh = false
}

// line begins a line of the paragraph.
func (v *view) line() {
	if !v.fresh {
		v.end()
		v.b.WriteString(strings.Repeat(" ", margin))
		v.col, v.fresh = margin, true
	}
}

// end ends the line.
func (v *view) end() {
	if v.col > 0 {
		v.b.WriteString("\n")
		v.col = 0
	}
}

// dump adds bytes as a hexdump.
func (v *view) dump(b []byte) {
	v.end()
	rest := len(b) - dumped
	if rest > 0 {
		b = b[:dumped]
	}
	for line := range strings.Lines(interp.Hexdump(b)) {
		v.b.WriteString("  " + line)
	}
	if rest > 0 {
		fmt.Fprintf(&v.b, "  … %d bytes more\n", rest)
	}
}

// decode splits a packet into layers. gopacket catches panics of its decoders and makes a layer
// of the bytes it could not decode. It may leave a layer of zeros before that, which decode
// removes.
func decode(b []byte) []gopacket.Layer {
	p := gopacket.NewPacket(b, gopacket.DecodeFunc(decodeEthernet), gopacket.DecodeOptions{NoCopy: true})
	all := p.Layers()
	if n := len(all); n > 1 && p.ErrorLayer() != nil && len(all[n-2].LayerContents()) == 0 {
		all = append(all[:n-2], all[n-1])
	}
	return all
}

func showPacket(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	s.Print(show(b))
	return nil
}

// show returns the view of a packet.
func show(b []byte) string {
	v := new(view)
	v.layer("packet")
	v.field("%s", size(len(b)))
	all := decode(b)
	for i, l := range all {
		c := context{view: v, below: all[:i], last: i == len(all)-1}
		c.show(l)
	}
	v.end()
	return v.b.String()
}

// context holds what the text of a layer needs of the layers before it.
type context struct {
	*view
	below []gopacket.Layer
	last  bool
}

// show writes one layer. Decoders check lengths, but not all values, so formatting may panic; the
// layer is shown as bytes then.
func (c context) show(l gopacket.Layer) {
	mark := c.b.Len()
	defer func() {
		if recover() != nil {
			text := c.b.String()[:mark]
			c.b.Reset()
			c.b.WriteString(text)
			c.col = 0
			c.bytes("malformed", l.LayerContents())
		}
	}()
	c.end()
	mark = c.b.Len()
	if f, ok := l.(gopacket.ErrorLayer); ok {
		c.failure(f)
		return
	}
	if !c.known(l) {
		c.bytes(layerName(l.LayerType()), l.LayerContents())
	}
	if c.last && len(l.LayerPayload()) > 0 {
		c.bytes("data", l.LayerPayload())
	}
}

// failure shows a part that could not be decoded, because it is broken or because there is no
// decoder.
func (c context) failure(f gopacket.ErrorLayer) {
	b := f.LayerContents()
	for i := len(c.below) - 1; i >= 0 && len(b) == 0; i-- {
		b = c.below[i].LayerPayload()
	}
	if unknown(f) {
		c.bytes("data", b)
		return
	}
	c.layer("malformed")
	c.field("%s", reason(f))
	if len(b) > 0 {
		c.dump(b)
	}
}

// unknown says whether there was no decoder for a layer.
func unknown(f gopacket.ErrorLayer) bool { return strings.HasPrefix(reason(f), "Unable to decode ") }

// reason returns the error of a layer in one line.
func reason(f gopacket.ErrorLayer) string {
	line, _, _ := strings.Cut(f.Error().Error(), "\n")
	return line
}

// size formats a number of bytes.
func size(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// bytes shows a layer as bytes, because nothing else is known about it.
func (c context) bytes(name string, b []byte) {
	c.layer(name)
	c.field("%s", size(len(b)))
	if len(b) > 0 {
		c.dump(b)
	}
}

// names are the names of layers whose usual name is not gopacket's.
var names = map[gopacket.LayerType]string{
	layers.LayerTypeDot1Q:                        "vlan",
	layers.LayerTypeIPv4:                         "ip4",
	layers.LayerTypeIPv6:                         "ip6",
	layers.LayerTypeIPv6HopByHop:                 "hopbyhop",
	layers.LayerTypeIPv6Routing:                  "routing",
	layers.LayerTypeIPv6Fragment:                 "fragment",
	layers.LayerTypeIPv6Destination:              "destopts",
	layers.LayerTypeICMPv4:                       "icmp4",
	layers.LayerTypeICMPv6:                       "icmp6",
	layers.LayerTypeICMPv6Echo:                   "echo",
	layers.LayerTypeICMPv6NeighborSolicitation:   "neighbor",
	layers.LayerTypeICMPv6NeighborAdvertisement:  "neighbor",
	layers.LayerTypeICMPv6RouterSolicitation:     "router",
	layers.LayerTypeICMPv6RouterAdvertisement:    "router",
	layers.LayerTypeICMPv6Redirect:               "redirect",
	layers.LayerTypeDHCPv4:                       "dhcp",
	layers.LayerTypeDHCPv6:                       "dhcp6",
	layers.LayerTypeLinkLayerDiscovery:           "lldp",
	layers.LayerTypeLinkLayerDiscoveryInfo:       "lldpinfo",
	layers.LayerTypeCiscoDiscovery:               "cdp",
	layers.LayerTypeCiscoDiscoveryInfo:           "cdpinfo",
	layers.LayerTypeMLDv2MulticastListenerReport: "mld",
	layers.LayerTypeMLDv2MulticastListenerQuery:  "mld",
	layers.LayerTypeMLDv1MulticastListenerQuery:  "mld",
	layers.LayerTypeMLDv1MulticastListenerReport: "mld",
	layers.LayerTypeMLDv1MulticastListenerDone:   "mld",
	gopacket.LayerTypePayload:                    "data",
	gopacket.LayerTypeFragment:                   "data",
	gopacket.LayerTypeDecodeFailure:              "malformed",
}

// layerName returns the name of a layer: one short word in small letters.
func layerName(t gopacket.LayerType) string {
	if n, ok := names[t]; ok {
		return n
	}
	return strings.ToLower(strings.Join(strings.Fields(t.String()), ""))
}

func layerNames(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(strings.Join(layersOf(b), " ")))
}

func layersOf(b []byte) []string {
	var all []string
	for _, l := range decode(b) {
		name := layerName(l.LayerType())
		if f, ok := l.(gopacket.ErrorLayer); ok && unknown(f) {
			name = layerName(gopacket.LayerTypePayload)
		}
		all = append(all, name)
	}
	return all
}

func hasLayer(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	b, err := s.PopData()
	if err != nil {
		return err
	}
	for _, n := range layersOf(b) {
		if n == name || (name == "ip" || name == "icmp") && (n == name+"4" || n == name+"6") {
			return s.Push(interp.NewFlag(true))
		}
	}
	return s.Push(interp.NewFlag(false))
}
