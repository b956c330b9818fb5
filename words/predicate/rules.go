// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"ethertap/interp"
	"ethertap/lib/predicate"
	"ethertap/words/packet"
)

// rule says how a built-in word is followed.
type rule struct {
	pure   bool        // if all its inputs are known, the VM runs it
	follow func(*path) // nil if there is no other way
}

// rules are the words that can be compiled, besides those for fields of packets.
var rules = map[string]rule{
	"dup":     {follow: func(p *path) { p.pick(0) }},
	"drop":    {follow: func(p *path) { p.pop() }},
	"endcase": {follow: func(p *path) { p.pop() }},
	"swap":    {follow: func(p *path) { p.roll(1) }},
	"over":    {follow: func(p *path) { p.pick(1) }},
	"rot":     {follow: func(p *path) { p.roll(2) }},
	"-rot":    {follow: func(p *path) { p.roll(2); p.roll(2) }},
	"nip":     {follow: func(p *path) { p.roll(1); p.pop() }},
	"tuck":    {follow: func(p *path) { p.roll(1); p.pick(1) }},
	"2dup":    {follow: func(p *path) { p.pick(1); p.pick(1) }},
	"2drop":   {follow: func(p *path) { p.pop(); p.pop() }},
	"2swap":   {follow: func(p *path) { p.roll(3); p.roll(3) }},
	"2over":   {follow: func(p *path) { p.pick(3); p.pick(3) }},
	"pick":    {follow: func(p *path) { p.pick(p.place()) }},
	"roll":    {follow: func(p *path) { p.roll(p.place()) }},
	"depth":   {follow: func(p *path) { p.push(known{interp.NewInt(int64(len(p.stack)))}) }},
	"?dup":    {follow: dupIfTrue},
	">r":      {follow: func(p *path) { p.away(1) }},
	"2>r":     {follow: func(p *path) { p.away(2) }},
	"r>":      {follow: func(p *path) { p.back(1, true) }},
	"2r>":     {follow: func(p *path) { p.back(2, true) }},
	"r@":      {follow: func(p *path) { p.back(1, false) }},
	"2r@":     {follow: func(p *path) { p.back(2, false) }},

	"+":      calculation(predicate.Add),
	"-":      calculation(predicate.Subtract),
	"*":      calculation(predicate.Multiply),
	"/":      {pure: true, follow: func(p *path) { p.divide(predicate.Divide) }},
	"mod":    {pure: true, follow: func(p *path) { p.divide(predicate.Modulo) }},
	"/mod":   {pure: true, follow: func(p *path) { p.divide(predicate.Modulo, predicate.Divide) }},
	"and":    calculation(predicate.BitAnd),
	"or":     calculation(predicate.BitOr),
	"xor":    calculation(predicate.BitXor),
	"lshift": calculation(predicate.ShiftLeft),
	"rshift": calculation(predicate.ShiftRight),
	"negate": constantFirst(predicate.Subtract, 0),
	"invert": constantFirst(predicate.BitXor, -1),
	"1+":     constant(predicate.Add, 1),
	"1-":     constant(predicate.Subtract, 1),
	"2*":     constant(predicate.Multiply, 2),
	"2/":     constant(predicate.Divide, 2),
	"abs":    {pure: true, follow: magnitude},
	"min":    {pure: true, follow: func(p *path) { p.lesser(predicate.Less) }},
	"max":    {pure: true, follow: func(p *path) { p.lesser(predicate.Greater) }},

	"=":      {pure: true, follow: func(p *path) { b, a := p.pop(), p.pop(); p.push(p.equal(a, b)) }},
	"<>":     {pure: true, follow: func(p *path) { b, a := p.pop(), p.pop(); p.push(p.equal(a, b)); p.negate() }},
	"<":      {pure: true, follow: func(p *path) { p.order(predicate.Less) }},
	">":      {pure: true, follow: func(p *path) { p.order(predicate.Greater) }},
	"<=":     {pure: true, follow: func(p *path) { p.order(predicate.AtMost) }},
	">=":     {pure: true, follow: func(p *path) { p.order(predicate.AtLeast) }},
	"u<":     {pure: true, follow: func(p *path) { b, a := p.popNumber(), p.popNumber(); p.compared(predicate.Below, a, b) }},
	"0=":     {pure: true, follow: (*path).negate},
	"0<>":    {pure: true, follow: (*path).test},
	"0<":     {pure: true, follow: func(p *path) { p.compared(predicate.Less, p.popNumber(), zero) }},
	"0>":     {pure: true, follow: func(p *path) { p.compared(predicate.Greater, p.popNumber(), zero) }},
	"within": {pure: true, follow: within},
	"member": {pure: true, follow: member},

	"mac->num": {pure: true, follow: func(p *path) {
		m, ok := p.pop().(mac)
		if !ok {
			p.fail("mac->num: a MAC address is expected")
		}
		p.push(number{m.field, 1})
	}},
	"num->mac": {pure: true}, "ip4->num": {pure: true}, "num->ip4": {pure: true},
	"str->num": {pure: true}, "str->mac_t": {pure: true}, "str->macrange_t": {pure: true}, "str->ip_t": {pure: true},
	"str->ip4_t": {pure: true}, "str->iprange_t": {pure: true},
	"range": {pure: true}, "range.first": {pure: true}, "range.last": {pure: true}, "range.count": {pure: true}, "address+": {pure: true},
	"*/": {pure: true}, "*/mod": {pure: true}, "[char]": {pure: true},
	"@": {pure: true},
}

// ruleOf returns the rule of a built-in word.
func ruleOf(name string) (r rule, ok bool) {
	if r, ok = rules[name]; ok {
		return r, true
	}
	switch e := packet.Tree(name).(type) {
	case nil:
		return r, false
	case predicate.Is:
		return layers(e.Any), true
	case predicate.Field:
		switch e {
		case predicate.MACSource, predicate.MACDestination:
			return header(e.Needs(), mac{e}), true
		case predicate.IPSource, predicate.IPDestination:
			return header(e.Needs(), address{e}), true
		}
		return header(e.Needs(), number{e, 1}), true
	default:
		return header(predicate.Ethernet, number{e, 1}), true
	}
}

// header is the rule of a word that takes the packet and leaves a field of a header, without
// which it fails.
func header(need predicate.Layers, leaves symbol) rule {
	return rule{follow: func(p *path) {
		p.popPacket()
		p.need = need
		p.push(leaves)
	}}
}

func (p *path) popPacket() {
	s := p.pop()
	if _, ok := s.(frame); !ok {
		p.fail("%s: nothing but the packet that the filter is given can be looked into, not %s", p.step().Word, s)
	}
}

// layers is the rule of a word that says whether the packet has one of some layers.
func layers(l predicate.Layers) rule {
	return rule{follow: func(p *path) {
		p.popPacket()
		if there, sure := p.known.has(l); sure {
			p.push(flagSymbol(there))
			return
		}
		p.need = predicate.Ethernet
		p.push(number{predicate.Is{Any: l}, 1})
	}}
}
