// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"slices"
	"strings"
	"testing"

	"ethertap/interp"
)

// The token before the cursor is completed: a word, in a string the name of a file, in a comment
// nothing.
func TestCompletions(t *testing.T) {
	d := testDict(t)
	files := []string{"dir/", "dir/a", "dir/b", "flaky"}
	nop := interp.Word{Name: "load", Stack: "( name - )", Help: "for tests", Func: nop}
	err := d.Register(interp.Set{Name: "files", Help: "for tests", Words: []interp.Word{nop}, Names: func(_ *interp.Dict, prefix string) []string {
		return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !strings.HasPrefix(f, prefix) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	for before, want := range map[string]completion{
		"0 rand":           {"rand", []string{"random"}, " "},
		"0 tap.r":          {"tap.r", []string{"tap.rx.disable", "tap.rx.enable"}, " "},
		"random":           {"random", []string{"random"}, " "},
		`"fl`:              {"fl", []string{"flaky"}, "\" "},
		`1 "x" "dir/`:      {"dir/", []string{"dir/", "dir/a", "dir/b"}, "\" "},
		`"a \" fl`:         {`a \" fl`, nil, "\" "},
		`"fl" rand`:        {"rand", []string{"random"}, " "},
		`." rand`:          {"rand", nil, "\" "},
		`." x" rand`:       {"rand", []string{"random"}, " "},
		"dir/":             {"dir/", []string{"dir/", "dir/a", "dir/b"}, " "},
		"load fl":          {"fl", []string{"flaky"}, " "},
		"# rand":           {},
		"1 # rand":         {},
		"\\ rand":          {},
		"( rand":           {},
		": x ( a - ) rand": {"rand", []string{"random"}, " "},
	} {
		got := completions(d, before)
		if got.prefix != want.prefix || !slices.Equal(got.words, want.words) || len(want.words) > 0 && got.end != want.end {
			t.Errorf("%q: %q and not %q", before, got, want)
		}
	}
	if got := completions(d, "1 "); got.prefix != "" || !slices.Contains(got.words, "random") {
		t.Errorf("behind a blank: %q", got)
	}
}
