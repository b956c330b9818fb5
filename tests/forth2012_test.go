// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/interp"
	"ethertap/tests/need"
	"ethertap/tests/netlab"
)

// The suite, as it was when what docs/rpcl.md says of it was found out.
const (
	suiteSource = "https://github.com/gerryjackson/forth2012-test-suite"
	suiteCommit = "9773f84dd12390f342d37195da8848b04e1f4a23"
)

// suiteParts are the files that are run, in the order in which they build on each other.
var suiteParts = []string{"core.fr", "coreplustest.fth", "coreexttest.fth", "exceptiontest.fth", "localstest.fth", "stringtest.fth"}

// suiteFile is a file of the suite; braces says that its tests are written { -> }.
type suiteFile struct {
	name, text string
	braces     bool
}

// standardWords are the words of Forth 2012 in the word sets that are tested.
var standardWords = []struct{ set, words string }{
	{"core", `! # #> #s ' ( * */ */mod + +! +loop , - . ." / /mod 0< 0= 1+ 1- 2! 2* 2/ 2@ 2drop 2dup 2over 2swap : ; < <# = > >body >in
		>number >r ?dup @ abort abort" abs accept align aligned allot and base begin bl c! c, c@ cell+ cells char char+ chars constant count cr
		create decimal depth do does> drop dup else emit environment? evaluate execute exit fill find fm/mod here hold i if immediate invert
		j key leave literal loop lshift m* max min mod move negate or over postpone quit r> r@ recurse repeat rot rshift s" s>d sign sm/rem
		source space spaces state swap then type u. u< um* um/mod unloop until variable while word xor [ ['] [char] ]`},
	{"core-ext", `.( .r 0<> 0> 2>r 2r> 2r@ :noname <> ?do action-of again buffer: c" case compile, defer defer! defer@ endcase endof erase
		false hex holds is marker nip of pad parse parse-name pick refill restore-input roll s\" save-input source-id to true tuck u.r u>
		unused value within [compile] \`},
	{"exception", "catch throw"},
	{"locals", "(local) {:"},
	{"string", "-trailing /string blank cmove cmove> compare search sliteral replaces substitute unescape"},
}

// standard says of which set a word is.
var standard = func() map[string]string {
	sets := make(map[string]string)
	for _, s := range standardWords {
		for _, w := range strings.Fields(s.words) {
			sets[w] = s.set
		}
	}
	return sets
}()

// suiteRun is what came out.
type suiteRun struct {
	dict           *interp.Dict   // without the words of the tester
	tests, without int            // all, and those that need a word RPCL has not
	passed         map[string]int // tests by word
	failed         []suiteFailure
}

type suiteFailure struct {
	unit forthUnit
	why  string
}

// runForth runs files of the suite.
func runForth(t *testing.T, files []suiteFile) *suiteRun {
	t.Helper()
	run := &suiteRun{passed: make(map[string]int)}
	var expected []interp.Value
	var why []string
	ended := 0
	tester := interp.Set{Name: "tester", Help: "tests", Words: []interp.Word{
		{Name: "t{", Stack: "( - )", Help: "begins a test", Func: func(s *interp.Session) error { return nil }},
		{Name: "->", Stack: "( - )", Help: "keeps what the test left", Func: func(s *interp.Session) error {
			expected = values(s)
			s.Clear()
			return nil
		}},
		{Name: "}t", Stack: "( - )", Help: "ends a test", Func: func(s *interp.Session) error {
			ended++
			if got := values(s); !slices.EqualFunc(got, expected, interp.Value.Equal) {
				why = append(why, fmt.Sprintf("it leaves%s and not%s", sources(expected), sources(got)))
			}
			s.Clear()
			return nil
		}},
	}}
	tester.Words = append(tester.Words, doubles...)
	s, _ := forthSession(t, tester)
	plain, _ := forthSession(t)
	run.dict = plain.Dict()
	const own = "true constant <true>  false constant <false>"
	if err := s.Interpret(own); err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]map[string]bool)
	skipped := false // the unit before
	for _, f := range files {
		for _, u := range readForth(f.name, f.text, f.braces, defined) {
			isTest := strings.Contains(u.source, "t{")
			if isTest {
				run.tests++
			}
			if missing(s.Dict(), u) != "" {
				if isTest {
					run.without++
				}
				skipped = true
				continue
			}
			ended, why = 0, nil
			s.Clear()
			err := s.Interpret(u.source)
			switch open := s.Open(); {
			case err != nil:
				why = append(why, err.Error())
			case open != "":
				why = append(why, open+" is open at its end")
				s.Abandon()
			case isTest && ended == 0:
				why = append(why, "no test has run")
			}
			if !isTest && skipped && errors.Is(err, interp.ErrUnderflow) { // it goes on with what that has left
				continue
			}
			skipped = false
			if len(why) > 0 {
				run.failed = append(run.failed, suiteFailure{u, strings.Join(why, "; ")})
				continue
			}
			if isTest {
				for w := range u.words {
					run.passed[w]++
				}
			}
		}
	}
	return run
}

// doubles are words of two cells, which RPCL has not, by which the suite says what the
// words that divide have to give.
var doubles = []interp.Word{
	{Name: "s>d", Stack: "( n - low high )", Help: "two cells of one", Func: func(s *interp.Session) error {
		n, err := s.PopInt()
		if err != nil {
			return err
		}
		return push(s, big.NewInt(n))
	}},
	{Name: "m*", Stack: "( n n - low high )", Help: "product of two cells", Func: func(s *interp.Session) error {
		n, err := s.PopInt()
		if err != nil {
			return err
		}
		m, err := s.PopInt()
		if err != nil {
			return err
		}
		return push(s, new(big.Int).Mul(big.NewInt(n), big.NewInt(m)))
	}},
	{Name: "fm/mod", Stack: "( low high n - n n )", Help: "remainder and quotient, rounded down", Func: func(s *interp.Session) error {
		n, err := s.PopInt()
		if err != nil {
			return err
		}
		high, err := s.PopInt()
		if err != nil {
			return err
		}
		low, err := s.PopInt()
		if err != nil {
			return err
		}
		d := new(big.Int).Lsh(big.NewInt(high), 64)
		d.Add(d, new(big.Int).SetUint64(uint64(low)))
		q, m := new(big.Int).QuoRem(d, big.NewInt(n), new(big.Int))
		if m.Sign() != 0 && m.Sign() != big.NewInt(n).Sign() {
			q.Sub(q, big.NewInt(1))
			m.Add(m, big.NewInt(n))
		}
		if err := s.Push(interp.NewInt(m.Int64())); err != nil {
			return err
		}
		return s.Push(interp.NewInt(q.Int64()))
	}},
}

// push pushes a number as two cells.
func push(s *interp.Session, n *big.Int) error {
	low := new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64))
	if err := s.Push(interp.NewInt(int64(low.Uint64()))); err != nil {
		return err
	}
	return s.Push(interp.NewInt(new(big.Int).Rsh(n, 64).Int64()))
}

// missing returns a word of a unit that RPCL has not.
func missing(dict *interp.Dict, u forthUnit) string {
	for _, w := range slices.Sorted(maps.Keys(u.words)) {
		if !dict.Exists(w) && !slices.Contains(u.makes, w) && w != "#" {
			return w
		}
	}
	return ""
}

func values(s *interp.Session) (all []interp.Value) {
	for i := s.Depth() - 1; i >= 0; i-- {
		all = append(all, s.Peek(i))
	}
	return all
}

// suiteDocument is the page that says how RPCL differs and what the suite says by word.
const suiteDocument = "../docs/rpcl.md"

// differences returns the words of the table in the section on differences.
func differences(t *testing.T) (words []string) {
	t.Helper()
	text, err := os.ReadFile(suiteDocument)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Differences to Forth\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([^` ]+)` \\|").FindAllStringSubmatch(section, -1) {
		words = append(words, m[1])
	}
	if len(words) == 0 {
		t.Fatalf("%s lists no words that differ from Forth", suiteDocument)
	}
	return words
}

// shown are the tests that fail, by the word whose difference they show.
var shown = map[string][]string{
	`s"`:       {"core.fr:633", "coretest.fs:626", "coreplustest.fth:218", "stringtest.fth:63", "stringtest.fth:65", "stringtest.fth:66", "stringtest.fth:71"},
	"evaluate": {"exceptiontest.fth:95"},
	"catch":    {"exceptiontest.fth:57", "exceptiontest.fth:86"},
	"/string":  {"stringtest.fth:72"},
	"#":        {"coreplustest.fth:228", "coreplustest.fth:229", "coreplustest.fth:241", "coreplustest.fth:242", "coreplustest.fth:254"},
	"(":        {"coreplustest.fth:219"},
}

// check holds the run against what is known: these tests fail, each using the word whose
// difference it shows, and no others; and the document lists these words.
func (run *suiteRun) check(t *testing.T, files []suiteFile) {
	t.Helper()
	listed := differences(t)
	for _, w := range listed {
		if shown[w] == nil {
			t.Errorf("%s says that %s differs; no test shows it", suiteDocument, w)
		}
	}
	due := make(map[string]string)
	for w, places := range shown {
		if !slices.Contains(listed, w) {
			t.Errorf("%s does not list %s, which differs", suiteDocument, w)
		}
		for _, place := range places {
			file, _, _ := strings.Cut(place, ":")
			if slices.ContainsFunc(files, func(f suiteFile) bool { return f.name == file }) {
				due[place] = w
			}
		}
	}
	for _, f := range run.failed {
		w, ok := due[f.unit.place]
		if !ok || !f.unit.words[w] {
			t.Errorf("%s: %s, and that is no known difference:\n%s", f.unit.place, f.why, f.unit.source)
		}
		delete(due, f.unit.place)
	}
	for place, w := range due {
		t.Errorf("%s shows no difference of %s any more", place, w)
	}
	t.Logf("%d tests: %d need a word that RPCL has not, %d fail by a difference that %s lists", run.tests, run.without, len(run.failed), suiteDocument)
}

// The core, core extension, exception, locals and string parts of the suite: of what RPCL
// has by name nothing differs but what the document lists, and all of that shows.
func TestForth2012(t *testing.T) {
	dir := os.Getenv("FORTH2012_SUITE")
	if dir == "" {
		dir = fetchSuite(t)
	}
	var files []suiteFile
	for _, name := range suiteParts {
		text, err := os.ReadFile(filepath.Join(dir, "src", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, suiteFile{name, string(text), false})
	}
	run := runForth(t, files)
	if run.tests < 1300 || run.tests-run.without < 700 {
		t.Errorf("%d tests, of which %d cannot run: the suite is another, or is not read right", run.tests, run.without)
	}
	run.check(t, files)
	old, err := os.ReadFile(suiteDocument)
	if err != nil {
		t.Fatal(err)
	}
	made, err := between(string(old), "<!-- Forth 2012 by word: made by go test ./tests -update, with the suite at hand -->", "<!-- end of words -->", run.summary())
	switch {
	case err != nil:
		t.Error(err)
	case made == string(old):
	case *update:
		if err := os.WriteFile(suiteDocument, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale: %s", suiteDocument, firstDifference(string(old), made))
	}
}

// The tests of the core words alone, which the package gforth-common has, for machines
// that cannot fetch the suite.
func TestForthCoreTests(t *testing.T) {
	netlab.RequireTool(t, "gforth")
	const pattern = "/usr/share/gforth/*/test/coretest.fs"
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		need.Skip(t, "needs a file %s, which the package gforth-common has", pattern)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	files := []suiteFile{{"coretest.fs", string(text), true}}
	run := runForth(t, files)
	if run.tests < 500 || run.tests-run.without < 400 {
		t.Errorf("%d tests, of which %d cannot run", run.tests, run.without)
	}
	run.check(t, files)
}

// summary lists the words of the standard by what became of them.
func (run *suiteRun) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nOf %d tests %d use a word that is not here. Of the others %d pass, and %d show a difference from the table above.\n\n",
		run.tests, run.without, run.tests-run.without-len(run.failed), len(run.failed))
	for _, set := range standardWords {
		lists := make(map[string][]string)
		for w := range strings.FieldsSeq(set.words) {
			what := "the same"
			switch {
			case !run.dict.Exists(w) && run.dict.Absent(w) != nil:
				what = "not here, an error"
			case !run.dict.Exists(w) && w != "#":
				what = "not here, free as names"
			case shown[w] != nil:
				what = "different in some test"
			case run.passed[w] == 0:
				what = "here, in no test that can run"
			}
			lists[what] = append(lists[what], "`"+w+"`")
		}
		fmt.Fprintf(&b, "**%s**\n\n", set.set)
		for _, what := range []string{"the same", "different in some test", "here, in no test that can run", "not here, an error", "not here, free as names"} {
			if len(lists[what]) > 0 {
				fmt.Fprintf(&b, "- %s: %s\n", what, strings.Join(lists[what], " "))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// fetchSuite fetches the suite, or skips the test and says why.
func fetchSuite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, args := range [][]string{{"init", "-q"}, {"fetch", "-q", "--depth", "1", suiteSource, suiteCommit}, {"checkout", "-q", "FETCH_HEAD"}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("the suite cannot be fetched; FORTH2012_SUITE may name a directory that has it (git %s: %v %s)", args[0], err, bytes.TrimSpace(out))
		}
	}
	return dir
}
