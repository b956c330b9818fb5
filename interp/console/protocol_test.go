// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ethertap/interp"
)

func TestFrames(t *testing.T) {
	b := hello{protocolVersion, 7966, "lab"}.append(nil)
	r := Result{Failed: true, Left: true, Status: 255, Open: "begin", Depth: 4096, Frames: 2, Unknown: []interp.Unknown{
		{Token: "dupp", Source: "a\tb.rpcl", Line: 3, Col: 1, Near: "dup", Fresh: true}, {Token: "x"},
	}}
	b = r.append(b, 1<<31)
	r.Unknown[0].Source = "a?b.rpcl" // as it is shown
	b = appendWords(b, 5, completion{"x", []string{"a", "b"}, "\" "})
	b = appendWords(b, 6, completion{"zzz", nil, " "})
	in := bytes.NewReader(b)
	next := func() frame {
		f, err := readFrame(in)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if h, err := parseHello(next()); err != nil || h != (hello{protocolVersion, 7966, "lab"}) {
		t.Errorf("hello %+v, %v", h, err)
	}
	id, rest, err := next().withID()
	if got, perr := parseResult(rest); err != nil || perr != nil || id != 1<<31 || !reflect.DeepEqual(got, r) {
		t.Errorf("result %d %+v, %v, %v", id, got, err, perr)
	}
	for _, want := range []completion{{"x", []string{"a", "b"}, "\" "}, {}} {
		_, rest, err := next().withID()
		if got := parseWords(rest); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("words %q, %v", got, err)
		}
	}
	if _, err := readFrame(in); err != io.EOF {
		t.Errorf("end: %v", err)
	}
	many := make([]string, 10000)
	for i := range many {
		many[i] = strings.Repeat("x", 32)
	}
	f, err := readFrame(bytes.NewReader(appendWords(nil, 1, completion{words: many})))
	if err != nil || len(f.payload) > 4+maxWords {
		t.Fatalf("%d bytes of words, %v", len(f.payload), err)
	}
	words := parseWords(f.payload[4:]).words
	if len(words) < 1000 || words[len(words)-1] != many[0] {
		t.Errorf("%d words, the last %q", len(words), words[len(words)-1])
	}
}

// The client recognizes a server of another version or of another kind.
func TestDialStrangers(t *testing.T) {
	for name, c := range map[string]struct{ greeting, want string }{
		"version": {string(hello{protocolVersion + 1, 1, ""}.append(nil)), fmt.Sprintf("protocol version %d", protocolVersion+1)},
		"http":    {"HTTP/1.1 400 Bad Request\r\n", "frame too long"},
		"silent":  {"", "EOF"},
		"refusal": {string(appendFrame(nil, kindGoodbye, "refused: no")), "refused: no"},
		"magic":   {string(appendFrame(nil, kindHello, "NOTETHERTAP123456")), "not an EtherTAP socket"},
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if nc, err := l.Accept(); err == nil {
				io.WriteString(nc, c.greeting)
				nc.Close()
			}
		}()
		if _, err := Dial(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(hello{protocolVersion, 1, "x"}.append(nil))
	f.Add(Result{Open: "if"}.append(nil, 3))
	f.Add(appendWords(nil, 1, completion{"d", []string{"dup", "drop"}, " "}))
	f.Add(appendFrame(nil, kindLine, idBytes(1), "1 ."))
	f.Add([]byte{kindLine, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			before := len(b) - r.Len()
			fr, err := readFrame(r)
			if err != nil {
				return
			}
			if len(fr.payload) > maxPayload {
				t.Fatalf("payload of %d bytes", len(fr.payload))
			}
			if again := appendFrame(nil, fr.kind, string(fr.payload)); !bytes.Equal(again, b[before:len(b)-r.Len()]) {
				t.Fatalf("%x became %x", b[before:len(b)-r.Len()], again)
			}
			if h, err := parseHello(fr); err == nil && !bytes.Equal(h.append(nil)[headerLen:], fr.payload) {
				t.Fatalf("hello %x became %x", fr.payload, h.append(nil))
			}
			if id, rest, err := fr.withID(); err == nil {
				if res, err := parseResult(rest); err == nil {
					_, p, _ := frame{0, res.append(nil, id)[headerLen:]}.withID()
					if again, err := parseResult(p); err != nil || !reflect.DeepEqual(again, res) {
						t.Fatalf("result %+v became %+v, %v", res, again, err)
					}
				}
				parseWords(rest)
			}
		}
	})
}
