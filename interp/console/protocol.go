// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"ethertap/interp"
)

// This is the protocol between a server and its clients, version 3, over a Unix stream
// socket. Everything is a frame:
//
//	type    1 byte
//	length  4 bytes, big endian, of the payload; at most maxPayload
//	payload
//
// Numbers in payloads are big endian. A client sends one request at a time and
// numbers it (id, never 0); the next one may follow the reply. The server speaks
// first.
//
//	server → client
//	  H hello      magic "ETHERTAP", version u16, pid u32, instance name
//	  O output     bytes for standard output, in the order they were printed
//	  E errors     bytes for standard error, in order with O
//	  M more       id: the source of request R wants its next piece
//	  P page       id, text to be shown page by page; at most interp's maxPage bytes
//	  V view       id, name of a view that the client shows until its user leaves it, before it
//	               reads the result; a client without a view of that name reports that to its user
//	  K keys       id: request R wants the keys that are typed from now on
//	  Z result     id, code u8 (0 ok, 1 failed), flags u8 (1: the session was left),
//	               exit status u8, depth of the stack u16, open stack frames u16, name of
//	               the innermost open structure ("" none), and a line more for each unknown
//	               token left on the stack: "new" or "old", source, line, column, the word
//	               that may be meant, token, separated by tabs
//	  W words      id, and lines: the part that is completed, the text after a single
//	               completion, and the completions
//	  A about      id, stack comment of the word asked for ("" none)
//	  B goodbye    the reason why the server closes, as text
//
//	client → server
//	  L line       id, text: one line of the prompt; answered by O and E, then Z
//	  R run        id, name: a whole source, stops at the first error; answered by
//	               M whenever it wants more, O and E, then Z
//	  D data       id, bytes: the answer to M; none means that the source ends
//	  I interrupt  id of the L or R to stop; it is no error if that has ended.
//	               id 0: forget the open structure; neither has an answer
//	  K keys       id, bytes: the keys typed while R wants keys
//	  S screen     columns u16, rows u16 of a terminal that can give keys and obeys
//	               cursor sequences; 0 and 0 if it cannot any more; has no answer
//	  C complete   id, text before the cursor; answered by W, also while a line runs
//	  A about      id, a word; answered by A, also while a line runs
//	  Q bye        the client leaves; closing the connection means the same
//
// A server answers a frame that it does not understand with B, and closes.
const (
	// protocolVersion is the version of the protocol. A client does not talk to a server of
	// another version.
	protocolVersion = 3
	// maxPayload bounds the payload of a frame, in bytes: an id and the longest line.
	maxPayload = 4 + interp.MaxLine

	magic     = "ETHERTAP"
	headerLen = 5
	chunk     = 16 << 10 // output and sources are sent in pieces of about this size
	maxWords  = 64 << 10 // bytes of completions; nobody reads more
)

const (
	kindHello     = 'H'
	kindOutput    = 'O'
	kindErrors    = 'E'
	kindMore      = 'M'
	kindResult    = 'Z'
	kindWords     = 'W'
	kindGoodbye   = 'B'
	kindLine      = 'L'
	kindRun       = 'R'
	kindData      = 'D'
	kindInterrupt = 'I'
	kindComplete  = 'C'
	kindAbout     = 'A' // in both directions
	kindBye       = 'Q'
	kindPage      = 'P'
	kindKeys      = 'K' // in both directions
	kindView      = 'V'
	kindScreen    = 'S'
)

// frame is a message.
type frame struct {
	kind    byte
	payload []byte
}

// These are errors of the decoder. Each of them ends the connection.
var (
	errTooLong = errors.New("frame too long")
	errShort   = errors.New("frame too short")
	errMagic   = errors.New("not an EtherTAP socket")
)

// readFrame reads one frame. io.EOF means that the peer left between frames.
func readFrame(r io.Reader) (frame, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > maxPayload {
		return frame{}, fmt.Errorf("%w: %d bytes", errTooLong, n)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(r, p); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	return frame{h[0], p}, nil
}

// appendFrame appends a frame to b; the payload is given in parts.
func appendFrame(b []byte, kind byte, parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// idBytes returns an id as a part of a frame.
func idBytes(id uint32) string {
	return string(binary.BigEndian.AppendUint32(nil, id))
}

// withID splits the id off a payload.
func (f frame) withID() (id uint32, rest []byte, err error) {
	if len(f.payload) < 4 {
		return 0, nil, errShort
	}
	return binary.BigEndian.Uint32(f.payload), f.payload[4:], nil
}

// hello is the first message of a server.
type hello struct {
	version  uint16
	pid      uint32
	instance string
}

func (h hello) append(b []byte) []byte {
	fixed := binary.BigEndian.AppendUint16([]byte(magic), h.version)
	fixed = binary.BigEndian.AppendUint32(fixed, h.pid)
	return appendFrame(b, kindHello, string(fixed), h.instance)
}

func parseHello(f frame) (hello, error) {
	const fixed = len(magic) + 2 + 4
	if f.kind != kindHello || len(f.payload) < fixed || string(f.payload[:len(magic)]) != magic {
		return hello{}, errMagic
	}
	p := f.payload[len(magic):]
	return hello{
		version:  binary.BigEndian.Uint16(p),
		pid:      binary.BigEndian.Uint32(p[2:]),
		instance: string(p[6:]),
	}, nil
}

// appendScreen appends a frame with the size of a client's screen.
func appendScreen(b []byte, columns, rows int) []byte {
	size := binary.BigEndian.AppendUint16(nil, uint16(columns))
	size = binary.BigEndian.AppendUint16(size, uint16(rows))
	return appendFrame(b, kindScreen, string(size))
}

func parseScreen(p []byte) (columns, rows int, err error) {
	if len(p) < 4 {
		return 0, 0, errShort
	}
	return int(binary.BigEndian.Uint16(p)), int(binary.BigEndian.Uint16(p[2:])), nil
}

// Result is the result of a line or a source. All its output, including the error message, has
// been written when it is returned.
type Result struct {
	Failed bool   // an error ended it
	Left   bool   // a word left the session (bye)
	Status int    // exit status with which the session was left, 0 to 255
	Open   string // innermost structure that is still open, "" if none

	Depth   int              // values on the stack, in the innermost frame
	Frames  int              // open stack frames
	Unknown []interp.Unknown // tokens on the stack that were no words
}

// ExitStatus returns the exit status for a program that ran the line or source.
func (r Result) ExitStatus() int {
	if r.Failed {
		return 1
	}
	return r.Status
}

const flagLeft = 1

func (r Result) append(b []byte, id uint32) []byte {
	fixed := []byte{0, 0, byte(r.Status)}
	if r.Failed {
		fixed[0] = 1
	}
	if r.Left {
		fixed[1] = flagLeft
	}
	fixed = binary.BigEndian.AppendUint16(fixed, uint16(r.Depth))
	fixed = binary.BigEndian.AppendUint16(fixed, uint16(r.Frames))
	var text strings.Builder
	text.WriteString(r.Open)
	for i, u := range r.Unknown {
		if i == maxUnknown {
			break
		}
		when := unknownOld
		if u.Fresh {
			when = unknownNew
		}
		fmt.Fprintf(&text, "\n%s\t%s\t%d\t%d\t%s\t%s", when, shorten(u.Source), u.Line, u.Col, u.Near, shorten(u.Token))
	}
	return appendFrame(b, kindResult, idBytes(id), string(fixed), text.String())
}

const (
	unknownNew, unknownOld = "new", "old"
	maxUnknown             = 64 // the most tokens that a result names
)

// shorten shortens a text to a length that fits on a line.
func shorten(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	return interp.Printable(strings.ToValidUTF8(text, ""))
}

func parseResult(p []byte) (Result, error) {
	const fixed = 3 + 2 + 2
	if len(p) < fixed {
		return Result{}, errShort
	}
	r := Result{
		Failed: p[0] != 0,
		Left:   p[1]&flagLeft != 0,
		Status: int(p[2]),
		Depth:  int(binary.BigEndian.Uint16(p[3:])),
		Frames: int(binary.BigEndian.Uint16(p[5:])),
	}
	lines := strings.Split(string(p[fixed:]), "\n")
	r.Open = lines[0]
	for _, l := range lines[1:] {
		f := strings.Split(l, "\t")
		if len(f) != 6 {
			return Result{}, errShort
		}
		line, _ := strconv.Atoi(f[2])
		col, _ := strconv.Atoi(f[3])
		r.Unknown = append(r.Unknown, interp.Unknown{Fresh: f[0] == unknownNew, Source: shorten(f[1]), Line: line, Col: col, Near: shorten(f[4]), Token: shorten(f[5])})
	}
	return r, nil
}

// appendWords appends completions, as many as fit.
func appendWords(b []byte, id uint32, c completion) []byte {
	text := strings.Join(c.words, "\n")
	if len(text) > maxWords {
		text = text[:max(0, strings.LastIndexByte(text[:maxWords+1], '\n'))]
	}
	return appendFrame(b, kindWords, idBytes(id), c.prefix, "\n", c.end, "\n", text)
}

func parseWords(p []byte) completion {
	lines := strings.SplitN(string(p), "\n", 3)
	if len(lines) < 3 || lines[2] == "" {
		return completion{}
	}
	return completion{prefix: lines[0], end: lines[1], words: strings.Split(lines[2], "\n")}
}
