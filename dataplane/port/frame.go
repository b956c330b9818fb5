package port

import "ethertap/dataplane/xsk"

// MaxQueues is the largest number of queues of a port that are served, each by a thread.
const MaxQueues = 8

// Header is what a frame may have before its payload, in bytes: Ethernet and four tags.
const Header = 14 + 4*4

// MaxChunks is how many chunks a frame may have to be sent: what every kernel
// takes. Received ones may have more; they are err.
const MaxChunks = 16

// The two sizes of a chunk, of which the larger is a page.
const (
	smallChunk = 2048
	largeChunk = 4096
)

// MaxMTU is the largest MTU whose frames fit in one chunk.
const MaxMTU = largeChunk - xsk.Headroom - Header

// LongMTU is the largest MTU whose frames fit in MaxChunks chunks.
const LongMTU = MaxChunks*(largeChunk-xsk.Headroom) - Header

// ChunkFor returns the size of the chunks for frames of an MTU, in bytes.
func ChunkFor(mtu int) int {
	if mtu <= smallChunk-xsk.Headroom-Header {
		return smallChunk
	}
	return largeChunk
}
