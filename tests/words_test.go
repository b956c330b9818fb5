// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/interp"
	"ethertap/words/core"
)

// Every word of ethertap has an example, and it runs.
func TestExamples(t *testing.T) {
	dict, q := dictionary(t)
	for _, set := range dict.Sets() {
		for _, w := range set.Words {
			s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
			if err := core.Prelude(s); err != nil {
				t.Fatal(err)
			}
			if w.Example == "" {
				t.Errorf("%s has no example", w.Name)
			}
			if err := s.Run(w.Name, strings.NewReader(private(q, w.Example))); err != nil {
				t.Error(err)
			}
		}
	}
}

// On a mirrored interface every word that asks for a fault or a TX tap is an error that says
// so, and changes nothing; those that take one away or show what there is are none.
func TestMirrorRefusesWhatHasNoEffect(t *testing.T) {
	dict, q := dictionaryOf(t, "enp1s0f0")
	asked := 0
	for _, set := range dict.Sets() {
		for _, w := range set.Words {
			fault := strings.HasPrefix(w.Name, "fault.")
			if !fault && !strings.HasPrefix(w.Name, "tap.tx.") && !strings.HasPrefix(w.Name, "pqueue.tx.") {
				continue
			}
			want := ""
			switch parts := strings.Split(w.Name, "."); {
			case slices.ContainsFunc(parts, func(s string) bool {
				return slices.Contains([]string{"disable", "reset", "show", "json", "delete"}, s)
			}):
			case fault:
				want = "is mirrored: nothing is forwarded that a fault could be done to"
			default:
				want = "is mirrored: nothing is sent that a TX tap could take"
			}
			// Where an example sets something to show it, the word alone is of interest.
			example := private(q, w.Example)
			for _, sets := range []string{"0 fault.enable ", `"udp port 53" fault.filter `} {
				example = strings.TrimPrefix(example, sets)
			}
			s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
			err := s.Interpret(example)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), w.Name) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", example, err, want)
			}
			if want != "" {
				asked++
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d words were asked", asked)
	}
	var out strings.Builder
	s := interp.NewSession(dict, strings.NewReader(""), &out, io.Discard)
	if err := s.Interpret("fault.show"); err != nil || !strings.Contains(out.String(), "fault injection disabled") {
		t.Errorf("%v, %s", err, &out)
	}
	for _, line := range []string{"0 tap.rx.enable", "00:23:7d:86:71:ff drop.hash.insert", "0 0 fault.drop.probability"} {
		if err := s.Interpret(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Every word that asks for an interface takes its number or its name, and its error for another
// lists the interfaces there are.
func TestInterfacesByNumberOrName(t *testing.T) {
	dict, q := dictionary(t)
	asked := 0
	for _, set := range dict.Sets() {
		for _, w := range set.Words {
			if !strings.Contains(w.Stack, "interface") {
				continue
			}
			asked++
			// The interface is the last number of the examples, before the name of a queue if there is one.
			last := strings.LastIndex(w.Example, "0 "+w.Name)
			if named := strings.LastIndex(w.Example, `0 "`); last < 0 {
				last = named
			}
			if last < 0 {
				t.Errorf("%s: the example %s has no interface 0", w.Name, w.Example)
				continue
			}
			for given, want := range map[string]string{
				"0": "", "enp1s0f0": "", `"enp1s0f0"`: "",
				"2": "there is no interface 2, only 0 enp1s0f0 and 1 enp1s0f1", "-1": "there is no interface -1, only 0 enp1s0f0 and 1 enp1s0f1",
				"eth7": `there is no interface "eth7", only 0 enp1s0f0 and 1 enp1s0f1`,
			} {
				line := private(q, w.Example[:last]+given+w.Example[last+1:])
				s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
				err := s.Interpret(line)
				if want == "" && err != nil || want != "" && (err == nil || err.Error() != w.Name+": "+want) {
					t.Errorf("%s: %v, want %q", line, err, want)
				}
			}
		}
	}
	if asked < 30 {
		t.Errorf("only %d words ask for an interface", asked)
	}
}

// samples are values of every type, extreme ones among them.
func samples() []interp.Value {
	mac, ip, ip6 := [6]byte{0, 0x23, 0x7d, 0x86, 0x71, 0xff}, netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("fe80::1")
	return []interp.Value{
		interp.NewInt(0), interp.NewInt(1), interp.NewInt(-1), interp.NewInt(math.MaxInt64), interp.NewInt(math.MinInt64),
		interp.NewString(""), interp.NewString("table"), interp.NewString(strings.Repeat("é", interp.MaxValue/2)),
		interp.NewData(make([]byte, 7)), interp.NewUint(interp.Uint64, 1<<63),
		interp.NewMAC(mac), interp.NewIP(ip),
		// the rest is for words of one and two inputs
		interp.NewInt(7), interp.NewInt(16), interp.NewInt(1 << 40),
		interp.NewString("x y"), interp.NewString("5"), interp.NewData(nil), interp.NewIPRange(ip, ip),
		interp.NewString("counter"), interp.NewString("normal"), interp.NewString("wifi"), interp.NewString("later"), interp.NewString("+"), interp.NewString("%d"), interp.NewString("prelude"), interp.NewString("2026-11-24"),
		interp.NewData(make([]byte, interp.MaxValue)), interp.NewData(tcpFrame), interp.NewData(arpFrame), interp.NewData(echoFrame), interp.NewUint(interp.Int8, 0x80),
		interp.NewMACRange(mac, mac), interp.NewIP(ip6),
	}
}

// forThree is how many of the samples go into words of three inputs and more, in all
// combinations.
const forThree = 12

// untold are the words whose comment does not say how many values they leave, since
// other source decides it.
var untold = map[string]bool{
	"load": true, "load-if-present": true, "execute": true, "capture": true, "pager": true, "watch": true, "try": true, "throw": true,
	"catch": true, "evaluate": true, `abort"`: true, "bye": true, ".cs": true, "{": true, "}": true,
}

// results returns how many values a word leaves by its stack comment; several numbers
// where it has alternatives, and nil where it does not tell.
func results(w *interp.Word) (counts []int) {
	if untold[w.Name] {
		return nil
	}
	left, right, _ := strings.Cut(strings.Trim(w.Stack, "() "), "-")
	if strings.Contains(left, "…") {
		return nil
	}
	for _, alternative := range strings.Split(right+" ", " | ") {
		if strings.Contains(alternative, "…") || strings.Contains(alternative, "[") {
			return nil
		}
		counts = append(counts, len(strings.Fields(alternative)))
	}
	return counts
}

// unreached are the words that need more than values on the stack to end well: the
// suite in forth/, the transcripts and the tests of the dataplane have them.
// Words on a queue by name need one, which TestExamples makes.
var unreached = map[string]bool{
	"throw": true, "see": true, "watch": true, "}": true, "pick": true, "roll": true, "r>": true, "r@": true, "2r>": true, "2r@": true, "abort": true,
	"replay.pause": true, "replay.resume": true, "replay.seek": true, "replay.wait": true, // they need a capture
	"if.start": true, "if.poll": true, "if.timestamps": true,
}

// Every word, on too few values and on all values of every type and size, ends well
// with as many results as its comment says, or fails and leaves the stack as it was.
func TestWordsOnAllValues(t *testing.T) {
	dict, _ := dictionary(t)
	for _, set := range dict.Sets() {
		if set.Name == "control" {
			continue // they need a compiler
		}
		for i := range set.Words {
			w := &set.Words[i]
			t.Run(w.Name, func(t *testing.T) {
				if n := callOnAll(t, dict, w); n == 0 && !unreached[w.Name] && !(strings.HasPrefix(w.Name, "pqueue.") && strings.Contains(w.Stack, "name -")) {
					t.Errorf("%s %s runs on none of the samples; its comment cannot be checked", w.Name, w.Stack)
				}
			})
		}
	}
}

// callOnAll calls a word on all samples in all places, and returns how many calls
// ended well.
func callOnAll(t *testing.T, dict *interp.Dict, w *interp.Word) (well int) {
	_, most := w.Inputs()
	s := interp.NewSession(dict, strings.NewReader("some\ninput\n"), io.Discard, io.Discard)
	if err := s.Interpret(`timer-start 5 "counter" ! 16 "table" buffer defer later 0 fault.enable`); err != nil {
		t.Fatal(err)
	}
	for n := range most + 1 {
		random := rand.New(rand.NewPCG(uint64(n), 0))
		all := samples()
		if n > 2 || waiting[w.Name] {
			all = all[:forThree]
		}
		calls := int(math.Pow(float64(len(all)), float64(min(n, 3))))
		for c := range calls {
			s.Clear()
			values := make([]interp.Value, n)
			for i := range values {
				if i < 3 {
					values[i], c = all[c%len(all)], c/len(all)
				} else { // all combinations of three values are enough
					values[i] = all[random.IntN(len(all))]
				}
				if err := s.Push(values[i]); err != nil {
					t.Fatal(err)
				}
			}
			if call(t, s, w, values) {
				well++
			}
			if s.Left() || t.Failed() {
				return well
			}
		}
	}
	return well
}

// waiting are the words that may wait for long; they are interrupted.
var waiting = map[string]bool{"ms": true, "key": true, "read-line": true, "watch": true}

// call calls a word on the values that are on the stack, tells whether it ended well,
// and checks what it leaves.
func call(t *testing.T, s *interp.Session, w *interp.Word, values []interp.Value) bool {
	t.Helper()
	if waiting[w.Name] {
		timer := time.AfterFunc(20*time.Millisecond, s.Interrupt)
		defer timer.Stop()
	}
	err := s.Interpret(w.Name + behind(w))
	if least, _ := w.Inputs(); err == nil && len(values) < least {
		t.Errorf("%s runs on %d values", w.Name, len(values))
	}
	if s.Left() {
		return true
	}
	if err == nil {
		if counts := results(w); counts != nil && !slices.Contains(counts, s.Depth()) {
			t.Errorf("%s %s: on %s it leaves %d values", w.Name, w.Stack, sources(values), s.Depth())
		}
		return true
	}
	if text := strings.TrimPrefix(err.Error(), w.Name+": "); w.Name != "throw" && (strings.Contains(text, "\n") || len(text) > 600 || goText.MatchString(text)) {
		t.Errorf("%s on %s: the error has more than one line, is too long, or speaks of Go: %q", w.Name, sources(values), text)
	}
	same := s.Depth() == len(values)
	for i := 0; same && i < len(values); i++ {
		same = s.Peek(len(values) - 1 - i).Equal(values[i])
	}
	if !same && !untold[w.Name] {
		t.Errorf("%s on %s fails (%v) and leaves another stack of %d", w.Name, sources(values), err, s.Depth())
	}
	return false
}

// goText is what packages of Go say, not RPCL.
var goText = regexp.MustCompile(`\b(encoding|strconv|netip|ParseAddr|ParseInt|invalid syntax|reflect|runtime|(hex|net|time|json|os|fmt|io): |(open|read|stat|lstat) \S+: )`)

// behind is source for a word that takes something from there.
func behind(w *interp.Word) string {
	switch {
	case strings.Contains(w.Stack, `"name"`):
		return " later"
	case strings.Contains(w.Stack, `"char"`):
		return " A"
	case strings.Contains(w.Stack, `"text"`):
		return ` a text"`
	}
	return ""
}

func sources(values []interp.Value) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, " %.40s", v.Source())
	}
	return b.String()
}

// tcpFrame is a frame that packet words take for one: VLAN 5, IPv4, TCP, "GET".
var tcpFrame = []byte("\x00\x00\x5e\x00\x53\x01\x00\x00\x5e\x00\x53\x02\x81\x00\x00\x05\x08\x00" +
	"\x45\x00\x00\x2b\x00\x01\x00\x00\x40\x06\x24\xca\x0a\x01\x01\x01\x0a\x01\x01\x02" +
	"\x1f\x90\x00\x50\x00\x00\x00\x01\x00\x00\x00\x02\x50\x18\x10\x00\x00\x00\x00\x00GET")

// arpFrame asks who has 10.1.1.2.
var arpFrame = []byte("\xff\xff\xff\xff\xff\xff\x00\x00\x5e\x00\x53\x02\x08\x06" +
	"\x00\x01\x08\x00\x06\x04\x00\x01\x00\x00\x5e\x00\x53\x02\x0a\x01\x01\x01\x00\x00\x00\x00\x00\x00\x0a\x01\x01\x02")

// echoFrame is an ICMP echo request.
var echoFrame = []byte("\x00\x00\x5e\x00\x53\x01\x00\x00\x5e\x00\x53\x02\x08\x00\x45\x00\x00\x1c\x00\x01\x00\x00\x40\x01\x64\xcf" +
	"\x0a\x01\x01\x01\x0a\x01\x01\x02\x08\x00\xf7\xfd\x00\x01\x00\x01")
