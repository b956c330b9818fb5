// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"ethertap/dataplane/stamp"
	"ethertap/lib/predicate"
)

// Go shares these numbers with the programs. They are written in fastpath.c alone: bpf2go takes
// them from the BTF of the object. Other packages have some of these numbers too, and layout.go of
// package dataplane compares them when it is compiled.

// MaxPorts is the largest number of interfaces of a Path, MaxQueues that of queues of an interface,
// MaxTaps that of taps.
const (
	MaxPorts  = int(objectSizePORTS)
	MaxQueues = int(objectSizeQUEUES)
	MaxTaps   = int(objectSizeTAPS)
)

const (
	ports  = MaxPorts
	queues = MaxQueues
	errnos = int(objectSizeERRNOS)
	tables = int(objectTableTABLES)
)

// Ways is the number of keys in a bucket of a table. The others are the numbers of keys for which
// the tables of a port have room, on each CPU.
const (
	Ways       = int(objectSizeWAYS)
	MACPlaces  = Ways << objectSizeMAC_BITS
	TypePlaces = Ways << objectSizeTYPE_BITS
	VLANPlaces = Ways << objectSizeVLAN_BITS
)

// These are bits of the keys of the tables; the lowest bit is 0. The lowest bits of a key are the
// address, the type or the number of the VLAN. The bits from LevelAt on are the number of tags
// before the type or the tag.
const (
	MACAt    = int(objectKeyMAC_AT)    // set in each key of an address
	TypeAt   = int(objectKeyTYPE_AT)   // set in each key of a type
	LengthAt = int(objectKeyLENGTH_AT) // also set for an 802.3 length instead of a type
	ShortAt  = int(objectKeySHORT_AT)  // also set if the frame ends before its type
	VLANAt   = int(objectKeyVLAN_AT)   // set in each key of a tag
	TPIDAt   = int(objectKeyTPID_AT)   // of a tag: the lowest of two bits, the index of its type in predicate.TagTypes
	LevelAt  = int(objectKeyLEVEL_AT)
)

// The programs look so far into a frame, and tell by these numbers what follows.
const (
	Header    = int(objectFrameHEADER)     // in bytes; shorter frames are diverted
	MaxTags   = int(objectFrameMAX_TAGS)   // number of VLAN tags
	MaxLength = int(objectFrameMAX_LENGTH) // the largest value in the place of a type that is a length
	VLANMask  = int(objectFrameVLAN_MASK)  // the bits of a tag that are the number of the VLAN
)

// LifeSize is the size in bytes of the structure by which a thread shows that it is alive, and
// which xsk.Life describes. The others are the offsets of its fields.
const (
	LifeSize   = uintptr(objectLifeLayoutLIFE_SIZE)
	LifeBeat   = uintptr(objectLifeLayoutLIFE_BEAT)
	LifeAsleep = uintptr(objectLifeLayoutLIFE_ASLEEP)
	LifeThread = uintptr(objectLifeLayoutLIFE_THREAD)
)

// tappedSize is the size in bytes of a Tapped header in a ring. The others are the offsets of its
// fields.
const (
	tappedSize   = int(objectTappedLayoutTAPPED_SIZE)
	tappedWhen   = int(objectTappedLayoutTAPPED_WHEN)
	tappedStamp  = int(objectTappedLayoutTAPPED_STAMP)
	tappedLength = int(objectTappedLayoutTAPPED_LENGTH)
	tappedKept   = int(objectTappedLayoutTAPPED_KEPT)
	tappedRX     = int(objectTappedLayoutTAPPED_RX)
	tappedTX     = int(objectTappedLayoutTAPPED_TX)
	tappedPort   = int(objectTappedLayoutTAPPED_PORT)
	tappedFaults = int(objectTappedLayoutTAPPED_FAULTS)
	tappedFrame  = int(objectTappedLayoutTAPPED_FRAME)
)

// This does not compile unless the fields are as wide as this package and package xsk read them.
var (
	_ = func(t objectTapped) (when, stamp uint64, length, kept uint32, rx, tx uint16, port, faults uint32, frame uint64) {
		return t.When, t.Stamp, t.Length, t.Kept, t.Rx, t.Tx, t.Port, t.Faults, t.Frame
	}
	_ = func(t objectTold) (frame uint64, hits, check uint32) {
		return t.Frame, t.Hits, t.Check
	}
	_ = func(l objectLife) (beat uint64, asleep, thread uint32) { return l.Beat, l.Asleep, l.Thread }
)

// What is in front of a frame for a thread is as package stamp reads it: else this does not compile.
var (
	_ = [1]struct{}{}[objectFrontLayoutFRONT_SIZE-stamp.FrontSize]
	_ = [1]struct{}{}[objectFrontLayoutSEAL-stamp.SealOfFirst]
	_ = [1]struct{}{}[objectFrontLayoutUNASKED-stamp.Unasked]
)

// The dissector in headers.h and package predicate number layers and depths alike, and know the same tags:
// else this does not compile.
var (
	_ = [1]struct{}{}[objectLayerLAYER_ETHERNET-objectLayer(predicate.Ethernet)]
	_ = [1]struct{}{}[objectLayerLAYER_TAG-objectLayer(predicate.Tag)]
	_ = [1]struct{}{}[objectLayerLAYER_ARP-objectLayer(predicate.ARP)]
	_ = [1]struct{}{}[objectLayerLAYER_IP4-objectLayer(predicate.IP4)]
	_ = [1]struct{}{}[objectLayerLAYER_IP6-objectLayer(predicate.IP6)]
	_ = [1]struct{}{}[objectLayerLAYER_FRAGMENT-objectLayer(predicate.Fragment)]
	_ = [1]struct{}{}[objectLayerLAYER_LATER-objectLayer(predicate.Later)]
	_ = [1]struct{}{}[objectLayerLAYER_TCP-objectLayer(predicate.TCP)]
	_ = [1]struct{}{}[objectLayerLAYER_UDP-objectLayer(predicate.UDP)]
	_ = [1]struct{}{}[objectLayerLAYER_SCTP-objectLayer(predicate.SCTP)]
	_ = [1]struct{}{}[objectLayerLAYER_ICMP4-objectLayer(predicate.ICMP4)]
	_ = [1]struct{}{}[objectLayerLAYER_ICMP6-objectLayer(predicate.ICMP6)]
	_ = [1]struct{}{}[objectTagTAG_C-predicate.TagC]
	_ = [1]struct{}{}[objectTagTAG_S-predicate.TagS]
	_ = [1]struct{}{}[objectTagTAG_9100-predicate.Tag9100]
	_ = [1]struct{}{}[objectTagTAG_9200-predicate.Tag9200]
	_ = [1]struct{}{}[objectDepthTO_TAGS-objectDepth(predicate.ToTags)]
	_ = [1]struct{}{}[objectDepthTO_NETWORK-objectDepth(predicate.ToNetwork)]
	_ = [1]struct{}{}[objectDepthTO_TRANSPORT-objectDepth(predicate.ToTransport)]
)
