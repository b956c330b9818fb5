package fastpath

// These are the numbers that Go shares with the programs. They are written in fastpath.c
// alone: bpf2go takes them from the BTF of the object. Other packages have some of their
// own, and layout.go of package dataplane compares those with these when it is compiled.

// MaxPorts is how many interfaces a Path is on at most, MaxQueues how many queues each of
// them has, MaxTaps how many taps there can be.
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

// Ways is how many keys a bucket of a table has; the others say how many keys the tables
// of a port have room for, on each CPU.
const (
	Ways       = int(objectSizeWAYS)
	MACPlaces  = Ways << objectSizeMAC_BITS
	TypePlaces = Ways << objectSizeTYPE_BITS
	VLANPlaces = Ways << objectSizeVLAN_BITS
)

// Bits of the keys of tables, counted from the lowest, which is 0. The lowest bits of a key
// are the address, the type or the number of the VLAN; the bits from LevelAt on say how many
// tags are before the type or the tag.
const (
	MACAt    = int(objectKeyMAC_AT)    // set for each address
	TypeAt   = int(objectKeyTYPE_AT)   // set for each type
	LengthAt = int(objectKeyLENGTH_AT) // set as well for an 802.3 length instead of a type
	ShortAt  = int(objectKeySHORT_AT)  // set as well where the frame ends before its type
	VLANAt   = int(objectKeyVLAN_AT)   // set for each tag
	STagAt   = int(objectKeySTAG_AT)   // set as well for a tag of 802.1ad
	LevelAt  = int(objectKeyLEVEL_AT)
)

// How far the programs look into a frame, and by which numbers they tell what follows.
const (
	Header    = int(objectFrameHEADER)     // bytes; shorter frames are diverted
	MaxTags   = int(objectFrameMAX_TAGS)   // so many VLAN tags
	MaxLength = int(objectFrameMAX_LENGTH) // the largest value in place of a type that is a length
	TypeVLAN  = int(objectFrameTYPE_VLAN)  // a tag of 802.1Q follows
	TypeQinQ  = int(objectFrameTYPE_QINQ)  // a tag of 802.1ad follows
	VLANMask  = int(objectFrameVLAN_MASK)  // the bits of a tag that number the VLAN
)

// LifeSize is the length in bytes of what a thread says of itself, which xsk.Life
// describes; the others say at which byte of it each field is.
const (
	LifeSize   = uintptr(objectLifeLayoutLIFE_SIZE)
	LifeBeat   = uintptr(objectLifeLayoutLIFE_BEAT)
	LifeAsleep = uintptr(objectLifeLayoutLIFE_ASLEEP)
	LifeThread = uintptr(objectLifeLayoutLIFE_THREAD)
)

// TappedSize is the length of a Tapped header in a ring; the others say at which byte of
// it each field is.
const (
	TappedSize   = int(objectTappedLayoutTAPPED_SIZE)
	tappedWhen   = int(objectTappedLayoutTAPPED_WHEN)
	tappedLength = int(objectTappedLayoutTAPPED_LENGTH)
	tappedKept   = int(objectTappedLayoutTAPPED_KEPT)
	tappedRX     = int(objectTappedLayoutTAPPED_RX)
	tappedTX     = int(objectTappedLayoutTAPPED_TX)
	tappedPort   = int(objectTappedLayoutTAPPED_PORT)
)

// The fields are as wide as they are read here and in package xsk: else this does not compile.
var (
	_ = func(t objectTapped) (when uint64, length, kept uint32, rx, tx uint16, port uint32) {
		return t.When, t.Length, t.Kept, t.Rx, t.Tx, t.Port
	}
	_ = func(l objectLife) (beat uint64, asleep, thread uint32) { return l.Beat, l.Asleep, l.Thread }
)
