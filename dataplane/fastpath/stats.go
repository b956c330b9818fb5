// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// Stats holds the maps in which the programs count, and those that they share with threads. It
// outlives a Path: the next one continues with it.
type Stats struct {
	maps  map[string]*ebpf.Map
	rings [queues]*ebpf.Map // nil until opened
}

var statsMaps = [...]string{
	objectMapCounts, objectMapSent, objectMapErrors, objectMapMisses, objectMapMacs, objectMapTypes, objectMapVlans, objectMapRest,
	objectMapLives, objectMapRings, objectMapUnserved, objectMapSufferings,
}

// NewStats makes the maps. They take about 0.7 MB for each port and CPU.
func NewStats() (*Stats, error) {
	spec, err := loadObject()
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	fitRings(spec)
	s := &Stats{maps: make(map[string]*ebpf.Map)}
	for _, name := range statsMaps {
		m, err := ebpf.NewMap(spec.Maps[name])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("map %s: %w", name, err), s.Close())
		}
		s.maps[name] = m
	}
	return s, nil
}

// fitRings makes the template of a ring as small as the pages of the machine allow.
func fitRings(spec *ebpf.CollectionSpec) {
	spec.Maps[objectMapRings].InnerMap.MaxEntries = uint32(os.Getpagesize())
}

// ResetSent sets the counters of frames on their way out to 0. Nothing may be forwarded meanwhile.
func (s *Stats) ResetSent() error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for place := range uint32(ports * queues) {
		if err := s.maps[objectMapSent].Put(place, make([]objectDeparted, cpus)); err != nil {
			return fmt.Errorf("reset %s: %w", objectMapSent, err)
		}
	}
	for place := range uint32(ports * queues * errnos) {
		if err := s.maps[objectMapErrors].Put(place, uint64(0)); err != nil {
			return fmt.Errorf("reset %s: %w", objectMapErrors, err)
		}
	}
	return nil
}

// Close frees the memory. No Path may use it any more.
func (s *Stats) Close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	for _, m := range s.rings {
		errs = append(errs, m.Close()) // on nil Close does nothing
	}
	return errors.Join(errs...)
}

// Lives returns the file descriptor of the page in which the threads show that they are alive. The
// caller maps it: an xsk.Life for each queue.
func (s *Stats) Lives() int { return s.maps[objectMapLives].FD() }

// Ring returns the file descriptor of the ring with copies of the frames received on a queue, and
// its actual size in bytes. It makes the ring, of the size wanted, if there is none. A record of
// the ring is a Tapped header, followed by the bytes of the frame.
func (s *Stats) Ring(queue, size int) (fd, actual int, err error) {
	if s.rings[queue] == nil {
		if s.rings[queue], err = s.openRing(uint32(queue), size); err != nil {
			return 0, 0, fmt.Errorf("ring of queue %d: %w", queue, err)
		}
	}
	return s.rings[queue].FD(), int(s.rings[queue].MaxEntries()), nil
}

func (s *Stats) openRing(queue uint32, size int) (*ebpf.Map, error) {
	outer := s.maps[objectMapRings]
	var id ebpf.MapID
	switch err := outer.Lookup(queue, &id); {
	case err == nil:
		return ebpf.NewMapFromID(id)
	case !errors.Is(err, ebpf.ErrKeyNotExist):
		return nil, err
	}
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ixdp_ring", Type: ebpf.RingBuf, MaxEntries: uint32(size)})
	if err != nil {
		return nil, err
	}
	if err := outer.Put(queue, ring); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return ring, nil
}

// Tapped is the header of a record in a ring.
type Tapped struct {
	When   int64  // time of reception, ns on CLOCK_MONOTONIC
	Stamp  uint64 // the same on the device's clock, ns; 0: unknown
	Length uint32 // bytes on the wire
	Kept   uint32 // bytes that follow the header
	RX     uint16 // bit n: tap n wants the frame as received on Port
	TX     uint16 // bit n: tap n wants the frame as sent by the other port
	Port   uint32
	Faults uint32 // what the frame has suffered, a bit for each fault
	Frame  uint64 // the same for two copies of one spoiled frame, which follow each other; 0 otherwise
}

// ParseTapped splits a record of a ring. ok is false if the record is not well-formed; our programs
// write none of these.
func ParseTapped(record []byte) (t Tapped, frame []byte, ok bool) {
	if len(record) < tappedSize {
		return t, nil, false
	}
	t = Tapped{
		When:   int64(binary.NativeEndian.Uint64(record[tappedWhen:])),
		Stamp:  binary.NativeEndian.Uint64(record[tappedStamp:]),
		Length: binary.NativeEndian.Uint32(record[tappedLength:]),
		Kept:   binary.NativeEndian.Uint32(record[tappedKept:]),
		RX:     binary.NativeEndian.Uint16(record[tappedRX:]),
		TX:     binary.NativeEndian.Uint16(record[tappedTX:]),
		Port:   binary.NativeEndian.Uint32(record[tappedPort:]),
		Faults: binary.NativeEndian.Uint32(record[tappedFaults:]),
		Frame:  binary.NativeEndian.Uint64(record[tappedFrame:]),
	}
	frame = record[tappedSize:]
	if uint64(t.Kept) > uint64(len(frame)) || int(t.Port) >= ports {
		return t, nil, false
	}
	return t, frame[:t.Kept], true
}

// Counts says what became of the frames of one queue that were not diverted. The counters are never
// reset. The number of received frames is the sum of Forwarded, Dropped, NoIf, Mirrored and Lost.
type Counts struct {
	Forwarded uint64              // given to the other port
	Dropped   uint64              // dropped by Rules.Drop
	NoIf      uint64              // the interface of the other port has disappeared
	Mirrored  uint64              // not to be forwarded
	Suffered  [FaultsKnown]uint64 // frames that have suffered each fault
	Bypassed  uint64              // part of the four above: frames that should have been diverted, but no thread was there

	Bytes uint64 // bytes of the received frames

	Sent      uint64         // forwarded, and taken by the driver of the other port
	SentBytes uint64         // bytes of these frames
	Errors    [errnos]uint64 // forwarded, and not taken, by errno; 0 means a full ring, the last one any other errno

	MissedRX [MaxTaps]uint64 // frames received here of which a tap got no copy
	MissedTX [MaxTaps]uint64 // frames received here and sent by the other port, of which a tap of sent frames got no copy
}

// Lost returns the number of frames that faults have lost.
func (c *Counts) Lost() (n uint64) {
	for fault, frames := range c.Suffered {
		if Losses>>fault&1 != 0 {
			n += frames
		}
	}
	return n
}

// Held returns the number of frames on their way from the programs to a driver.
func (c *Counts) Held() uint64 {
	n := c.Forwarded - c.Sent
	for _, e := range c.Errors {
		n -= e
	}
	return n
}

// Read returns the counts of all ports and queues.
func (s *Stats) Read() (all [ports][queues]Counts, err error) {
	// The counters at the end of the way are read first, so that no more frames leave than have
	// come.
	places := make([]uint64, ports*queues*errnos)
	if err := s.lookup(objectMapErrors, ports*queues*errnos, places); err != nil {
		return all, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return all, err
	}
	sent := make([]objectDeparted, ports*queues*cpus)
	if err := s.lookup(objectMapSent, ports*queues, sent); err != nil {
		return all, err
	}
	missed := make([]objectMissed, ports*queues*cpus)
	if err := s.lookup(objectMapMisses, ports*queues, missed); err != nil {
		return all, err
	}
	fates := make([]objectFates, ports*queues*cpus)
	if err := s.lookup(objectMapCounts, ports*queues, fates); err != nil {
		return all, err
	}
	for i := range ports * queues {
		c := &all[i/queues][i%queues]
		copy(c.Errors[:], places[i*errnos:])
		for cpu := range cpus {
			f := &fates[i*cpus+cpu]
			c.Sent += sent[i*cpus+cpu].Frames
			c.SentBytes += sent[i*cpus+cpu].Bytes
			c.Forwarded += f.Forwarded
			c.Dropped += f.Dropped
			c.NoIf += f.Noif
			c.Mirrored += f.Mirrored
			c.Bypassed += f.Bypassed
			c.Bytes += f.Bytes
			m := &missed[i*cpus+cpu]
			for tap := range MaxTaps {
				c.MissedRX[tap] += m.Rx[tap]
				c.MissedTX[tap] += m.Tx[tap]
			}
		}
	}
	return all, s.readSuffered(&all)
}

// Unserved returns the number of frames of a port that went to the network stack of the kernel,
// because their queue has no socket.
func (s *Stats) Unserved(port int) (n uint64, err error) {
	var each []uint64
	if err := s.maps[objectMapUnserved].Lookup(uint32(port), &each); err != nil {
		return 0, fmt.Errorf("read %s: %w", objectMapUnserved, err)
	}
	for _, v := range each {
		n += v
	}
	return n, nil
}

// lookup reads all n elements of an array.
func (s *Stats) lookup(name string, n int, values any) error {
	keys := make([]uint32, n)
	got, err := s.maps[name].BatchLookup(new(ebpf.MapBatchCursor), keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if got != n {
		return fmt.Errorf("read %s: %d of %d elements", name, got, n)
	}
	return nil
}
