// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
	"ethertap/words/report"
)

// docs/json.md has every key that the words print, with its type, and no others. Every word that
// shows something of the dataplane or of a queue has a twin.
func TestJSONIsDocumented(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	further := r.queue + ".further"
	r.further = append(r.further, further)
	r.daemon("-e", "0 tap.rx.enable 06:00:00:00:00:01 tap.hash.insert 06:00:00:00:00:02 drop.hash.insert 06:00:00:00:00:03 fault.hash.insert \"len = 9999\" drop.filter \"udp\" fault.filter \"ip\" 0 tap.rx.filter",
		"-e", fmt.Sprintf(`"%[1]s" pqueue.add 06:00:00:00:00:04 "%[1]s" pqueue.hash.insert`, further))
	frames := netlab.Mix(1, 200)
	r.send(frames...)
	netlab.Await(t, "all are sent on", func() bool { return r.stat(1, "tx") == fmt.Sprint(len(frames)) })

	documented := readKeys(t, "../docs/json.md")
	dict, _ := dictionary(t)
	twins, shown := 0, regexp.MustCompile(`\.(show|list|status|stats|qstats|check|who|producers)$`)
	for _, set := range dict.Sets() {
		if set.Name == "core" || set.Name == "packet" {
			continue
		}
		for _, w := range set.Words {
			if _, ok := dict.Word(report.TwinName(w.Name)); !ok && shown.MatchString(w.Name) {
				t.Errorf("%s has no twin", w.Name)
			}
			if !strings.HasSuffix(w.Name, ".json") {
				continue
			}
			inputs := strings.NewReplacer("( ", "", "- )", "", "queue", "0", "interface", "0", "name", `"`+further+`"`).Replace(w.Stack)
			var value map[string]any
			r.ask(inputs+w.Name, &value)
			twins++
			holds(t, w.Name, value, documented[w.Name], "ethertap")
		}
	}
	capture := filepath.Join(t.TempDir(), "a.pcapng")
	p := r.collecting("-n", "-p", "1", "--format", "pcapng", capture)
	tapped := netlab.UDP(100, 1)
	copy(tapped[6:], []byte{6, 0, 0, 0, 0, 1}) // a host of tap.hash
	r.sendAll(tapped)
	ended(t, p)
	var value map[string]any
	if err := json.Unmarshal([]byte(r.must(netlab.Build(t, "./cmd/recall"), "--list", "--json", capture)), &value); err != nil {
		t.Fatal(err)
	}
	twins++
	holds(t, recallJSON, value, documented[recallJSON], "recall")
	r.collecting("-ns", os.DevNull) // for it to have a consumer
	value = nil
	if err := json.Unmarshal([]byte(r.must(r.collect, "--list", "--json", "-q", r.queue)), &value); err != nil {
		t.Fatal(err)
	}
	twins++
	holds(t, listJSON, value, documented[listJSON], "collect")
	const logJSON = "log.json" // of the program, not of a set
	var log map[string]any
	r.ask(logJSON, &log)
	twins++
	holds(t, logJSON, log, documented[logJSON], "ethertap")
	if twins != len(documented) {
		t.Errorf("%d print JSON, the document has %d: %v", twins, len(documented), slices.Sorted(maps.Keys(documented)))
	}
}

// These are the titles of what collect and recall print, as readKeys has them.
const listJSON, recallJSON = "collect---list---json", "recall---list---json"

// holds compares the keys with those of the document: they are the same.
func holds(t *testing.T, name string, value map[string]any, documented map[string]string, instance string) {
	t.Helper()
	printed := map[string]string{}
	keysOf(value, "", printed, documented)
	for key, kind := range printed {
		if want, ok := documented[key]; !ok {
			t.Errorf("%s prints %s, a %s, which the document lacks", name, key, kind)
		} else if want != kind {
			t.Errorf("%s: %s is a %s, and a %s in the document", name, key, kind, want)
		}
	}
	for key := range documented {
		if printed[key] == "" {
			t.Errorf("%s does not print %s, which the document has", name, key)
		}
	}
	if value["schema"] != float64(report.Schema) || value["instance"] != instance {
		t.Errorf("%s: schema %v, instance %v", name, value["schema"], value["instance"])
	}
	if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(value["time"])); err != nil || time.Since(at) > time.Hour {
		t.Errorf("%s: time %v, %v", name, value["time"], err)
	}
}

// keysOf adds the keys of a value and their types. An object that the document has as
// numbers by name has keys that depend on what happened.
func keysOf(v any, at string, keys map[string]string, documented map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if documented[at] == "numbers by name" {
			keys[at] = "numbers by name"
			for _, n := range v {
				if _, ok := n.(float64); !ok {
					keys[at] = "object"
				}
			}
			return
		}
		if at != "" && !(strings.HasSuffix(at, "[]") && documented[at] == "") {
			keys[at] = "object"
		}
		for name, v := range v {
			keysOf(v, strings.TrimPrefix(at+"."+name, "."), keys, documented)
		}
	case []any:
		keys[at] = "list"
		for _, v := range v {
			keysOf(v, at+"[]", keys, documented)
		}
	case string:
		keys[at] = "text"
	case float64:
		keys[at] = "number"
	case bool:
		keys[at] = "flag"
	default:
		keys[at] = fmt.Sprintf("%T", v)
	}
}

// readKeys returns the keys of each word in the document, with their types. A row whose sentence
// links to sections of the document has the keys of those too.
func readKeys(t *testing.T, file string) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ key, kind, sentence string }
	sections, alike := map[string][]row{}, map[string]string{}
	title := ""
	line := regexp.MustCompile("^\\|(?: `([^`]+)`)? \\| ([a-z ]+) \\| (.+) \\|$")
	for _, l := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimLeft(l, "#"), " "); ok && strings.HasPrefix(l, "#") {
			title = strings.ReplaceAll(strings.ToLower(name), " ", "-")
		} else if strings.HasPrefix(l, "Likewise ") {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(l, -1) {
				alike[m[1]] = title
			}
		} else if m := line.FindStringSubmatch(l); m != nil && m[2] != "type" {
			sections[title] = append(sections[title], row{m[1], m[2], m[3]})
		}
	}
	link := regexp.MustCompile(`\(#([^)]+)\)`)
	var expand func(section, at string, into map[string]string)
	expand = func(section, at string, into map[string]string) {
		if len(sections[section]) == 0 {
			t.Fatalf("%s has no section %s", file, section)
		}
		for _, r := range sections[section] {
			key := strings.Trim(at+"."+r.key, ".")
			if r.key != "" {
				if into[key] != "" {
					t.Errorf("%s: %s stands twice in %s", file, key, section)
				}
				into[key] = r.kind
			}
			for _, m := range link.FindAllStringSubmatch(r.sentence, -1) {
				expand(m[1], key, into)
			}
		}
	}
	words := map[string]map[string]string{}
	for section := range sections {
		if strings.HasSuffix(section, ".json") || section == listJSON || section == recallJSON {
			alike[section] = section
		}
	}
	for name, section := range alike {
		words[name] = map[string]string{}
		expand("every-line", "", words[name])
		expand(section, "", words[name])
	}
	return words
}
