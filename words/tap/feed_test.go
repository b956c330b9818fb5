// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"bytes"
	"strings"
	"testing"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/core"
	"ethertap/words/packet"
	"ethertap/words/report"
)

// paper is an engine that moves no frames: it has a policy and two interfaces.
type paper struct{ policy policy.Policy }

func (p *paper) PortNames() []string { return []string{"left", "right"} }

func (p *paper) PortNamed(name string) (int, bool) {
	for i, n := range p.PortNames() {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

func (p *paper) Filtered(int) (instructions int, why string) { return 44, "" }

func (p *paper) Policy() policy.Policy { return p.policy }

func (p *paper) Update(fn func(*policy.Policy) error) error {
	next := p.policy.Clone()
	err := fn(&next)
	if err == nil {
		p.policy = next
	}
	return err
}

func (p *paper) AddQueue(name string) error {
	p.policy.Taps = append(p.policy.Taps, policy.Tap{Name: name})
	return nil
}

func (p *paper) RemoveQueue(string) error {
	p.policy.Taps = p.policy.Taps[:1]
	return nil
}

// FurtherCounts returns three figures that differ, so that no two can be exchanged.
func (p *paper) FurtherCounts(string) (stored, refused, lost uint64) { return 11, 22, 33 }

// Each row of pqueue.show has the figure that its label says, for the queue whose words were
// used and no other.
func TestRowsOfFurtherQueues(t *testing.T) {
	e := &paper{policy.New()}
	dict, err := interp.NewDict(Words(e, report.Source{}), QueueWords(nil, e, report.Source{}))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	err = s.Interpret(`left tap.tx.enable "a" pqueue.add "b" pqueue.add right "b" pqueue.rx.enable 0 "b" pqueue.tx.enable
"arp" 1 "b" pqueue.rx.filter 00:23:7d:86:71:ff "b" pqueue.hash.insert pqueue.show pqueue.json`)
	if err != nil {
		t.Fatal(err)
	}
	s.Flush()
	want := `packet queue a
  tapped    11
  full      22
  lost      33
packet queue b
  tapped    11
  full      22
  lost      33
  TX tap    0 left
  RX tap    1 right: arp
  hash      00:23:7d:86:71:ff Hewlett Packard
`
	got, json, _ := strings.Cut(out.String(), "{")
	if got != want {
		t.Errorf("pqueue.show:\n%s", got)
	}
	const none = `"rx_filter":{"source":"","tree":""},"tx_filter":{"source":"","tree":""}`
	keys := `"queues":[{"name":"a","tapped":11,"full":22,"lost":33,"interfaces":[{"index":0,"name":"left","rx_tap":false,"tx_tap":false,` + none + `},` +
		`{"index":1,"name":"right","rx_tap":false,"tx_tap":false,` + none + `}],"hash":[]},{"name":"b",`
	if !strings.Contains(json, keys) || !strings.Contains(json, `"rx_tap":true,"tx_tap":false,"rx_filter":{"source":"arp","tree":"[12:2] = 2054"}`) {
		t.Errorf("pqueue.json: %s", json)
	}
	if first := e.policy.First(); first.RX != [2]bool{} || first.TX != [2]bool{true, false} {
		t.Errorf("the TAP queue: %+v", first)
	}
}

// A filter of a tap that is off is hinted at, and one whose word has changed or is gone says so.
func TestFiltersWithoutEffect(t *testing.T) {
	e := &paper{policy.New()}
	dict, err := interp.NewDict(core.Set(), packet.Set(), Words(e, report.Source{}), QueueWords(nil, e, report.Source{}))
	if err != nil {
		t.Fatal(err)
	}
	var out, hints bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &hints)
	for _, line := range []string{
		`: small? ( packet - flag ) packet.len 100 < ; : tcp? ( packet - flag ) packet.tcp? ;`,
		`"b" pqueue.add "udp" 1 "b" pqueue.tx.filter "small?" 0 tap.rx.filter "tcp?" 1 tap.rx.filter 1 tap.rx.enable`,
		`"" 1 "b" pqueue.tx.filter 0 tap.rx.enable "small?" 0 tap.rx.filter`,
		`: small? ( packet - flag ) packet.len 80 < ; "tcp?" delete`,
		`tap.filter.show`,
	} {
		if err := s.Interpret(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	s.Flush()
	const hint = "hint: the TX tap of interface 1 is off, so its filter has no effect yet; pqueue.tx.enable switches it on\n" +
		"hint: the RX tap of interface 0 is off, so its filter has no effect yet; tap.rx.enable switches it on\n"
	if got := hints.String(); got != hint+"redefined small?\n" {
		t.Errorf("%s", got)
	}
	if got := out.String(); strings.Count(got, "would mean something else") != 2 {
		t.Errorf("%s", got)
	}
}

// A program without an engine has the words of queues by name, and none that feeds one.
func TestQueueWordsWithoutAnEngine(t *testing.T) {
	names := map[string]bool{}
	for _, w := range QueueWords(nil, nil, report.Source{}).Words {
		names[w.Name] = true
	}
	if !names["tap.queue.get"] || !names["pqueue.create"] || names["pqueue.add"] || names["pqueue.rx.enable"] {
		t.Errorf("%v", names)
	}
}
