package tap

import (
	"bytes"
	"strings"
	"testing"

	"ethertap/dataplane/policy"
	"ethertap/interp"
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
00:23:7d:86:71:ff "b" pqueue.hash.insert pqueue.show pqueue.json`)
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
  RX tap    1 right
  hash      00:23:7d:86:71:ff Hewlett Packard
`
	got, json, _ := strings.Cut(out.String(), "{")
	if got != want {
		t.Errorf("pqueue.show:\n%s", got)
	}
	keys := `"queues":[{"name":"a","tapped":11,"full":22,"lost":33,"interfaces":[{"index":0,"name":"left","rx_tap":false,"tx_tap":false},` +
		`{"index":1,"name":"right","rx_tap":false,"tx_tap":false}],"hash":[]},{"name":"b",`
	if !strings.Contains(json, keys) {
		t.Errorf("pqueue.json: %s", json)
	}
	if first := e.policy.First(); first.RX != [2]bool{} || first.TX != [2]bool{true, false} {
		t.Errorf("the TAP queue: %+v", first)
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
