// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/core"
)

// All texts about words outside the programs are made from the records of the words and from the
// dictionary with the prelude loaded: docs/words.md, the lists in the man page, the words of the
// editors' syntax files. `go test ./tests -update` writes them anew.
func TestReference(t *testing.T) {
	dict, _ := dictionary(t)
	s := interp.NewSession(dict, strings.NewReader(""), os.Stderr, os.Stderr)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		file string
		make func(old string) (string, error)
	}{
		{"json.md", func(old string) (string, error) {
			return between(old, "<!-- counters: made by go test ./tests -update -->", "<!-- end of counters -->", counterTable())
		}},
		{"words.md", func(string) (string, error) { return markdown(dict), nil }},
		{"rpcl.7", func(old string) (string, error) {
			return between(old, `.\" words: made by go test ./tests -update`, `.\" end of words`, manual(dict))
		}},
		{"editors/vim/syntax/rpcl.vim", func(old string) (string, error) {
			return between(old, `" words: made by go test ./tests -update`, `" end of words`, vimWords(dict))
		}},
		{"editors/rpcl.tmLanguage.json", func(old string) (string, error) { return textMate(old, dict) }},
	} {
		path := filepath.Join("..", "docs", f.file)
		old, err := os.ReadFile(path)
		if err != nil && !*update {
			t.Error(err)
			continue
		}
		made, err := f.make(string(old))
		switch {
		case err != nil:
			t.Errorf("%s: %v", path, err)
		case made == string(old):
		case *update:
			if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s is stale: %s", path, firstDifference(string(old), made))
		}
	}
}

// between puts text between two lines of a file.
func between(file, first, last, text string) (string, error) {
	before, rest, ok := strings.Cut(file, first+"\n")
	_, after, ok2 := strings.Cut(rest, last+"\n")
	if !ok || !ok2 {
		return "", fmt.Errorf("the lines %q and %q are not both there", first, last)
	}
	return before + first + "\n" + text + last + "\n" + after, nil
}

// compound is a predefined compound word.
type compound struct{ name, stack, source string }

func compounds(d *interp.Dict) (all []compound) {
	for _, name := range d.Compounds() {
		source, stack, _ := d.Compound(name)
		all = append(all, compound{name, stack, source})
	}
	return all
}

// counterTable is a table of the keys of dataplane.Counters.
func counterTable() string {
	var b strings.Builder
	b.WriteString("\n| key | type | meaning |\n|---|---|---|\n")
	for _, c := range dataplane.Counters {
		fmt.Fprintf(&b, "| `%s` | number | %s |\n", c.Key, c.Help)
	}
	b.WriteString("| `err_reasons` | numbers by name | why frames could not be sent |\n" +
		"| `call_errors` | numbers by name | system calls that failed, by errno |\n\n")
	return b.String()
}

func markdown(d *interp.Dict) string {
	var b strings.Builder
	b.WriteString("# The words of RPCL\n\n" +
		"Made from the tables in the programs; `help NAME` shows the same at the prompt. [rpcl.md](rpcl.md) explains the language.\n" +
		"`rpclsh` has the sets up to and including queue, `ethertap` all of them.\n")
	code := func(s string) string {
		return "`" + strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) + "`"
	}
	for _, set := range d.Sets() {
		fmt.Fprintf(&b, "\n## %s\n\n%s", set.Name, sentence(set.Help))
		if reserved := slices.Concat(set.Prefixes, set.Shared); len(reserved) > 0 {
			fmt.Fprintf(&b, " Reserved: `%s`.", strings.Join(reserved, "` `"))
		}
		b.WriteString("\n\n| word | stack | does | example |\n|---|---|---|---|\n")
		for _, w := range set.Words {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(w.Name), code(w.Stack), strings.ReplaceAll(w.Help, "|", `\|`), code(w.Example))
		}
	}
	b.WriteString("\n## Words of Forth that are not here\n\nTheir names are an error unless you have defined them.\n\n| word | here |\n|---|---|\n")
	for _, set := range d.Sets() {
		for _, a := range set.Absent {
			fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(each(strings.Fields(a.Names), code), " "), code(a.Here))
		}
	}
	b.WriteString("\n## Predefined compound words\n\nDefined in `lib/prelude.rpcl`; they may be redefined.\n\n| word | stack | source |\n|---|---|---|\n")
	for _, c := range compounds(d) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(c.name), code(c.stack), code(c.source))
	}
	return b.String()
}

func each(texts []string, f func(string) string) (all []string) {
	for _, t := range texts {
		all = append(all, f(t))
	}
	return all
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// roff escapes text for a man page.
func roff(s string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`, "…", `...`,
		"( ", `\&( `, " )", ` \&)`, " ]", ` \&]`, " | ", ` \&| `).Replace(s)
}

func manual(d *interp.Dict) string {
	var b strings.Builder
	item := func(name, stack, help string) {
		fmt.Fprintf(&b, ".It \\&%s %s\n\\&%s\n", roff(name), roff(stack), roff(help))
	}
	for _, set := range d.Sets() {
		fmt.Fprintf(&b, ".Ss The set %s\n%s\n.Bl -tag -width Ds\n", set.Name, roff(sentence(set.Help)))
		for _, w := range set.Words {
			item(w.Name, w.Stack, w.Help)
		}
		b.WriteString(".El\n")
	}
	b.WriteString(".Ss Words of Forth that are not here\nTheir names are an error unless you have defined them; it says what is here instead.\n.Bl -tag -width Ds\n")
	for _, set := range d.Sets() {
		for _, a := range set.Absent {
			item(a.Names, "", a.Here)
		}
	}
	b.WriteString(".El\n.Ss Predefined compound words\n.Bl -tag -width Ds\n")
	for _, c := range compounds(d) {
		item(c.name, c.stack, c.source)
	}
	b.WriteString(".El\n")
	return b.String()
}

// groups are the words by what an editor shows them as.
func groups(d *interp.Dict) (control, builtin []string) {
	for _, set := range d.Sets() {
		for _, w := range set.Words {
			switch {
			case w.Name == "(", w.Name == `\`:
			case set.Name == "control":
				control = append(control, w.Name)
			default:
				builtin = append(builtin, w.Name)
			}
		}
	}
	for _, c := range compounds(d) {
		builtin = append(builtin, c.name)
	}
	return control, builtin
}

// vimWords are the statements that highlight words: all of them as matches, since the
// names of keywords could not hold all characters that names of words do.
func vimWords(d *interp.Dict) string {
	control, builtin := groups(d)
	match := func(group string, names []string) string {
		var escaped []string
		for _, n := range longestFirst(names) {
			escaped = append(escaped, strings.NewReplacer(`\`, `\\`, "/", `\/`).Replace(n))
		}
		var b strings.Builder
		for chunk := range slices.Chunk(escaped, 40) { // Vim has a limit to a pattern's size
			fmt.Fprintf(&b, "syn match %s /\\V\\%%(\\^\\|\\s\\)\\@1<=\\%%(%s\\)\\%%(\\$\\|\\s\\)\\@=/\n", group, strings.Join(chunk, `\|`))
		}
		return b.String()
	}
	return match("rpclControl", control) + match("rpclWord", builtin)
}

func longestFirst(names []string) []string {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return names
}

// textMate puts the words into the patterns of the grammar that are named for them.
func textMate(old string, d *interp.Dict) (string, error) {
	control, builtin := groups(d)
	for scope, names := range map[string][]string{"keyword.control.rpcl": control, "support.function.rpcl": builtin} {
		var escaped []string
		for _, n := range longestFirst(names) {
			escaped = append(escaped, regexp.QuoteMeta(n))
		}
		pattern, err := json.Marshal(`(?<=^|\s)(?:` + strings.Join(escaped, "|") + `)(?=$|\s)`)
		if err != nil {
			return "", err
		}
		at := regexp.MustCompile(`("name": "` + regexp.QuoteMeta(scope) + `", "match": )"(?:[^"\\]|\\.)*"`)
		if !at.MatchString(old) {
			return "", fmt.Errorf("no pattern with the name %s", scope)
		}
		old = at.ReplaceAllStringFunc(old, func(m string) string { return at.FindStringSubmatch(m)[1] + string(pattern) })
	}
	if !json.Valid([]byte(old)) {
		return "", fmt.Errorf("the grammar is no valid JSON")
	}
	return old, nil
}
