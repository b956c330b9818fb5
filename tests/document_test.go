// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/lib/filter"
	"ethertap/tests/netlab"
	"ethertap/words/core"
)

// page is a document of the project, or a manual page.
type page struct {
	name  string // from the top of the tree, with slashes
	lines []pageLine
}

// pageLine is a line of a page. The line that opens or closes a fence belongs to its block.
type pageLine struct {
	number int
	text   string // of an indented block without the four blanks
	code   bool   // it is in a block of code
	kind   string // of the fence that the block stands in: "rpcl", "go", ...; "" for none
	shown  bool   // in a manual: it is a command on a line of its own
}

// documents returns README.md and its like, and all of docs.
func documents(t *testing.T) (pages []page) {
	t.Helper()
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(names), err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, page{strings.TrimPrefix(filepath.ToSlash(name), "../"), markdownLines(string(text))})
		}
	}
	return pages
}

// markdownLines divides a document into prose and blocks of code.
func markdownLines(text string) (lines []pageLine) {
	fence, code, empty := "", false, true
	for i, l := range strings.Split(text, "\n") {
		line := pageLine{number: i + 1, text: l}
		kind, fenced := strings.CutPrefix(l, "```")
		inner, indented := strings.CutPrefix(l, "    ")
		switch {
		case fence != "":
			line.code, line.kind = true, fence
			if l == "```" {
				fence, code = "", false
			}
		case fenced:
			if fence = kind; kind == "" {
				fence = "text"
			}
			line.code, line.kind = true, fence
		case indented && (code || empty):
			line.code, line.text, code = true, inner, true
		case l != "":
			code = false
		}
		empty = l == ""
		lines = append(lines, line)
	}
	return lines
}

// manualPages returns the manual pages, without the marks of roff that stand in commands.
func manualPages(t *testing.T) (pages []page) {
	t.Helper()
	names := []string{"../docs/rpcl.7"}
	for _, name := range manuals {
		names = append(names, name)
	}
	slices.Sort(names)
	plain := strings.NewReplacer(`\(dq`, `"`, `\(aq`, "'", `\-`, "-", `\&`, "", `\e`, `\`)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := page{name: strings.TrimPrefix(filepath.ToSlash(name), "../")}
		literal := false
		for i, l := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(l, ".Bd -literal"), l == ".nf":
				literal = true
			case l == ".Ed", l == ".fi":
				literal = false
			}
			command, shown := strings.CutPrefix(l, ".Dl ")
			p.lines = append(p.lines, pageLine{number: i + 1, text: plain.Replace(command), shown: shown || literal, code: literal})
		}
		pages = append(pages, p)
	}
	return pages
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan     = regexp.MustCompile("`([^`]+)`")
	headingLine  = regexp.MustCompile(`^#{1,6} +(.+?) *$`)
)

// anchors returns the names by which the headings of a document are linked, as GitHub makes them.
func anchors(p page) (names []string) {
	for _, l := range p.lines {
		m := headingLine.FindStringSubmatch(l.text)
		if l.code || m == nil {
			continue
		}
		var b strings.Builder
		for _, r := range strings.ToLower(markdownLink.ReplaceAllString(m[1], "]")) {
			switch {
			case r == ' ':
				b.WriteRune('-')
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
				b.WriteRune(r)
			}
		}
		name, n := b.String(), 0
		for slices.Contains(names, name) {
			n++
			name = fmt.Sprintf("%s-%d", b.String(), n)
		}
		names = append(names, name)
	}
	return names
}

// Every link within the tree leads to a file and a heading that exist, every path in a
// document exists, and docs/index.md leads to every document.
func TestDocumentLinks(t *testing.T) {
	pages := documents(t)
	byName, reached := map[string]page{}, map[string]bool{}
	for _, p := range pages {
		byName[p.name] = p
	}
	links := 0
	for _, p := range pages {
		for _, l := range p.lines {
			if l.code {
				continue
			}
			for _, m := range markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, ""), -1) {
				target, anchor, anchored := strings.Cut(m[1], "#")
				if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
					continue
				}
				links++
				to := p.name
				if target != "" {
					to = path.Join(path.Dir(p.name), target)
				}
				if _, err := os.Stat(filepath.Join("..", to)); err != nil {
					t.Errorf("%s:%d: %s: there is no %s", p.name, l.number, m[1], to)
					continue
				}
				if anchored && !slices.Contains(anchors(byName[to]), anchor) {
					t.Errorf("%s:%d: %s has no heading with the anchor %s", p.name, l.number, to, anchor)
				}
				if p.name == "docs/index.md" {
					reached[to] = true
				}
			}
			if strings.Contains(l.text, "new file") {
				continue // a recipe that makes it
			}
			for _, m := range codeSpan.FindAllStringSubmatch(l.text, -1) {
				if inTree.MatchString(m[1]) {
					if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
						t.Errorf("%s:%d: there is no %s", p.name, l.number, m[1])
					}
				}
			}
		}
	}
	if links < 60 {
		t.Errorf("only %d links were found", links)
	}
	for _, p := range pages {
		if strings.HasPrefix(p.name, "docs/") && p.name != "docs/index.md" && !reached[p.name] {
			t.Errorf("docs/index.md has no link to %s", p.name)
		}
	}
}

// inTree is the path of something in the tree.
var inTree = regexp.MustCompile(`^(cmd|collect|dataplane|docs|interp|lib|shm|tests|words)/[\w./-]+\w$`)

// foreignPrograms are the programs of others that stand in commands of the documents.
var foreignPrograms = strings.Fields("apt ar awk bash capinfos cat cd chmod cp dig docker dumpcap echo editcap env ethtool exit " +
	"find getcap git go grep gzip ip jq kill kubectl ls lsmod mergecap mkdir mount mpstat netcat nsenter ping podman printf ps pwd " +
	"rm rsync scp setcap sh sleep ssh sysctl systemctl tail tar tc tcpdump test timeout top true tshark umount unshare usermod " +
	"wireshark xdg-open wget curl dpkg sed iperf3 nc stat tee touch uname zstd bpftool journalctl perf")

// Every command of ours in a document or a manual page is taken by the program that it names: the
// program parses the options, and the lines of RPCL and the filters among them are checked here.
func TestDocumentCommands(t *testing.T) {
	words := newVocabulary(t)
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]error{} // by the command
	ours := 0
	for _, p := range slices.Concat(documents(t), manualPages(t)) {
		for i, l := range p.lines {
			text, ok := command(l)
			if !ok {
				continue
			}
			for _, next := range p.lines[i+1:] { // a backslash at the end continues the line
				first, continued := strings.CutSuffix(text, `\`)
				if !continued {
					break
				}
				text = first + strings.TrimSpace(next.text)
			}
			for _, c := range commandsOf(text) {
				var err error
				switch program := filepath.Base(c[0]); {
				case manuals[program] != "":
					ours++
					key := strings.Join(c, "\x00")
					if _, known := checked[key]; !known {
						checked[key] = words.checkCommand(t, program, c[1:])
					}
					err = checked[key]
				case program == "make":
					for _, target := range c[1:] {
						if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^(\.PHONY:.* )?`+regexp.QuoteMeta(target)+`(:| |$)`).Match(makefile) {
							err = fmt.Errorf("make has no target %s", target)
						}
					}
				case !slices.Contains(foreignPrograms, program):
					err = fmt.Errorf("%s is no program that is known here", program)
				}
				if err != nil {
					t.Errorf("%s:%d: %s: %v", p.name, l.number, text, err)
				}
			}
		}
	}
	if ours < 60 {
		t.Errorf("only %d commands were found", ours)
	}
}

// command returns the command that a line of a page shows, without the prompt of its shell. Lines of
// blocks that a program reads, such as Go, show none.
func command(l pageLine) (text string, ok bool) {
	if !l.code && !l.shown {
		return "", false
	}
	switch l.kind {
	case "sh":
		return l.text, !strings.HasPrefix(l.text, "```") && !strings.HasPrefix(l.text, "#") && l.text != ""
	case "", "text", "console":
		for _, prompt := range []string{"# ", "$ "} {
			if text, ok = strings.CutPrefix(l.text, prompt); ok {
				first, _, _ := strings.Cut(text, " ")
				return text, prompt == "$ " || manuals[first] != "" || slices.Contains(foreignPrograms, first) || strings.Contains(text, " | ")
			}
		}
		if strings.HasPrefix(l.text, "make ") {
			return l.text, true
		}
	}
	return "", false
}

// commandsOf divides a line of shell into its commands, each a list of arguments, without
// redirections, assignments, and the commands that run another one.
func commandsOf(line string) (list [][]string) {
	var command []string
	var word strings.Builder
	inWord, skip := false, false
	endWord := func() {
		if inWord && !skip {
			command = append(command, word.String())
		}
		if inWord {
			skip = false
		}
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		endWord()
		if c := unwrapped(command); len(c) > 0 {
			list = append(list, c)
		}
		command = nil
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '\'', '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				end = len(line) - i - 1
			}
			inside := line[i+1 : i+1+end]
			if c == '"' {
				// a quote within quotes is escaped
				for strings.HasSuffix(inside, `\`) && i+1+end < len(line)-1 {
					more := strings.IndexByte(line[i+2+end:], c)
					if more < 0 {
						break
					}
					end += more + 1
					inside = line[i+1 : i+1+end]
				}
				inside = strings.ReplaceAll(inside, `\"`, `"`)
			}
			word.WriteString(inside)
			inWord = true
			i += end + 1
		case ' ', '\t':
			endWord()
		case '#':
			if !inWord {
				endCommand()
				return list
			}
			word.WriteByte(c)
		case '|', ';', '&', '(', ')':
			endCommand()
		case '<', '>':
			if digits := word.String(); c == '>' && (digits == "1" || digits == "2") {
				word.Reset() // of a file descriptor
				inWord = false
			}
			endWord()
			skip = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	endCommand()
	return list
}

// What is wrong in a document is noticed.
func TestDocumentMistakes(t *testing.T) {
	words := newVocabulary(t)
	for _, line := range []string{
		"ethertap --nosuch eth1 eth2", "collect --rotate", "collect -c 5 x.pcap", "collect --filter 'tcp port' x.pcap", "recall --from",
		"control ethertap stopp", "control ethertap -e '0 tap.rx.enabel'", "ethertap -e 'dupp' eth1", "rpclsh --nosuch", "ethertap --queues x eth1",
		"sudo collect --nosuch - | tshark -r -", "ip netns exec red ethertap --nosuch d0", "podman exec -it tap control --nosuch ethertap",
		"podman run --name tap --cap-add BPF ethertap --nosuch eth1", "podman run --entrypoint collect ethertap --silnt -", "ssh root@host collect --nosuch -",
	} {
		list := commandsOf(line)
		if len(list) == 0 {
			t.Errorf("%s: no command", line)
			continue
		}
		if err := words.checkCommand(t, list[0][0], list[0][1:]); err == nil {
			t.Errorf("%s: nothing was noticed", line)
		}
	}
	for line, want := range map[string][][]string{
		`A=1 sudo collect --silent - 2>/dev/null | tshark -r - # live`: {{"collect", "--silent", "-"}, {"tshark", "-r", "-"}},
		`recall 'host a and "b"' x >out; echo "say \"hi\"" && ls`:      {{"recall", `host a and "b"`, "x"}, {"echo", `say "hi"`}, {"ls"}},
	} {
		if got := commandsOf(line); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, tok := range []string{"tap.rx.enabel", "fault.nosuch.every", "if.stat"} {
		if words.checkName(tok) == nil {
			t.Errorf("%s is taken for a word", tok)
		}
	}
	p := page{lines: markdownLines("# A `b` – c\n## A b  c\n```\n# no\n```\n## A b\n## A b\n")}
	if got, want := anchors(p), []string{"a-b--c", "a-b--c-1", "a-b", "a-b-1"}; !slices.Equal(got, want) {
		t.Errorf("anchors %q", got)
	}
}

var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// unwrapped is a command without assignments before it and without sudo, and what `ip netns exec`,
// `nsenter`, `ssh` and containers run. The image of a container is called ethertap.
func unwrapped(c []string) []string {
	for len(c) > 0 {
		switch {
		case len(c) > 1 && slices.Contains([]string{"podman", "docker"}, c[0]) && c[1] == "exec":
			if c = c[2:]; len(c) > 0 && strings.HasPrefix(c[0], "-") {
				c = c[1:]
			}
			c = c[min(1, len(c)):] // the name of the container
		case len(c) > 1 && slices.Contains([]string{"podman", "docker"}, c[0]) && c[1] == "run":
			program := "ethertap"
			if i := slices.Index(c, "--entrypoint"); i > 0 && i+1 < len(c) {
				program = c[i+1]
			}
			i := slices.Index(c, "ethertap")
			if i < 0 {
				return c
			}
			c = append([]string{program}, c[i+1:]...)
		case c[0] == "ssh" && slices.IndexFunc(c, isOurs) > 0:
			c = c[slices.IndexFunc(c, isOurs):]
		case assignment.MatchString(c[0]), c[0] == "sudo", c[0] == "exec", c[0] == "nohup":
			c = c[1:]
		case len(c) > 4 && slices.Equal(c[:3], []string{"ip", "netns", "exec"}):
			c = c[4:]
		case c[0] == "nsenter" && slices.IndexFunc(c, isOurs) > 0:
			c = c[slices.IndexFunc(c, isOurs):]
		default:
			return c
		}
	}
	return c
}

func isOurs(program string) bool { return manuals[program] != "" }

// vocabulary is what a line of RPCL in a document may consist of.
type vocabulary struct {
	session  *interp.Session
	dict     *interp.Dict
	prefixes []string
}

func newVocabulary(t *testing.T) vocabulary {
	t.Helper()
	dict, _ := dictionary(t)
	s := interp.NewSession(dict, strings.NewReader(""), io.Discard, io.Discard)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	library, err := filepath.Glob("../lib/*.rpcl")
	if err != nil || len(library) < 4 {
		t.Fatalf("the library: %q, %v", library, err)
	}
	for _, file := range library {
		if filepath.Base(file) == "prelude.rpcl" {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".rpcl")
		if err := s.Interpret(fmt.Sprintf("%q load", name)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	v := vocabulary{session: s, dict: dict}
	for _, set := range dict.Sets() {
		v.prefixes = append(v.prefixes, set.Prefixes...)
		v.prefixes = append(v.prefixes, set.Shared...)
	}
	return v
}

// expressions are the options whose operand is a filter, by program.
var expressions = map[string]string{"collect": "--filter"}

// checkCommand has a program parse a command line, without doing what that says, and checks the RPCL
// and the filter in it.
func (v vocabulary) checkCommand(t *testing.T, program string, args []string) error {
	if slices.ContainsFunc(args, func(a string) bool { return a == "..." || a == "…" }) {
		return fmt.Errorf("it is cut short")
	}
	parse := append([]string{"--help"}, args...)
	if program == "collect" && len(args) == 2 && args[0] == "--extcap" {
		parse = args
	}
	cmd := exec.Command(netlab.Build(t, "./cmd/"+program), parse...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %s", err, strings.TrimSpace(string(out)))
	}
	for i, a := range args {
		switch {
		case i+1 == len(args):
		case (a == "-e" || a == "--eval") && program != "recall":
			if err := v.check(args[i+1]); err != nil {
				return err
			}
		case a == expressions[program]:
			if _, err := filter.Compile(args[i+1]); err != nil {
				return err
			}
		}
	}
	if program == "control" && len(args) == 2 && !strings.HasPrefix(args[1], "-") && !strings.HasPrefix(args[0], "-") &&
		!slices.Contains([]string{"status", "stop", "restart", "reload", "rotate", "live"}, args[1]) {
		return fmt.Errorf("control has no action %s", args[1])
	}
	return nil
}

var (
	// quantity is a bare string that words take: a time, a chance, a rate, a size
	quantity = regexp.MustCompile(`^[0-9.]+(ns|us|ms|s|%|kbit|Mbit|Gbit)$`)
	// deviceName is the name of an interface or of a station's file
	deviceName = regexp.MustCompile(`^(eth|d|enp)[0-9][0-9a-z]*$`)
)

// bareNames are bare strings that words take: distributions, and the names of examples.
var bareNames = strings.Fields("normal uniform pareto printer lab tunnel")

// check returns an error if a line of RPCL contains a bare token that is neither a word nor a literal,
// nor one of the bare strings that words take. Definitions and variables of the line count as words.
func (v vocabulary) check(line string) error {
	tokens, _ := v.dict.Tokens(line)
	for i, tok := range tokens {
		switch {
		case strings.HasPrefix(tok, `"`), strings.HasPrefix(tok, "#"), strings.HasPrefix(tok, "("), quantity.MatchString(tok), deviceName.MatchString(tok),
			slices.Contains(bareNames, tok), v.dict.Exists(tok), strings.Contains(tok, " "):
			continue
		case i > 0 && slices.Contains([]string{":", "variable", "constant", "value", "defer", "help", "see", "to", "is"}, tokens[i-1]):
			continue
		case i+1 < len(tokens) && (tokens[i+1] == "!" || tokens[i+1] == "@"), slices.Contains(tokens[:i], tok):
			continue // a variable, or what was defined before in the line
		}
		if _, ok, err := interp.ParseLiteral(tok); ok && err == nil {
			continue
		}
		return fmt.Errorf("%s is no word of RPCL", tok)
	}
	return nil
}

// fileName: files end in these; with a prefix such as "tap." they are no words.
var fileName = regexp.MustCompile(`\.(pcap|pcapng|zst|rpcl|sock|md|go|c|index|part)(\b|$)`)

// Every line of RPCL in a document consists of words that exist, and so does every word between
// backquotes that has a reserved prefix. Every option there is one of a program's.
func TestDocumentWords(t *testing.T) {
	v := newVocabulary(t)
	options := map[string]bool{}
	for program := range manuals {
		long, _ := optionsOf(t, program)
		for _, o := range long {
			options["--"+o] = true
		}
	}
	lines, spans := 0, 0
	for _, p := range documents(t) {
		if p.name == "docs/words.md" {
			continue // made from the words
		}
		if p.name == "docs/extending.md" {
			continue // with words that only its recipes make
		}
		for _, l := range p.lines {
			if l.code {
				source, ok := strings.CutPrefix(l.text, "ok ")
				if !ok || l.kind != "" && l.kind != "text" && l.kind != "console" {
					continue // rpcl is replayed by TestDocument
				}
				lines++
				if err := v.check(source); err != nil {
					t.Errorf("%s:%d: %v", p.name, l.number, err)
				}
				continue
			}
			for _, m := range codeSpan.FindAllStringSubmatch(l.text, -1) {
				spans++
				tokens := strings.Fields(m[1])
				for _, tok := range tokens {
					if err := v.checkName(tok); err != nil {
						t.Errorf("%s:%d: %v", p.name, l.number, err)
					}
				}
				option, _, _ := strings.Cut(tokens[0], "=")
				if regexp.MustCompile(`^--[a-z][a-z_-]*$`).MatchString(option) && !options[option] && !slices.Contains(foreignOptions, option) {
					t.Errorf("%s:%d: %s is no option of a program", p.name, l.number, option)
				}
			}
		}
	}
	if lines < 20 || spans < 500 {
		t.Errorf("only %d lines and %d words were found", lines, spans)
	}
	for _, p := range manualPages(t) {
		for _, l := range p.lines {
			for _, tok := range strings.FieldsFunc(l.text, func(r rune) bool { return r == ' ' || r == ',' || r == '\'' || r == '"' }) {
				if strings.HasPrefix(l.text, ".\\\"") {
					continue
				}
				if err := v.checkName(strings.TrimRight(tok, ".)")); err != nil {
					t.Errorf("%s:%d: %v", p.name, l.number, err)
				}
			}
		}
	}
}

// foreignOptions are options of others that a document explains.
var foreignOptions = strings.Fields("--only " + // of tests/bench/bridge
	"--network --security-opt --shm-size --tmpfs --ulimit") // of podman

var wordName = regexp.MustCompile(`^[a-z0-9]+\.[a-z0-9.*>?@!-]*$`)

// checkName returns an error if a token has a reserved prefix of words and is neither a word nor the
// beginning of some, up to a dot: fault.drop, fault. and fault.*.
func (v vocabulary) checkName(tok string) error {
	if !wordName.MatchString(tok) || fileName.MatchString(tok) || v.dict.Exists(tok) || !slices.ContainsFunc(v.prefixes, func(p string) bool { return strings.HasPrefix(tok, p) }) {
		return nil
	}
	if family := strings.TrimSuffix(strings.TrimSuffix(tok, "*"), "."); len(v.dict.Complete(family+".")) > 0 {
		return nil
	}
	return fmt.Errorf("%s is no word", tok)
}

// The examples of documents in blocks marked rpcl are transcripts, typed at one prompt a chapter (a
// heading of the first or second level). -update writes what they print.
func TestDocument(t *testing.T) {
	least := map[string]int{"docs/rpcl.md": 20, "docs/filters.md": 7}
	for _, p := range documents(t) {
		if least[p.name] > 0 || slices.ContainsFunc(p.lines, func(l pageLine) bool { return l.text == "```rpcl" }) {
			t.Run(p.name, func(t *testing.T) { replayDocument(t, filepath.Join("..", p.name), least[p.name]) })
		}
	}
}

// replayDocument replays the examples of a document, which are so many at least.
func replayDocument(t *testing.T, file string, least int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const open, end = "```rpcl\n", "```\n"
	var made strings.Builder
	var p *prompt
	blocks := 0
	for rest := string(text); rest != ""; {
		before, block, found := strings.Cut(rest, open)
		if p == nil || strings.Contains("\n"+before, "\n# ") || strings.Contains("\n"+before, "\n## ") {
			p = newPrompt(t)
		}
		made.WriteString(before)
		if !found {
			break
		}
		block, rest, found = strings.Cut(block, end)
		if !found {
			t.Fatalf("%s: a block is not closed", file)
		}
		blocks++
		made.WriteString(open + p.replay(block) + end)
		if p.s.Open() != "" {
			t.Errorf("%s: an example leaves %s open:\n%s", file, p.s.Open(), block)
		}
	}
	if blocks < least {
		t.Errorf("%s has %d examples", file, blocks)
	}
	switch {
	case made.String() == string(text):
	case *update:
		if err := os.WriteFile(file, []byte(made.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: %s", file, firstDifference(made.String(), string(text)))
	}
}

// The page about metrics names every fault that the label of a counter can have, and every metric of a counter of an interface.
func TestWatchingNamesTheCounters(t *testing.T) {
	b, err := os.ReadFile("../docs/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range dataplane.Counters {
		if c.Fault != "" && !strings.Contains(string(b), "`"+c.Fault+"`") {
			t.Errorf("docs/watching.md lacks the fault %q", c.Fault)
		}
		if c.Metric != "" && c.Fault == "" && !strings.Contains(string(b), "ethertap_"+c.Metric+"_") {
			t.Errorf("docs/watching.md lacks the metric %q", c.Metric)
		}
	}
}
