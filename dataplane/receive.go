// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// receive takes one batch from an interface through the chain and returns its number of entries.
func (w *worker) receive(in int) int {
	l := &w.lanes[in]
	n := l.sock.RX.Get(w.descs[:])
	if n == 0 {
		return 0
	}
	received := n
	l.filled -= n
	p := w.plan.Load() // loaded after the frames, so that no frame received after an Update meets the old plan
	flags := uint32(0) // the options of an entry that the chain looks at
	t := &w.tally[in]
	var bytes uint64
	if w.nextChunk != nil {
		n, flags = w.joinChunks(l, n), xsk.Continued
		bytes = w.bytes(w.descs[:n])
	} else {
		var options uint32
		if bytes, options = xsk.Sum(w.descs[:n]); l.torn || options&xsk.Continued != 0 {
			n = w.discardPieces(l, n, t)
			bytes = xsk.Bytes(w.descs[:n])
		}
	}
	t[countRX] += uint64(n)
	t[countRXBytes] += bytes
	w.readClock()
	way := &p.ports[in].rx
	tapped := way.taps != 0
	tables := w.tables[in].Load()
	fate := w.fate(in, p, n, flags)
	out := 0 // number of frames in w.sending
	for i := range w.descs[:n] {
		d := w.descs[i]
		if w.frames != nil {
			out = w.frameComes(in, d, p, out)
		}
		frame := w.umem.Bytes(d) // the first chunk of a long frame
		length := len(frame)
		if d.Options &= flags; d.Options != 0 {
			length = w.length(d)
		}
		tables.countFrame(frame, length)
		id := w.frameID
		w.frameID++
		if tapped {
			if wanting := w.wanting(p, way, frame, &w.descs[i]); wanting != 0 {
				w.tapFrame(p, wanting, in, shm.RX, mark{id: id}, d, w.received(in, d))
			}
		}
		switch fate {
		case forwardAll:
			w.sending[out], w.sent[out] = d, mark{id: id}
			out++
		case mirrorAll:
			t[countMirrored]++
			w.retire(d)
		case spoilAll:
			out = w.spoil(in, &p.Ports[in].Fault, d, id, out)
		default:
			out = w.decide(in, p, i, frame, id, out)
		}
	}
	if out > 0 {
		w.transmit(l.output, p, out)
	}
	w.recycle()
	tables.publish(w.stamp)
	return received
}

// receiveWaiting takes those frames of an interface through the chain that wait in its ring when it
// is called.
func (w *worker) receiveWaiting(in int) {
	for waiting := w.lanes[in].sock.RX.Ready(); waiting > 0; {
		n := w.receive(in)
		if n == 0 {
			break
		}
		waiting -= n
	}
	w.publish()
}

// fate is what becomes of the frames of a batch after the RX taps. Mostly it is the same for all,
// and the loop over them has little to keep in registers: with all decisions in the loop a bridged frame
// took 1 ns more.
type fate uint8

const (
	decideEach fate = iota
	forwardAll
	mirrorAll
	spoilAll
)

// fate returns what becomes of a batch of n frames received on interface in, and gives them their numbers for
// the dice. flags are those of long frames.
func (w *worker) fate(in int, p *plan, n int, flags uint32) fate {
	l := &w.lanes[in]
	output := l.output
	faults := p.Ports[in].Fault.Enabled && output != mirror
	if faults {
		w.followSeed(p.Seed)
		l.dice.ahead = l.dice.next - w.frameID
		l.dice.next += uint64(n)
	}
	switch {
	case p.drop != nil || p.drops != nil:
	case output == mirror:
		return mirrorAll
	case flags != 0 || w.lanes[output].gone:
	case !faults:
		return forwardAll
	case p.suffers == nil && p.spoils == nil:
		return spoilAll
	}
	return decideEach
}

// decide drops, spoils or forwards frame i of the batch, which was received on interface in; frame is its
// first chunk. w.sending has out frames before the call; the result is their number after it. All
// arguments have room in registers.
func (w *worker) decide(in int, p *plan, i int, frame []byte, id uint64, out int) int {
	l, t, fault := &w.lanes[in], &w.tally[in], &p.Ports[in].Fault
	d := w.descs[i]
	d.Options &= xsk.Continued // pieces of frames that are not joined were discarded
	passes := false
	switch {
	case l.output != mirror && w.lanes[l.output].gone:
		t[countNoIf]++
	case p.drop != nil && p.drop.has(source(frame)) || p.drops != nil && w.matches(p.drops, d, false):
		t[countDrop]++
	case l.output == mirror:
		t[countMirrored]++
	case d.Options != 0 && w.frames == nil && w.chunks(d) > port.MaxChunks: // files take any number
		t[countErr+int(reasonLong)]++
	case fault.Enabled && (p.suffers == nil || p.suffers.has(source(frame))) && (p.spoils == nil || w.matches(p.spoils, d, false)):
		return w.spoil(in, fault, d, id, out)
	default:
		passes = true
	}
	if fault.Enabled {
		w.heed(in, d, 0) // what stands in front of it stays there for the next frame in its chunk
	}
	if passes {
		w.sending[out], w.sent[out] = d, mark{id: id}
		return out + 1
	}
	w.retire(d)
	return out
}

// bytes returns the sum of the lengths of frames of which some are long.
func (w *worker) bytes(frames []xsk.Desc) (n uint64) {
	for _, d := range frames {
		n += uint64(w.length(d))
	}
	return n
}

// recycle ends a batch: chunks may be reused only after the taps have copied them.
func (w *worker) recycle() {
	w.flushTaps()
	w.free = append(w.free, w.retired...)
	w.retired = w.retired[:0]
}
