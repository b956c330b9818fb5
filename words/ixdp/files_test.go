// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// write returns the name of a new file with some text.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDistributionsFromFiles(t *testing.T) {
	d, err := distributionFrom(write(t, "# a table\n-8192 0\t8192\n\n 16384 # twice\n-32768 32767\n"))
	if err != nil || d.Shape != policy.Table || d.Len() != 6 {
		t.Fatalf("%+v, %v", d, err)
	}
	for i, want := range []int16{-8192, 0, 8192, 16384, -32768, 32767} {
		if got := d.At(uint32(i)); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
	for text, want := range map[string]string{
		"":                                 `" has no numbers`,
		"# 1\n\n":                          `" has no numbers`,
		"1 2\nx 4\n":                       `:2: "x" is no number`,
		"1\n2\n1.5":                        `:3: "1.5" is no number`,
		"32768":                            ":1: 32768 is not in -32768…32767; 8192 is one jitter",
		strings.Repeat("1\n", 16385):       ":16385: there are more than 16384 numbers",
		strings.Repeat("1", longestLine+1): ":1: bufio.Scanner: token too long",
	} {
		if _, err := distributionFrom(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := distributionFrom(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Error(err)
	}
}

func TestTracesFromFiles(t *testing.T) {
	got, err := traceFrom(write(t, "# time loss\n0s 0%\n1.5s\t5%  # more\n2s 100%\n2.5s 50000\n3s repeat\n"))
	want, _ := policy.TraceOf(got.File, []policy.Step{{At: 0}, {At: 1500 * time.Millisecond, Loss: 5000}, {At: 2 * time.Second, Loss: 100000}, {At: 2500 * time.Millisecond, Loss: 50000}}, 3*time.Second)
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err = traceFrom(write(t, "0 0\n10ms 1%")); err != nil || got.Len() != 2 || got.Repeat != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	var long strings.Builder
	for i := range policy.TraceSize + 1 {
		fmt.Fprintf(&long, "%dms 1%%\n", i)
	}
	for text, want := range map[string]string{
		"":                        `" has no losses`,
		"0s 0%\n\n1s":             `:3: "1s" are no time and loss; write 1.5s 5%`,
		"0s 0% 1":                 `:1: "0s 0% 1" are no time and loss`,
		"1 0%":                    `:1: time "1" is not a time; write 10ms, 50us or 1.5s`,
		"1s 101%":                 `:1: loss "101%" is not in 0…100%`,
		"1s 100001":               `:1: loss "100001" is not in 0…100%`,
		"1s much":                 `:1: loss "much" is not a probability; write 1%`,
		"1s 0.0001%":              `:1: loss "0.0001%" is finer than 0.001%`,
		"1s 1%\n1s 2%":            `:2: time "1s" is not later than that of the line before`,
		"1s 1%\n1s repeat":        `:2: time "1s" is not later than that of the line before`,
		"0s 1%\n1s repeat\n2s 1%": ":3: nothing may follow the line with repeat",
		"9999999999s 1%":          `:1: time "9999999999s" is not in 0…`,
		long.String():             ":100001: there are more than 100000 lines",
	} {
		if _, err := traceFrom(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
}
