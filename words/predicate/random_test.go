// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/words/core"
	"ethertap/words/packet"
)

// writer writes random words, most of which can be compiled: it knows the types of the values on
// the stack: p the packet, n a number, m a MAC and i an IP address of it.
type writer struct {
	*rand.Rand
	tokens []string
	stack  []byte
	floor  int // values below must not be taken
	away   int // values on the return stack
	local  bool
}

func (w *writer) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w *writer) emit(tokens ...string) { w.tokens = append(w.tokens, tokens...) }

func (w *writer) push(types string) { w.stack = append(w.stack, types...) }

func (w *writer) take(n int) { w.stack = w.stack[:len(w.stack)-n] }

// top says whether values of those types lie on top.
func (w *writer) top(types string) bool {
	return len(w.stack)-len(types) >= w.floor && strings.HasSuffix(string(w.stack), types)
}

var (
	numberFields = []string{
		"packet.len", "packet.etype", "packet.vlan", "packet.arp.op", "packet.ip.proto", "packet.ip.ttl", "packet.ip.tos", "packet.sport",
		"packet.dport", "packet.tcp.flags", "packet.tcp.seq", "packet.tcp.ack",
	}
	layerWords = []string{
		"packet.ip4?", "packet.ip6?", "packet.arp?", "packet.tcp?", "packet.udp?", "packet.sctp?", "packet.icmp?", "packet.fragment?",
	}
	macs   = []string{"02:00:00:00:00:01", "02:00:00:00:00:02", `"02:00:00:00:00:03"`, "station @"}
	hosts  = []string{"10.0.0.1", "10.0.0.2", `"10.0.0.3"`, "2001:db8::1", "2001:db8::2", "::ffff:10.0.0.1", "::", "255.255.255.255", "host"}
	ranges = []string{
		"10.0.0.1-10.0.0.2", `"10.0.0.0/30"`, "2001:db8::1-2001:db8::2", `"::ffff:10.0.0.0/127"`, "::-2001:db8::1", "10.0.0.1 10.0.0.3 range", "net",
		"10.0.0.2",
	}
)

func (w *writer) constant() string {
	return w.pick("0", "1", "2", "-1", "4", "6", "17", "53", "80", "443", "64", "0x0800", "255", "1000", "9223372036854775807", `"80"`, "port @", "sixteen")
}

// step writes a few tokens.
func (w *writer) step(depth int) {
	switch w.IntN(14) {
	case 0:
		w.emit(w.constant())
		w.push("n")
	case 1, 2, 3:
		w.field()
	case 4, 5, 6:
		w.number()
	case 7, 8:
		w.compare()
	case 9:
		w.shuffle()
	case 10, 11:
		if depth > 0 && w.top("n") {
			w.structure(depth - 1)
		}
	case 12:
		if w.away == 0 && len(w.stack) > w.floor {
			top := string(w.stack[len(w.stack)-1:])
			w.emit(">r")
			w.take(1)
			w.away++
			w.step(0)
			w.emit(w.pick("r>", "r@"))
			w.push(top)
			if w.tokens[len(w.tokens)-1] == "r@" {
				w.emit("r>", "drop")
			}
			w.away--
		}
	default:
		w.call()
	}
}

// field reads a field of the packet, which is copied to the top.
func (w *writer) field() {
	switch i := slices.Index(w.stack, 'p'); {
	case w.local && w.IntN(2) == 0:
		w.emit("pkt")
	case i < 0:
		return
	case i == len(w.stack)-1 && i >= w.floor && w.IntN(3) > 0: // the original, which is gone then
		w.take(1)
	case i == len(w.stack)-1:
		w.emit("dup")
	case i == len(w.stack)-2:
		w.emit("over")
	default:
		w.emit(fmt.Sprint(len(w.stack)-1-i), "pick")
	}
	switch w.IntN(5) {
	case 0:
		w.emit(w.pick("packet.src", "packet.dst"))
		w.push("m")
	case 1:
		w.emit(w.pick("packet.ip.src", "packet.ip.dst"))
		w.push("i")
	case 2:
		w.emit(w.pick(layerWords...))
		w.push("n")
	default:
		w.emit(w.pick(numberFields...))
		w.push("n")
	}
}

func (w *writer) number() {
	switch {
	case w.top("nn") && w.IntN(2) == 0:
		w.emit(w.pick("+", "-", "*", "/", "mod", "and", "or", "xor", "min", "max", "lshift", "rshift"))
		w.take(1)
	case w.top("nnn") && w.IntN(2) == 0:
		w.emit("within")
		w.take(2)
	case w.top("n") && w.IntN(2) == 0:
		w.emit(w.constant(), w.pick("+", "-", "*", "/", "mod", "and", "or", "xor", "min", "max", "lshift", "rshift"))
	case w.top("n"):
		w.emit(w.pick("negate", "abs", "1+", "1-", "2*", "2/", "invert", "0=", "0<", "0>", "0<>", "not"))
	}
}

func (w *writer) compare() {
	order := w.pick("=", "<>", "<", ">", "<=", ">=")
	switch {
	case w.top("m") && w.IntN(4) == 0:
		w.emit(w.pick("02:00:00:00:00:01-02:00:00:00:00:02", "02:00:00:00:00:03"), "member")
	case w.top("m"):
		w.emit(w.pick(macs...), order)
	case w.top("i") && w.IntN(3) == 0:
		w.emit(w.pick(ranges...), "member")
	case w.top("i") && w.IntN(3) == 0:
		w.emit(w.pick(hosts...), w.pick(hosts...), "within")
	case w.top("i"):
		w.emit(w.pick(hosts...), order)
	case w.top("nn") && w.IntN(2) == 0:
		w.emit(w.pick(order, "u<", "u>"))
		w.take(1)
		return
	case w.top("n"):
		w.emit(w.constant(), w.pick(order, "u<", "u>"))
		return
	default:
		return
	}
	w.take(1)
	w.push("n")
}

func (w *writer) shuffle() {
	words := []struct {
		name   string
		places []int // the values there, as places below the old top
		takes  int
	}{
		{"dup", []int{0, 0}, 1}, {"drop", nil, 1}, {"swap", []int{0, 1}, 2}, {"over", []int{1, 0, 1}, 2}, {"nip", []int{0}, 2},
		{"tuck", []int{0, 1, 0}, 2}, {"2dup", []int{1, 0, 1, 0}, 2}, {"2drop", nil, 2}, {"rot", []int{1, 0, 2}, 3}, {"-rot", []int{0, 2, 1}, 3},
		{"2swap", []int{1, 0, 3, 2}, 4}, {"2over", []int{3, 2, 1, 0, 3, 2}, 4}, {"2 roll", []int{1, 0, 2}, 3},
	}
	c := words[w.IntN(len(words))]
	if len(w.stack)-c.takes < w.floor {
		return
	}
	before := slices.Clone(w.stack)
	w.emit(strings.Fields(c.name)...)
	w.take(c.takes)
	for _, place := range c.places {
		w.stack = append(w.stack, before[len(before)-1-place])
	}
}

// leave drops everything above the floor but a number.
func (w *writer) leave() {
	if !w.top("n") {
		w.emit(w.constant())
		w.push("n")
	}
	for len(w.stack) > w.floor+1 {
		w.emit("nip")
		w.take(1)
		w.stack[len(w.stack)-1] = 'n'
	}
}

// branch writes code that leaves a number on the stack.
func (w *writer) branch(depth int) {
	floor, stack := w.floor, slices.Clone(w.stack)
	w.floor = len(stack)
	for range w.IntN(5) {
		w.step(depth)
	}
	w.leave()
	w.floor, w.stack = floor, stack
}

func (w *writer) structure(depth int) {
	w.take(1)
	switch w.IntN(4) {
	case 0:
		w.emit("case")
		for range 1 + w.IntN(2) {
			w.emit(w.constant(), "of")
			w.branch(depth)
			w.emit("endof")
		}
		w.emit("0", "swap", "endcase")
	case 1:
		if w.away > 0 {
			w.emit("drop")
			return
		}
		w.emit("if")
		floor, stack := w.floor, slices.Clone(w.stack)
		w.floor = 0
		w.leave()
		w.emit("exit", "then", "1")
		w.floor, w.stack = floor, stack
	default:
		w.emit("if")
		w.branch(depth)
		w.emit("else")
		w.branch(depth)
		w.emit("then")
	}
	w.push("n")
}

// helpers are words that the words call.
const helpers = `53 port ! "02:00:00:00:00:02" station ! 16 constant sixteen 10.0.0.2 value host 10.0.0.0 10.0.0.1 range constant net
: high ( n - flag ) 1023 > ;
: both ( n n - flag ) 0<> swap 0<> and ;
: syn? ( packet - flag ) packet.tcp.flags 18 and 2 = ;
: udp-port ( packet - n ) dup packet.udp? if packet.dport else drop 0 then ;
: clamp ( n low high - n ) {: low high :} low max high min ;
: third ( n - flag ) case 80 of -1 endof 443 of 1 endof 2 > dup endcase if 5 else 0 then ;`

func (w *writer) call() {
	switch c := w.pick("high", "both", "syn?", "udp-port", "clamp", "third"); {
	case (c == "high" || c == "third") && w.top("n"):
		w.emit(c)
	case c == "both" && w.top("nn"):
		w.emit(c)
		w.take(1)
	case c == "clamp" && w.top("n"):
		w.emit("10", "1000", c)
	case w.top("p"):
		w.emit("dup", w.pick("syn?", "udp-port"))
		w.push("n")
	}
}

// word writes a word.
func (w *writer) word() string {
	w.tokens, w.stack, w.floor, w.away, w.local = nil, []byte("p"), 0, 0, w.IntN(4) == 0
	if w.local {
		w.emit("{:", "pkt", ":}")
		w.take(1)
	}
	for range 3 + w.IntN(12) {
		w.step(2)
	}
	w.leave()
	return strings.Join(w.tokens, " ")
}

// choose returns the long form's number in a soak, else the short one's.
func choose(long, short int) int {
	if os.Getenv("ETHERTAP_SOAK") != "" {
		return long
	}
	return short
}

// Random words mean the same in the VM and as trees, on random frames.
func TestSoakWords(t *testing.T) {
	s := session(t)
	run(t, s, helpers)
	w := &writer{Rand: rand.New(rand.NewPCG(3, 5))}
	all := randomFrames(11, 4000)
	words, mixed := choose(40_000, 1500), 0
	refused := map[string]int{}
	for i := range words {
		source := w.word()
		if err := s.Interpret(": f " + source + " ;"); err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		f, err := compile(t, s)
		if err != nil {
			refused[fmt.Sprintf("%.200v", err)]++
			continue
		}
		some := all[i*40%(len(all)-40):][:40]
		if n := agree(t, s, f, source, some); n > 0 && n < len(some) {
			mixed++
		}
	}
	n := 0
	for _, c := range refused {
		n += c
	}
	if n > words/4 || mixed < words/4 {
		t.Errorf("%d of %d words are refused, %d take some frames and not others: %v", n, words, mixed, refused)
	}
}

// prelude has the words of the library of that name that the test uses.
const prelude = ": true -1 ;\n: false 0 ;\n: not 0= ;\n: u> swap u< ;\n"

// restricted has only the words for filters, and those that are refused by nature: no word that
// reads, writes or waits.
func restricted(t testing.TB) *interp.Session {
	t.Helper()
	set := core.Set()
	set.Words = slices.DeleteFunc(slices.Clone(set.Words), func(w interp.Word) bool { return rules[w.Name].follow == nil && !rules[w.Name].pure })
	dict, err := interp.NewDict(set, packet.Set())
	if err != nil {
		t.Fatal(err)
	}
	return interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
}

// vocabulary has all tokens that can occur in a word.
func vocabulary() []string {
	tokens := []string{
		"if", "else", "then", "case", "of", "endof", "endcase", "exit", "recurse", "{:", ":}", "a", "b", "|", "to a", "do", "loop", "begin", "until", "i",
		"0", "1", "2", "53", "-1", `"80"`, `"x"`, "10.0.0.1", "2001:db8::1", "02:00:00:00:00:01", "10.0.0.1-10.0.0.2", "port", "packet.body", "packet.has",
	}
	for name := range rules {
		tokens = append(tokens, name)
	}
	slices.Sort(tokens)
	return append(tokens, numberFields...)
}

// Words with tokens replaced, removed and inserted are refused, or mean the same as in the VM.
func TestSoakSpoiledWords(t *testing.T) {
	s := restricted(t)
	run(t, s, prelude+helpers)
	w := &writer{Rand: rand.New(rand.NewPCG(8, 9))}
	tokens, all := vocabulary(), randomFrames(12, 2000)
	words, compiled := choose(100_000, 4000), 0
	for i := range words {
		line := strings.Fields(w.word())
		for range 1 + w.IntN(3) {
			at := w.IntN(len(line))
			switch w.IntN(3) {
			case 0:
				line[at] = tokens[w.IntN(len(tokens))]
			case 1:
				line = slices.Insert(line, at, tokens[w.IntN(len(tokens))])
			default:
				if len(line) > 1 {
					line = slices.Delete(line, at, at+1)
				}
			}
		}
		if source, f := tryWord(s, strings.Join(line, " ")); f != nil {
			compiled++
			agree(t, s, f, source, all[i%(len(all)-20):][:20])
		}
	}
	if compiled < words/20 || compiled > words*9/10 {
		t.Errorf("%d of %d words are compiled", compiled, words)
	}
}

// tryWord defines f; it returns nil if f cannot be compiled.
func tryWord(s *interp.Session, body string) (source string, f *Filter) {
	source = ": f " + body + " ;"
	s.Clear()
	if s.Interpret(source) != nil || s.Open() != "" {
		s.Abandon()
		return source, nil
	}
	f, err := Compile(s.Dict(), interp.NewString("f"))
	if err != nil {
		return source, nil
	}
	return source, f
}

func FuzzWord(f *testing.F) {
	w := &writer{Rand: rand.New(rand.NewPCG(3, 5))}
	for _, b := range randomFrames(13, 40) {
		f.Add(w.word(), b)
	}
	f.Fuzz(func(t *testing.T, body string, frame []byte) {
		if strings.ContainsAny(body, ":;\n\r[") && !strings.Contains(body, "{:") || strings.Contains(body, ";") || len(body) > 1000 {
			return // more than one definition
		}
		s := restricted(t)
		run(t, s, prelude+helpers)
		if source, c := tryWord(s, body); c != nil {
			agree(t, s, c, source, [][]byte{frame})
		}
	})
}
