// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/lib/predicate"
	"ethertap/tests/frames"
	"ethertap/words/core"
	"ethertap/words/packet"
)

// session returns a session with the words that filters are made of.
func session(t testing.TB) *interp.Session {
	t.Helper()
	dict, err := interp.NewDict(core.Set(), packet.Set(), Set())
	if err != nil {
		t.Fatal(err)
	}
	s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t testing.TB, s *interp.Session, lines string) {
	t.Helper()
	for line := range strings.SplitSeq(lines, "\n") {
		if err := s.Interpret(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// compile compiles the word f.
func compile(t testing.TB, s *interp.Session) (*Filter, error) {
	t.Helper()
	return Compile(s.Dict(), interp.NewString("f"))
}

// What words become. The trees show that an if that tells apart what is known already is
// none, and that what a field needs is asked for once.
func TestTrees(t *testing.T) {
	for _, c := range []struct{ source, tree string }{
		{`: f ( packet - flag ) dup packet.udp? if packet.dport 53 = else drop 0 then ;`, `need ethernet: is udp and (dport = 53)`},
		{`: f packet.dport 53 = ;`, `need tcp|udp|sctp: dport = 53`},
		{`: f packet.dport drop 1 ;`, `need tcp|udp|sctp: -1`},
		{`: f drop true ;`, `-1`},
		{`: f drop "0x0" ;`, `0`},
		{`: web? packet.dport 80 = ; : f dup packet.tcp? if web? else drop false then ;`, `need ethernet: is tcp and (dport = 80)`},
		{`: f dup packet.tcp? if packet.tcp? else packet.tcp? then ;`, `need ethernet: is tcp`},
		{`: f dup packet.arp? if packet.ip.ttl else packet.ip4? then ;`, `need ethernet: if is arp then need ip4|ip6: ip.ttl else is ip4`},
		{`: f dup packet.ip4? over packet.tcp? and swap packet.vlan 7 = or ;`, `need ethernet: (is ip4 and is tcp) or (vlan = 7)`},
		{`: f packet.ip.src 10.0.0.0/8 member ;`, `need ip4|ip6: (ip.src in 10.0.0.0-10.255.255.255) or (ip.src in ::ffff:10.0.0.0-::ffff:10.255.255.255)`},
		{`: f packet.ip.src ::ffff:0:1-2001:db8:: member ;`, `need ip4|ip6: (ip.src in ::ffff:0.0.0.1-2001:db8::) or (ip.src in 0.0.0.1-255.255.255.255)`},
		{`: f packet.ip.src 2001:db8::-2001:db8::9 member ;`, `need ip4|ip6: ip.src in 2001:db8::-2001:db8::9`},
		{`: f packet.ip.src 10.0.0.1 = not ;`, `need ip4|ip6: not (ip.src = 10.0.0.1)`},
		{`: f packet.src 00:00:5e:00:53:01 <> ;`, `need ethernet: not (src = 1577079553)`},
		{`: f packet.ip.dst 10.0.0.1-10.0.0.9 member ;`, `need ip4|ip6: (ip.dst in 10.0.0.1-10.0.0.9) or (ip.dst in ::ffff:10.0.0.1-::ffff:10.0.0.9)`},
		{`: f packet.ip.dst 9.255.255.255 > ;`, `need ip4|ip6: (ip.dst in 10.0.0.0-255.255.255.255) or (ip.dst in ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff)`},
		{`: f packet.ip.dst 0.0.0.0 < ;`, `need ip4|ip6: 0`},
		{`80 port ! : f packet.dport port @ = ;`, `need tcp|udp|sctp: dport = 80`},
		{`80 constant port : f packet.dport port = ;`, `need tcp|udp|sctp: dport = 80`},
		{`: f packet.len 60 100 within ;`, `need ethernet: (len - 60) below (100 - 60)`},
		{`: f {: p | n :} p packet.len to n n 60 > n 99 < and ;`, `need ethernet: (len > 60) and (len < 99)`},
		{`: f packet.dport case 53 of -1 endof 80 of 0 endof 443 = dup endcase ;`, `need tcp|udp|sctp: (dport = 53) or ((not (dport = 80)) and (dport = 443))`},
		{`: f packet.len 100 over / 1 > if drop 0 exit then drop 1 ;`, `need ethernet: (len != 0) and (not ((100 / len) > 1))`},
		{`: f packet.len 100 swap / 1 > ;`, `need ethernet: (len != 0) and ((100 / len) > 1)`},
		{`: f packet.ip.tos 2/ 63 and 46 = ;`, `need ip4|ip6: ((ip.tos / 2) & 63) = 46`},
		{`: f packet.src mac->num 1 and 0<> ;`, `need ethernet: (src & 1) != 0`},
		{`: f packet.len ?dup if 60 > else 0 then ;`, `need ethernet: len and (len > 60)`},
		{`: f packet.len dup 60 > if dup 60 > if 1 + else . then else 0 * then ;`, `need ethernet: if len > 60 then len + 1 else len * 0`},
		{`: f packet.len 5 >r 60 r> + > ;`, `need ethernet: len > 65`},
	} {
		s := session(t)
		run(t, s, c.source)
		f, err := compile(t, s)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
		} else if got := predicate.Text(f.Tree); got != c.tree {
			t.Errorf("%s\nbecomes %s\nnot     %s", c.source, got, c.tree)
		}
	}
}

// What cannot be compiled is refused with the word, the place and the reason.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{`: f ( packet - flag ) packet.len 3 0 do loop ;`, `in f, column 38: do cannot be compiled into a filter`},
		{`: f begin packet.len until ;`, `in f, column 22: loops cannot be compiled into a filter`},
		{`: f dup packet.len if recurse then ;`, `in f, column 23: words nested deeper than 16; recursion cannot be compiled`},
		{`: f dup packet.len ;`, `f leaves 2 values, not one flag`},
		{`: f drop ;`, `f leaves nothing, not a flag`},
		{`: f ;`, `f leaves the packet, not a flag`},
		{`: f drop flase ;`, `f leaves "flase", not a flag`},
		{`: f packet.len drop maybe if 1 else 0 then ;`, `in f, column 27: if: a flag is expected, not "maybe"`},
		{`: f packet.src ;`, `f leaves a MAC address, not a flag`},
		{`: f drop drop 1 ;`, `in f, column 10: drop: stack underflow ( a - )`},
		{`: f ( packet n - flag ) drop ;`, `f: a filter is given a packet and nothing else: stack underflow ( packet n - flag )`},
		{`: g ( mac - n ) drop 1 ; : f g ;`, `in f, column 30: g: mac: [data length 60] is not a MAC address ( mac - n )`},
		{`: f "tcp" packet.has ;`, `in f, column 11: packet.has cannot be compiled into a filter, since it decodes every layer; packet.udp? and its like can`},
		{`: f packet.body 1 ;`, `packet.body cannot be compiled into a filter`},
		{`: f packet.len . 1 ;`, `in f, column 16: . cannot be compiled into a filter`},
		{`: f packet.src 5 = ;`, `in f, column 18: =: a MAC address and 5 cannot be compared in a filter`},
		{`: f packet.ip.src dup = ;`, `=: an IP address and an IP address cannot be compared in a filter`},
		{`: f packet.len 10.0.0.1 = ;`, `in f, column 25: =: a number is expected, not 10.0.0.1`},
		{`: f packet.src 1 + ;`, `+: a number is expected, not a MAC address`},
		{`: f packet.src if 1 else 0 then ;`, `in f, column 16: if: a flag is expected, not a MAC address`},
		{`: f "x" packet.len ;`, `packet.len: nothing but the packet that the filter is given can be looked into, not "x"`},
		{`: f packet.ip.src 00:00:5e:00:53:01-00:00:5e:00:53:09 member ;`, `member: an address of the packet and a range that is known are expected, not an IP address and 00:00:5e:00:53:01-00:00:5e:00:53:09`},
		{`: f packet.len 0 / ;`, `in f, column 18: /: division by zero`},
		{`: f drop 1 0 / ;`, `/: division by zero`},
		{`: f drop nosuch @ ;`, `in f, column 17: @: no variable "nosuch"`},
		{`: f packet.len 7 x ! ;`, `! cannot be compiled into a filter`},
		{`: f r> drop packet.len ;`, `in f, column 5: r>: without >r in the same word`},
		{`: f packet.len dup 1 pick pick ;`, `pick: how far down is to be known when the filter is made`},
		{`: f packet.len 5 pick ;`, `pick: stack underflow`},
		{`: f packet.len 10.0.0.1 range ;`, `in f, column 25: range: what it is given has to be known when the filter is made`},
		{`defer d : f d ;`, `in f, column 13: d cannot be compiled into a filter`},
		{`: f packet.len ` + strings.Repeat("dup * ", 40) + `;`, `*: a number made of more than 4096 parts`},
		{`: f packet.len ` + strings.Repeat("dup 5 and if 1+ else 1- then ", 40) + `;`, `too long for a filter: more than 4096 steps on all ways through it together`},
		{": f ( packet - flag )\n  packet.len\n  emit 1 ;", `in f, line 3, column 3: emit cannot be compiled into a filter`},
		{`: g emit 1 ; : f packet.len g ;`, `in g, column 5: emit cannot be compiled into a filter`},
	} {
		s := session(t)
		run(t, s, c.source)
		if f, err := compile(t, s); err == nil {
			t.Errorf("%.80s: %s", c.source, predicate.Text(f.Tree))
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s\nsays %v\nnot  %s", c.source, err, c.want)
		}
	}
}

// A word from a file names the place there.
func TestPlaceInAFile(t *testing.T) {
	s := session(t)
	if err := s.Run("x.rpcl", strings.NewReader("\n: f ( packet - flag )\n\tpacket.len . 1 ;\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := compile(t, s); err == nil || err.Error() != "in f, x.rpcl:3:13: . cannot be compiled into a filter" {
		t.Error(err)
	}
}

// A filter is the name of a word, or else an expression.
func TestChoice(t *testing.T) {
	s := session(t)
	run(t, s, `: tcp ( packet - flag ) packet.udp? ;`+"\n"+`:noname packet.arp? ; name !`)
	for source, want := range map[string]string{
		"tcp": "need ethernet: is udp", "udp port 53": "", "": "-1",
	} {
		f, err := Compile(s.Dict(), interp.NewString(source))
		if err != nil || f.Source != source || want != "" && predicate.Text(f.Tree) != want {
			t.Errorf("%s: %v, %v", source, f, err)
		}
	}
	name, _ := s.Dict().Value("name")
	if f, err := Compile(s.Dict(), name); err != nil || predicate.Text(f.Tree) != "need ethernet: is arp" {
		t.Errorf(":noname: %v, %v", f, err)
	}
	for _, c := range []struct {
		v    interp.Value
		want string
	}{
		{interp.NewInt(5), "5 is not a filter, which is the name of a word ( packet - flag ) or an expression of tcpdump's language"},
		{interp.NewString("packet.udp?"), "packet.udp? is a built-in word; a filter is a word of your own ( packet - flag )"},
		{interp.NewString("dns?"), `no word of yours is called "dns?", and as an expression it is wrong: filter "dns?": at 4: "?" has no meaning here`},
		{interp.NewString("tcp prt 5"), `filter "tcp prt 5": at 5: "prt" is not expected here`},
	} {
		if _, err := Compile(s.Dict(), c.v); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, not %s", c.v.Source(), err, c.want)
		}
	}
}

// A filter does not change with the words it was made of.
func TestSnapshot(t *testing.T) {
	s := session(t)
	run(t, s, `80 port ! : g packet.dport port @ = ; : f g ;`)
	f, err := compile(t, s)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s, `443 port ! : g packet.len ;`)
	if got := predicate.Text(f.Tree); got != "need tcp|udp|sctp: dport = 80" {
		t.Error(got)
	}
}

// filter.match looks at packets by words and expressions alike, and a packet that lacks
// what is asked for does not match.
func TestMatch(t *testing.T) {
	s := session(t)
	run(t, s, `: web? ( packet - flag ) packet.dport 80 = ;`)
	packet, err := hex.DecodeString(strings.Split(sample, `"`)[1])
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		"web?": "-1", "tcp port 443": "0", "tcp port 80": "-1", "inbound": "-1", "outbound": "0", "": "-1", "ip[200] = 0": "0",
	} {
		for _, v := range []interp.Value{interp.NewData(packet), interp.NewString(filter)} {
			if err := s.Push(v); err != nil {
				t.Fatal(err)
			}
		}
		run(t, s, "filter.match")
		if v, _ := s.Pop(); v.Text() != want {
			t.Errorf("%s: %s, not %s", filter, v.Text(), want)
		}
	}
	run(t, s, `"short" "web?" filter.match "short" "ip" filter.match`)
	if s.Depth() != 2 || !s.Peek(0).IsZero() || !s.Peek(1).IsZero() {
		t.Error("a few bytes match")
	}
	if err := s.Interpret(`5 "ip" filter.match`); err == nil || err.Error() != "filter.match: packet: 5 is not data" {
		t.Error(err)
	}
}

// inVM is what a word is worth in the VM: any error is no match.
func inVM(s *interp.Session, name string, frame []byte) bool {
	s.Clear()
	if s.Push(interp.NewData(frame)) != nil || s.Execute(interp.NewString(name)) != nil {
		return false
	}
	return !s.Peek(0).IsZero()
}

// agree holds the tree of a word against the VM.
func agree(t *testing.T, s *interp.Session, f *Filter, source string, all [][]byte) (matches int) {
	t.Helper()
	var scratch predicate.Scratch
	for _, b := range all {
		want := inVM(s, "f", b)
		if want {
			matches++
		}
		if got := f.Code.Match(&scratch, &predicate.Frame{Data: b, Wire: len(b)}); (got == predicate.Match) != want || got == predicate.Undecided {
			t.Fatalf("%s\n%x\nthe VM says %v, the tree %d: %s", source, b, want, got, predicate.Text(f.Tree))
		}
	}
	return matches
}

// randomFrames are whole ones, cut ones and damaged ones.
func randomFrames(seed uint64, n int) [][]byte {
	r := frames.New(seed)
	all := make([][]byte, n)
	for i := range all {
		all[i] = r.Frame()
		if i%2 == 1 {
			all[i] = r.Damaged(all[i])
		}
	}
	return all
}

// The document names the words that can be compiled, all of them and no others.
func TestDocumentHasTheWords(t *testing.T) {
	text, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| kind | words |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for i, part := range strings.Split(table, "`") {
		for name := range strings.FieldsSeq(part) {
			if i%2 == 1 {
				named[name] = true
			}
		}
	}
	s := session(t)
	for _, set := range s.Dict().Sets() {
		for _, w := range set.Words {
			if _, ok := ruleOf(w.Name); ok != named[w.Name] && set.Name != "control" {
				t.Errorf("%s can be compiled: %v; docs/filters.md has it: %v", w.Name, ok, named[w.Name])
			}
			delete(named, w.Name)
		}
	}
	if len(named) > 0 {
		t.Errorf("docs/filters.md has words that do not exist: %v", named)
	}
}
