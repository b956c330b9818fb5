// SPDX-License-Identifier: BSD-3-Clause

// Package xsk is AF_XDP for a thread that owns its sockets: user memory (UMEM),
// the four rings, sockets on one queue each, and the system calls between them.
//
// It knows frames only as addresses in a UMEM. It has no policy, no counters but the
// kernel's, no goroutine and no lock. Everything of one
// UMEM (its sockets, rings and frames) belongs to one thread; only Statistics
// may be called from another while the socket is open. All unsafe code of the
// dataplane is here.
//
//	            Fill ──────► kernel ──────► RX
//	             ▲                           │  Desc (address, length)
//	free frames ─┤                           ▼
//	             ▲                        the thread
//	             │                           │
//	        Completion ◄──── kernel ◄─────── TX
//
// Memory order, for all four rings: the side that produces writes entries and
// then stores its index; the side that consumes loads that index and then reads
// entries. The store and the load are sync/atomic operations, which on every
// platform give at least release and acquire. Each is done once a batch; between
// batches both sides work on cached copies.
package xsk
