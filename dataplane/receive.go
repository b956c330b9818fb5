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
	way, wishes := &p.ports[in].rx, &p.Ports[in]
	tapped, dropping := way.taps != 0, p.drop != nil || p.drops != nil
	tables := w.tables[in].Load()
	faults := wishes.Fault.Enabled && l.output != mirror
	if faults && w.seed != p.Seed {
		w.reseed(p.Seed)
	}
	out := 0 // number of frames in w.sending
	for i := range w.descs[:n] {
		d := w.descs[i]
		frame := w.umem.Bytes(d) // the first chunk of a long frame
		length := len(frame)
		if d.Options &= flags; d.Options != 0 {
			length = w.length(d)
		}
		tables.countFrame(frame, length)
		id := w.frameID
		w.frameID++
		if tapped {
			if wanting := w.wanting(p, way, frame, d); wanting != 0 {
				w.tapFrame(p, wanting, in, shm.RX, mark{id: id}, d)
			}
		}
		switch {
		case l.output != mirror && w.lanes[l.output].gone:
			t[countNoIf]++
		case dropping && (p.drop != nil && p.drop.has(source(frame)) || p.drops != nil && w.matches(p.drops, d, false)):
			t[countDrop]++
		case l.output == mirror:
			t[countMirrored]++
		case d.Options != 0 && w.chunks(d) > port.MaxChunks:
			t[countErr+int(reasonLong)]++
		case faults && (p.suffers == nil || p.suffers.has(source(frame))) && (p.spoils == nil || w.matches(p.spoils, d, false)):
			out = w.spoil(in, &wishes.Fault, d, id, out)
			continue
		default:
			w.sending[out], w.sent[out] = d, mark{id: id}
			out++
			continue
		}
		w.retire(d)
	}
	if out > 0 {
		w.transmit(l.output, p, out)
	}
	w.recycle()
	tables.publish(w.stamp)
	return received
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
