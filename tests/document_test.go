package tests

import (
	"os"
	"strings"
	"testing"
)

// The examples of the documents of the language are transcripts: blocks marked rpcl, typed
// at one prompt a chapter (a heading of the first or second level). -update writes what they print.
func TestDocument(t *testing.T) {
	for file, least := range map[string]int{"../docs/rpcl.md": 20, "../docs/filters.md": 7} {
		t.Run(file, func(t *testing.T) { replayDocument(t, file, least) })
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
