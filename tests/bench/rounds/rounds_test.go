// SPDX-License-Identifier: BSD-3-Clause

package rounds

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// steady returns the numbers one after the other.
func steady(v ...float64) func() (float64, error) {
	return func() (float64, error) {
		n := v[0]
		v = append(v[1:], n)
		return n, nil
	}
}

func TestTable(t *testing.T) {
	rows := []Row{
		{Name: "copy 64", Unit: "ns/packet", Ours: Contender{"ours", steady(20, 40, 10)}, Peers: []Peer{
			{Contender{"plain", steady(10, 20, 5)}, 1.8},
			{Contender{"slow", steady(100, 400, 25)}, 1},
			{Contender{"absent", func() (float64, error) { return 0, errors.New("not installed") }}, 1},
		}},
		{Name: "rate", Unit: "kpps", More: true, Ours: Contender{"ours", steady(970)}, Peers: []Peer{{Contender{"c", steady(1000)}, 0.97}}},
		{Name: "loss-free", Unit: "kpps", More: true, Ours: Contender{"ours", steady(90, 300, 120)}, Peers: []Peer{
			{Contender{"both sides", steady(100, 100, 100)}, 1},
			{Contender{"now and then", steady(0, 100, 100)}, 1},
			{Contender{"never", steady(0)}, 1.5},
		}},
		{Name: "lost", Unit: "frames", Ours: Contender{"ours", steady(0, 0, 2)}, Peers: []Peer{{Contender{"limit", steady(0)}, 1}}},
		{Name: "alone", Unit: "ms", Ours: Contender{"ours", steady(1.5)}},
	}
	results, err := Measure(rows, Options{Rounds: 3, Warm: 3})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := Table(&b, results); err != nil {
		t.Fatal(err)
	}
	const want = `row        unit       ours  peer          its   ratio  verdict
copy 64    ns/packet  20.0  plain         10.0  2.00   aim ≤ 1.80 missed
copy 64    ns/packet  20.0  slow          100   0.20   aim ≤ 1.00 met
copy 64    ns/packet  20.0  absent        -     -      not installed
rate       kpps       970   c             1000  0.97   aim ≥ 0.97 met
loss-free  kpps       120   both sides    100   1.20   aim ≥ 1.00 met; noisy: ratios scatter by 88 %
loss-free  kpps       120   now and then  100   2.10   aim ≥ 1.00 met
loss-free  kpps       120   never         0.00  -      aim ≥ 1.50 met
lost       frames     0.00  limit         0.00  -      aim ≤ 1.00 met
alone      ms         1.50                             
`
	if b.String() != want {
		t.Errorf("printed\n%s, not\n%s", &b, want)
	}
	file, err := Save(t.TempDir(), "queue", results)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(file)
	for _, line := range []string{"\nBenchmarkcopy_64/ours 1 40 ns/packet\n", "\nBenchmarkcopy_64/slow 1 400 ns/packet\n", "\nBenchmarkalone/ours 1 1.5 ms\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	if strings.Contains(string(text), "absent") {
		t.Errorf("a peer that failed is in\n%s", text)
	}
}

func TestOursFails(t *testing.T) {
	_, err := Measure([]Row{{Name: "x", Ours: Contender{"ours", func() (float64, error) { return 0, errors.New("broken") }}}}, Options{})
	if err == nil || err.Error() != "x: ours: broken" {
		t.Errorf("failed with %v", err)
	}
}
