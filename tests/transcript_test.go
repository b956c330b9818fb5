// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/shm"
	"ethertap/tests/netlab"
	"ethertap/words/core"
	"ethertap/words/ixdp"
	"ethertap/words/packet"
	"ethertap/words/predicate"
	wordsreplay "ethertap/words/replay"
	"ethertap/words/report"
	"ethertap/words/tap"
)

var update = flag.Bool("update", false, "write what the transcripts print now into their files")

// TestTranscripts replays prompts. A transcript is what a user would see: lines
// that begin with `ok ` (or with the continuation prompt, `if> `) are typed, the
// others are what is printed. `# packet HEX` puts a frame into the TAP queue, as
// the dataplane would. Each file has a dictionary, an engine on two interfaces
// that are never attached, and a queue of its own.
//
// One that begins with `# in memory` has its engine on two ports in memory instead. `if.start`
// starts it, `# receive PORT HEX` gives it a frame, and `# down PORT`, `# up PORT` and `# remove PORT` do that
// to a port. Each of these returns when the engine has acted on it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s: %s", file, firstDifference(got, string(want)))
			}
		})
	}
}

// dictionary returns that of ethertap, on an engine that is never attached and a
// queue that goes with the test.
func dictionary(t *testing.T) (*interp.Dict, *shm.Queue) {
	t.Helper()
	return dictionaryOf(t, "enp1s0f0", "enp1s0f1")
}

func dictionaryOf(t *testing.T, interfaces ...string) (*interp.Dict, *shm.Queue) {
	t.Helper()
	_, dict, q := dictionaryOn(t, dataplane.Config{Interfaces: interfaces})
	return dict, q
}

func dictionaryOn(t *testing.T, c dataplane.Config) (*dataplane.Engine, *interp.Dict, *shm.Queue) {
	t.Helper()
	name := fmt.Sprintf("ixdp.pqueue.test.%d.%x", os.Getpid(), rand.Uint64())
	q, err := shm.Open(name, shm.Options{Role: shm.RoleEthertap, Name: "transcript", Slots: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		for _, name := range []string{name, labOf(q)} { // unless a word has done so
			if err := shm.Delete(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("queue: %v", err)
			}
		}
	})
	c.Queue, c.BypassDir = q, filepath.Join(t.TempDir(), "bypass")
	engine, err := dataplane.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	from := report.Source{Instance: "ethertap"}
	dict, err := interp.NewDict(core.Set(), packet.Set(), predicate.Set(), tap.QueueWords(func() (*shm.Queue, error) { return q, nil }, engine, from), tap.Words(engine, from), ixdp.Words(engine, from), wordsreplay.Words(nil, nil, from))
	if err != nil {
		t.Fatal(err)
	}
	return engine, dict, q
}

// labQueue is the further queue of examples and transcripts, labOf the one that stands
// for it beside the queue q of a test.
const labQueue = shm.Prefix + "lab"

func labOf(q *shm.Queue) string { return q.Name() + ".lab" }

// private is source with a further queue of this test's own.
func private(q *shm.Queue, source string) string {
	return strings.ReplaceAll(source, labQueue, labOf(q))
}

// replay types the input lines of a transcript and returns the new transcript.
func replay(t *testing.T, transcript string) string {
	t.Helper()
	if strings.HasPrefix(transcript, inMemory+"\n") {
		return newPromptInMemory(t).replay(transcript)
	}
	return newPrompt(t).replay(transcript)
}

// prompt is one on which transcripts are replayed, one after the other.
type prompt struct {
	t        *testing.T
	s        *interp.Session
	out      bytes.Buffer
	queue    *shm.Queue
	producer *shm.Producer
	text     string // of the prompt: `ok `, or what is open

	engine *dataplane.Engine
	ports  []*memory.Port // nil: its engine has network interfaces
}

const inMemory = "# in memory"

// newPromptInMemory is one whose engine runs.
func newPromptInMemory(t *testing.T) *prompt {
	t.Helper()
	c := dataplane.Config{Interfaces: []string{"left", "right"}, Rings: dataplane.MinRings, Hold: 64}
	var ports []*memory.Port
	for i, name := range c.Interfaces {
		p := memory.New(name, memory.Options{MAC: policy.MAC{2, 0, 0, 0, 0, byte(i + 1)}})
		ports, c.Ports = append(ports, p), append(c.Ports, p)
	}
	engine, dict, q := dictionaryOn(t, c)
	p := newPromptOf(t, dict, q)
	p.engine, p.ports = engine, ports
	return p
}

func newPrompt(t *testing.T) *prompt {
	t.Helper()
	dict, q := dictionary(t)
	return newPromptOf(t, dict, q)
}

func newPromptOf(t *testing.T, dict *interp.Dict, q *shm.Queue) *prompt {
	t.Helper()
	producer, err := q.NewProducer("transcript")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { producer.Close() })
	p := &prompt{t: t, queue: q, producer: producer, text: "ok "}
	p.s = interp.NewSession(dict, strings.NewReader(""), &p.out, &p.out)
	if err := core.Prelude(p.s); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *prompt) replay(transcript string) string {
	p.t.Helper()
	p.out.Reset()
	s := p.s
	for _, line := range strings.Split(transcript, "\n") {
		if hex, ok := strings.CutPrefix(line, "# packet "); ok {
			p.out.WriteString(line + "\n")
			put(p.t, p.producer, hex)
			continue
		}
		if p.directive(line) {
			p.out.WriteString(line + "\n")
			continue
		}
		input, ok := strings.CutPrefix(line+" ", p.text)
		if !ok {
			continue // printed before: printed again, if all is well
		}
		p.out.WriteString(line + "\n")
		if err := s.Interpret(private(p.queue, input)); err != nil && !s.Left() {
			s.Report(err)
		}
		if !s.AtLineStart() {
			s.Print("\n")
		}
		s.Flush()
		if p.text = "ok "; s.Open() != "" {
			p.text = s.Open() + "> "
		}
	}
	out := moments.ReplaceAllString(p.out.String(), `"$1":"…"`)
	return strings.ReplaceAll(strings.ReplaceAll(out, labOf(p.queue), labQueue), p.queue.Name(), shm.DefaultName)
}

// directive does what a line says to the ports in memory; false if it is none for them.
func (p *prompt) directive(line string) bool {
	p.t.Helper()
	if line == inMemory {
		return true
	}
	var what, hex string
	var number int
	if p.ports == nil {
		return false
	}
	if n, _ := fmt.Sscanf(line, "# %s %d %s", &what, &number, &hex); n < 2 || number < 0 || number >= len(p.ports) {
		return false
	}
	port := p.ports[number]
	switch what {
	case "receive":
		var frame []byte
		if _, err := fmt.Sscanf(hex, "%x", &frame); err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		if !port.Receive(0, frame) {
			p.t.Fatalf("%s: it found no room, or the engine does not run", line)
		}
	case "down", "up":
		port.SetUp(what == "up")
	case "remove":
		port.Remove()
		netlab.Await(p.t, "it is seen that it is gone", func() bool { return p.engine.Snapshot(false).Ports[number].Gone })
	default:
		return false
	}
	// A round that was begun before the frame came may end without it; the next one has it, and
	// the one after that sends what was held and is due.
	for range 3 {
		if _, err := p.engine.Chunks(); err != nil {
			p.t.Fatal(err)
		}
	}
	return true
}

// moments are the times in JSON, which no two runs have in common.
var moments = regexp.MustCompile(`"(time|created)":"[^"]+"`)

func put(t *testing.T, p *shm.Producer, hex string) {
	var frame []byte
	if _, err := fmt.Sscanf(hex, "%x", &frame); err != nil {
		t.Fatalf("packet %q: %v", hex, err)
	}
	if p.Put([]shm.Record{{OrigLen: uint32(len(frame)), Direction: shm.RX, Data: frame}}) != 1 {
		t.Fatal("the queue refused a packet")
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			return fmt.Sprintf("line %d is missing: %q", i+1, w[i])
		case i >= len(w):
			return fmt.Sprintf("line %d is too much: %q", i+1, g[i])
		case g[i] != w[i]:
			return fmt.Sprintf("line %d\n  is      %q\n  and not %q\n(go test ./tests -update writes the files anew)", i+1, g[i], w[i])
		}
	}
	return "no difference"
}
