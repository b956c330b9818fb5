// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
)

// Schema is the version of subjects and headers. A reader refuses messages of a later one.
const Schema = 1

// The headers of a message. docs/many-taps.md specifies them.
const (
	headerSchema   = "Ethertap-Schema"
	headerHost     = "Ethertap-Host"
	headerInstance = "Ethertap-Instance"
	headerQueue    = "Ethertap-Queue"
	headerFirst    = "Ethertap-First"   // time of the earliest packet, ns since the epoch
	headerLast     = "Ethertap-Last"    // and of the latest
	headerPackets  = "Ethertap-Packets" // how many packets
	headerBytes    = "Ethertap-Bytes"   // length of the section, not compressed
	headerRun      = "Ethertap-Run"     // the run of a collector
	headerNumber   = "Ethertap-Number"  // of the message in the run, from 1
	headerSafe     = "Ethertap-Safe"    // messages up to that number were acknowledged before this one was sent
	headerEnd      = "Ethertap-End"     // on the last message of a run
	headerEncoding = "Content-Encoding" // zstd, or not there
)

// heading is what the headers of a message say.
type heading struct {
	Tap
	run         string
	number      uint64
	safe        uint64
	first, last int64
	packets     uint64
	bytes       uint64
	end         bool
	zstd        bool
}

// header returns the headers.
func (h *heading) header() nats.Header {
	n := nats.Header{}
	n.Set(headerSchema, strconv.Itoa(Schema))
	n.Set(headerHost, h.Host)
	n.Set(headerInstance, h.Instance)
	n.Set(headerQueue, h.Queue)
	n.Set(headerRun, h.run)
	n.Set(headerNumber, strconv.FormatUint(h.number, 10))
	n.Set(headerFirst, strconv.FormatInt(h.first, 10))
	n.Set(headerLast, strconv.FormatInt(h.last, 10))
	n.Set(headerPackets, strconv.FormatUint(h.packets, 10))
	n.Set(headerBytes, strconv.FormatUint(h.bytes, 10))
	if h.end {
		n.Set(headerEnd, "1")
	}
	if h.zstd {
		n.Set(headerEncoding, "zstd")
	}
	return n
}

// parseHeading reads the headers of a message.
func parseHeading(n nats.Header) (h heading, err error) {
	schema := n.Get(headerSchema)
	if v, serr := strconv.Atoi(schema); serr != nil {
		return h, fmt.Errorf("no packets of EtherTAP, it has no header %s", headerSchema)
	} else if v > Schema {
		return h, fmt.Errorf("of schema %d, and this program knows %d", v, Schema)
	}
	h.Tap = Tap{n.Get(headerHost), n.Get(headerInstance), n.Get(headerQueue)}
	h.run, h.end, h.zstd = n.Get(headerRun), n.Get(headerEnd) != "", n.Get(headerEncoding) == "zstd"
	for _, f := range []struct {
		name string
		to   *uint64
	}{{headerNumber, &h.number}, {headerSafe, &h.safe}, {headerPackets, &h.packets}, {headerBytes, &h.bytes}} {
		if *f.to, err = strconv.ParseUint(n.Get(f.name), 10, 64); err != nil {
			return h, fmt.Errorf("the header %s is %q", f.name, n.Get(f.name))
		}
	}
	for _, f := range []struct {
		name string
		to   *int64
	}{{headerFirst, &h.first}, {headerLast, &h.last}} {
		if *f.to, err = strconv.ParseInt(n.Get(f.name), 10, 64); err != nil {
			return h, fmt.Errorf("the header %s is %q", f.name, n.Get(f.name))
		}
	}
	if h.run == "" || h.number == 0 || h.bytes > maxSection {
		return h, fmt.Errorf("its headers contradict each other")
	}
	return h, nil
}

const (
	// sectionSize is how long a section is at most, in bytes, and sectionAge for how long packets are
	// put into one.
	sectionSize = 512 << 10
	sectionAge  = 100 * time.Millisecond

	// maxSection bounds a section that is read.
	maxSection = 64 << 20
)

// unpack returns the section of a message.
func (h *heading) unpack(d *zstd.Decoder, data []byte) ([]byte, error) {
	if !h.zstd {
		return data, nil
	}
	return d.DecodeAll(data, make([]byte, 0, h.bytes))
}

// newDecoder returns what unpack needs.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSection))
}
