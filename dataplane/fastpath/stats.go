package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// Stats are the maps in which programs count, and those that they share with threads.
// They outlive a Path: the next one goes on with them.
type Stats struct {
	maps  map[string]*ebpf.Map
	rings [queues]*ebpf.Map // nil: not opened
}

var statsMaps = [...]string{
	objectMapCounts, objectMapSent, objectMapErrors, objectMapMisses, objectMapMacs, objectMapTypes, objectMapVlans, objectMapRest,
	objectMapLives, objectMapRings, objectMapUnserved,
}

// NewStats makes the maps: about 0.7 MB for each port and CPU.
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

// fitRings makes the pattern of a ring as small as the machine's pages allow.
func fitRings(spec *ebpf.CollectionSpec) {
	spec.Maps[objectMapRings].InnerMap.MaxEntries = uint32(os.Getpagesize())
}

// ResetSent sets to 0 what is counted of frames on their way out. Nothing may be forwarded
// meanwhile.
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

// Close gives the memory back, once no Path uses it any more.
func (s *Stats) Close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	for _, m := range s.rings {
		errs = append(errs, m.Close()) // of nil it does nothing
	}
	return errors.Join(errs...)
}

// Lives is the file descriptor of the page in which the threads say that they are
// well, to be mapped: an xsk.Life for each queue.
func (s *Stats) Lives() int { return s.maps[objectMapLives].FD() }

// Ring returns the file descriptor of the ring into which copies of frames received
// on a queue are put, and its size in bytes. It is made, of about that size, if there is
// none. Records are Tapped headers with the bytes behind.
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

// Tapped is what a ring holds before the bytes of a frame.
type Tapped struct {
	When   int64  // of reception, ns on the monotonic clock
	Length uint32 // on the wire
	Kept   uint32 // bytes that follow
	RX     uint16 // the taps, as bits, that take it as received on Port
	TX     uint16 // and those that take it as sent by the other one
	Port   uint32
}

// ParseTapped takes a record of a ring apart. The programs are ours, but what does not
// fit is an error and no panic.
func ParseTapped(record []byte) (t Tapped, frame []byte, ok bool) {
	if len(record) < TappedSize {
		return t, nil, false
	}
	t = Tapped{
		When:   int64(binary.NativeEndian.Uint64(record[tappedWhen:])),
		Length: binary.NativeEndian.Uint32(record[tappedLength:]),
		Kept:   binary.NativeEndian.Uint32(record[tappedKept:]),
		RX:     binary.NativeEndian.Uint16(record[tappedRX:]),
		TX:     binary.NativeEndian.Uint16(record[tappedTX:]),
		Port:   binary.NativeEndian.Uint32(record[tappedPort:]),
	}
	frame = record[TappedSize:]
	if uint64(t.Kept) > uint64(len(frame)) || int(t.Port) >= ports {
		return t, nil, false
	}
	return t, frame[:t.Kept], true
}

// Counts is what became of the frames of one queue that were not diverted. They are
// never reset. What was received is the sum of Forwarded, Dropped, NoIf and Mirrored.
type Counts struct {
	Forwarded uint64 // given to the other port
	Dropped   uint64 // by Rules.Drop
	NoIf      uint64 // the other port's interface has disappeared
	Mirrored  uint64 // not to be forwarded
	Bypassed  uint64 // of all these: were to be diverted, and nobody was there

	Bytes uint64 // of all these

	Sent      uint64         // of the forwarded ones: taken by the other port's driver
	SentBytes uint64         // of these
	Errors    [errnos]uint64 // likewise not taken, by errno; 0 is a full ring, the last one any other errno

	MissedRX [MaxTaps]uint64 // frames received here of which a tap got no copy
	MissedTX [MaxTaps]uint64 // likewise of those sent by the other port
}

// Held returns how many frames are on their way between the programs and a driver.
func (c *Counts) Held() uint64 {
	n := c.Forwarded - c.Sent
	for _, e := range c.Errors {
		n -= e
	}
	return n
}

// Read returns the counts of all ports and queues.
func (s *Stats) Read() (all [ports][queues]Counts, err error) {
	// The end of the way first: so no more frames left than came.
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
	return all, nil
}

// Unserved returns how many frames of a port went to the kernel's stack, since their queue
// has no socket.
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
