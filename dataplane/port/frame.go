// SPDX-License-Identifier: BSD-3-Clause

package port

import "ethertap/dataplane/xsk"

// MaxQueues is the largest number of queues of a port that are served, each by one thread.
const MaxQueues = 8

// Header is the largest length in bytes of the header of a frame: Ethernet and four tags.
const Header = 14 + 4*4

// MaxChunks is the largest number of chunks of a frame that can be sent: as many as every kernel
// takes. Received frames may have more; they count as err.
const MaxChunks = 16

// A chunk has one of two sizes, in bytes. The larger one is a page.
const (
	smallChunk = 2048
	LargeChunk = 4096
)

// MaxMTU is the largest MTU whose frames fit in one chunk.
const MaxMTU = LargeChunk - xsk.Headroom - Header

// LongMTU is the largest MTU whose frames fit in MaxChunks chunks.
const LongMTU = MaxChunks*(LargeChunk-xsk.Headroom) - Header

// FileMTU is the MTU of the link that files stand for when no other port has one: no fault makes a frame longer.
const FileMTU = 1500

// FileLongest is the largest length in bytes of a frame of a file: what libpcap takes for Ethernet.
const FileLongest = 262144

// ChunkFor returns the size of a chunk in bytes for frames of an MTU.
func ChunkFor(mtu int) int {
	if mtu <= smallChunk-xsk.Headroom-Header {
		return smallChunk
	}
	return LargeChunk
}
