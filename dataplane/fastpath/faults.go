// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// FaultsKnown is the number of faults that the programs carry out. They are the first of the list
// that their user has, in its order.
const FaultsKnown = int(objectFaultFAULTS_KNOWN)

// These are the numbers of the faults of which there are bits in Told.Hits and Tapped.Faults.
const (
	FaultOutage  = int(objectFaultFAULT_OUTAGE)
	FaultBurst   = int(objectFaultFAULT_BURST)
	FaultDrop    = int(objectFaultFAULT_DROP)
	FaultLength  = int(objectFaultFAULT_LENGTH)
	FaultBitflip = int(objectFaultFAULT_BITFLIP)
	FaultDup     = int(objectFaultFAULT_DUP)
)

// Losses are the bits of the faults that lose a frame.
const Losses = uint32(objectFaultLOSSES)

// The bits of a draw, as dataplane.dice has them; and the probability of what always happens.
const (
	DrawNumberAt = int(objectDiceSizeNUMBER_AT)
	DrawCopyAt   = int(objectDiceSizeCOPY_AT)
	DrawFrameAt  = int(objectDiceSizeFRAME_AT)
	DrawAgain    = int(objectDiceSizeDRAW_AGAIN)
	Certain      = int(objectDiceSizeCERTAIN)
)

// Faults are those of frames received on a port. The programs lose, cut, lengthen and damage frames
// as a thread would with the same dice. A frame that is to be sent twice goes to the thread, and so
// does one that cannot be made longer where it is, and one that is to be changed where a tap has a filter for
// the frames that leave: it is for the frame as it leaves, and the programs ask filters before.
type Faults struct {
	Outage time.Duration // its end on CLOCK_MONOTONIC; 0: there is none
	Seed   uint64
	Epoch  uint32 // the dice begin anew when it or Seed changes
	// Chances are indexed by the numbers of the faults; those of outage and burst are not used.
	Chances [FaultsKnown]Chance
	Burst   Burst
	Limit   int // bytes to which a frame may be lengthened
	Chunk   int // bytes of a frame that a thread has in one piece; longer ones are lengthened there
	// Own says that the thread throws the dice, for frames with the numbers that the program gives them:
	// there is a fault that loses frames before some of these, and the programs do not know it. All
	// frames must be diverted.
	Own bool
}

// Chance is how often a fault happens: by probability, in units of 1/Certain, or to every n-th frame if
// Every is not 0. With the probability Correlation the last outcome is repeated.
type Chance struct{ Probability, Every, Correlation uint32 }

// Burst are the probabilities of the Gilbert-Elliott model.
type Burst struct{ Enter, Leave, Bad, Good uint32 }

func (f *Faults) object() objectFaults {
	o := objectFaults{
		Outage: uint64(f.Outage), Seed: f.Seed, Epoch: f.Epoch, Limit: uint32(f.Limit), Chunk: uint32(f.Chunk),
		Enter: f.Burst.Enter, Leave: f.Burst.Leave, Bad: f.Burst.Bad, Good: f.Burst.Good,
	}
	if f.Own {
		o.Own = 1
	}
	for i, c := range f.Chances {
		o.Chances[i] = objectChance{Probability: c.Probability, Every: c.Every, Correlation: c.Correlation}
	}
	return o
}

// Dice are those of a queue of a port.
type Dice struct {
	Next uint64 // the number of the next frame
	Memory
}

// Memory is what dice remember from one frame to the next.
type Memory struct {
	Bad bool // the state of bursts
	// Every and Seen are the counts up to the n-th frame, by fault.
	Every, Seen [FaultsKnown]uint32
	Last        uint32 // a bit for each fault: the last outcome under a correlation
}

// Dice returns the dice of a queue of a port as they are, and whether a frame has come for which
// they were begun, with this seed.
func (p *Path) Dice(port, queue int, seed uint64, epoch uint32) (d Dice, ok bool, err error) {
	var o objectDice
	if err := p.maps[objectMapThrows].Lookup(uint32(port*queues+queue), &o); err != nil {
		return d, false, fmt.Errorf("read %s: %w", objectMapThrows, err)
	}
	var m objectMemory
	if err := p.maps[objectMapMemories].Lookup(uint32(port*queues+queue), &m); err != nil {
		return d, false, fmt.Errorf("read %s: %w", objectMapMemories, err)
	}
	d = Dice{Next: o.Next, Memory: Memory{Bad: m.Bad != 0, Every: m.Every, Seen: m.Seen, Last: m.Last}}
	return d, o.Begun != 0 && o.Seed == seed && o.Epoch == epoch, nil
}

// SetDice gives a queue of a port the dice with which it goes on. key is that of the lane. The
// programs must be on no interface.
func (p *Path) SetDice(port, queue int, key, seed uint64, epoch uint32, d Dice) error {
	o := objectDice{Key: key, Next: d.Next, Seed: seed, Epoch: epoch, Begun: 1}
	if err := p.maps[objectMapThrows].Put(uint32(port*queues+queue), &o); err != nil {
		return fmt.Errorf("write %s: %w", objectMapThrows, err)
	}
	return p.SetMemory(port, queue, d.Memory)
}

// SetMemory gives the dice of a queue of a port another memory. The program must not throw them: it is on
// no interface, or Faults.Own is in force.
func (p *Path) SetMemory(port, queue int, m Memory) error {
	o := objectMemory{Every: m.Every, Seen: m.Seen, Last: m.Last}
	if m.Bad {
		o.Bad = 1
	}
	if err := p.maps[objectMapMemories].Put(uint32(port*queues+queue), &o); err != nil {
		return fmt.Errorf("write %s: %w", objectMapMemories, err)
	}
	return nil
}

// ToldSize is the number of bytes that Told is read from.
const ToldSize = int(objectToldLayoutTOLD_SIZE)

// Told is what the program writes in front of a diverted frame whose dice it threw; in front of the time
// stamp of the device, if there is one.
type Told struct {
	Frame uint64 // the number of the frame
	Hits  uint32 // a bit for each fault that happens to it
	Own   bool   // the dice are not thrown: Hits says nothing
}

// ParseTold reads the ToldSize bytes in front of a frame received on a port. ok is false if they are
// something else, or dice of another epoch. What an earlier frame has left there looks the same, but
// has a lower number.
func ParseTold(front []byte, port int, epoch uint32) (t Told, ok bool) {
	if len(front) != ToldSize {
		return t, false
	}
	t = Told{
		Frame: binary.NativeEndian.Uint64(front[objectToldLayoutTOLD_FRAME:]),
		Hits:  binary.NativeEndian.Uint32(front[objectToldLayoutTOLD_HITS:]),
	}
	check := uint32(t.Frame) ^ uint32(t.Frame>>32) ^ t.Hits ^ epoch ^ (uint32(objectToldLayoutCHECK) + uint32(port))
	t.Own = t.Hits == uint32(objectFaultUNROLLED)
	return t, check == binary.NativeEndian.Uint32(front[objectToldLayoutTOLD_CHECK:])
}

// readSuffered adds the frames that have suffered faults to counts.
func (s *Stats) readSuffered(all *[ports][queues]Counts) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	suffered := make([]objectSuffered, ports*queues*cpus)
	if err := s.lookup(objectMapSufferings, ports*queues, suffered); err != nil {
		return err
	}
	for i := range suffered {
		place := i / cpus
		for fault, n := range suffered[i].Frames {
			all[place/queues][place%queues].Suffered[fault] += n
		}
	}
	return nil
}
