// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ethertap/interp"
)

func newSession(t *testing.T) (*interp.Session, *bytes.Buffer) {
	t.Helper()
	dict, err := interp.NewDict(Set())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	if err := Prelude(s); err != nil {
		t.Fatal(err)
	}
	return s, &out
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.rpcl":   "1 2 + .\n",
		"bad.rpcl":    "1\n2 +\n\"x\" +\n9\n",
		"outer.rpcl":  interp.Quote(filepath.Join(dir, "bad.rpcl")) + " load-if-present\n",
		"absent.rpcl": interp.Quote(filepath.Join(dir, "none.rpcl")) + " load\n",
		"self.rpcl":   interp.Quote(filepath.Join(dir, "self.rpcl")) + " load\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, c := range []struct{ line, out, message string }{
		{`"good.rpcl" load`, "3\n", ""},
		{`"bad.rpcl" load`, "", `bad.rpcl:3:5: +: n2: "x" is not a number`},
		{`"outer.rpcl" load`, "", dir + `/bad.rpcl:3:5: +: n2: "x" is not a number`},
		{`"none.rpcl" load-if-present 5 .`, "5\n", ""},
		{`"none.rpcl" load`, "", "load: \"none.rpcl\": no such file or directory"},
		{`"absent.rpcl" load-if-present`, "", "absent.rpcl:1:" + "%d"},
		{`"self.rpcl" load`, "", "nested deeper than 1024 executions"},
		{`"." load`, "", `load: "." is no regular file`},
	} {
		s, out := newSession(t)
		err := s.Interpret(c.line)
		message := ""
		if err != nil {
			message = err.Error()
		}
		want, _, _ := strings.Cut(c.message, "%d")
		if out.String() != c.out || (message == "") != (c.message == "") || !strings.Contains(message, want) {
			t.Errorf("%s: printed %q, failed %q; not %q, %q", c.line, out, message, c.out, c.message)
		}
	}
}

// No word of the table of absent words exists, each stands there once, and a user may define
// words of these names.
func TestAbsentWordsAreAbsent(t *testing.T) {
	s, _ := newSession(t)
	seen := make(map[string]bool)
	for _, a := range Set().Absent {
		for name := range strings.FieldsSeq(a.Names) {
			if s.Dict().Exists(name) || seen[name] {
				t.Errorf("%s is there, or twice in the table", name)
			}
			seen[name] = true
			if strings.ContainsAny(name, `"#\`) { // users cannot define such names, and # begins a comment
				continue
			}
			if err := s.Interpret(name); err == nil || !strings.HasSuffix(err.Error(), "not in RPCL; here: "+a.Here) {
				t.Errorf("%s: %v", name, err)
			}
			if err := s.Interpret(": " + name + " 5 ; " + name + " drop"); err != nil {
				t.Errorf("%s cannot be defined: %v", name, err)
			}
		}
	}
}

// Names of files are completed from their directory, from load.path and from the library. Hidden
// files, and names that no string can hold unchanged, are left out.
func TestLoadableNames(t *testing.T) {
	s, _ := newSession(t)
	dir := t.TempDir()
	for _, name := range []string{"night.rpcl", "notes.txt", ".hidden", "new\nline", "sub/x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Dict().SetVariable("load.path", interp.NewString("/nonexistent:"+dir)); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{
		dir + "/n":      {dir + "/night.rpcl", dir + "/notes.txt"},
		dir + "/s":      {dir + "/sub/"},
		dir + "/.h":     {dir + "/.hidden"},
		"nigh":          {"night.rpcl"},
		"flak":          {"flaky-link"},
		"/nonexistent/": nil,
	} {
		if got := s.Dict().Names(prefix); !slices.Equal(got, want) {
			t.Errorf("%s: %q and not %q", prefix, got, want)
		}
	}
}

// A word that has no room for its results leaves its inputs.
func TestNoRoomForParts(t *testing.T) {
	s, _ := newSession(t)
	err := s.Interpret(`7 "x," 5000 str.repeat "," str.split`)
	if err == nil || !strings.Contains(err.Error(), "stack overflow") || s.Depth() != 3 || len(s.Peek(1).Text()) != 10_000 || s.Peek(0).Text() != "," {
		t.Errorf("%v, %d values are left", err, s.Depth())
	}
}

// Twelve decimal digits in a string are an address where one is wanted, and an input with a wrong type is called by its name.
func TestAddressOfDigits(t *testing.T) {
	s, out := newSession(t)
	if err := s.Interpret(`"001122334455" 1 address+ .`); err != nil || out.String() != "00:11:22:33:44:56\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := s.Interpret(`"abc" buffer: t`); err == nil || !strings.Contains(err.Error(), `buffer:: size: "abc" is not a number`) {
		t.Errorf("%v", err)
	}
}
