// SPDX-License-Identifier: BSD-3-Clause

// Package dataplane takes the Ethernet frames of one or two interfaces through a chain: it counts
// them, taps them, drops them, injects faults, and forwards them in order.
//
//	RX ring of interface i, queue q                                receive.go
//	  │  counted, by source, type and VLAN too                     receive.go, tables.go
//	  │  copy to the TAP queue, if RX tap of i, TAP machash        tap.go
//	  │  and filter                                                plan.go
//	  │  output chosen (bridge: the other one; mirror: none)       receive.go
//	  │  drop machash or filter                                    machash.go, plan.go
//	  │  fault machash and filter                                  machash.go, plan.go
//	  │  faults of i: outage, bursts, drop, length, bitflip, dup   fault.go
//	  │  and of each copy: rate, delay, reordering                 hold.go, pace.go
//	  ▼
//	TX ring of interface o, queue q                                transmit.go
//	  │  copy to the TAP queue, if TX tap of o, TAP machash        tap.go
//	  │  and filter                                                plan.go
//	  ▼
//	completion: the frame is free again                            transmit.go
//
// A frame longer than a chunk of memory lies in several chunks (long.go).
//
// Thread q (worker.go) serves queue q of all interfaces and owns the memory of their frames. Threads
// share only what they read. The policy says what is done to frames; compiled into an immutable
// plan (plan.go), it is read by each thread once a batch. Ports and sockets (packages port, nic and
// memory; start.go, socket.go) move the frames and know no policy. The counters (count.go)
// belong to a thread and are summed when somebody asks for them.
//
// With the fast path on (fast.go, package fastpath), the same chain runs in the kernel. It counts,
// taps and forwards all frames but those that may suffer faults, which come here.
//
// The package knows nothing of words, prompts or processes. It prints nothing; Config.Logf gets
// what a user should know. The only files it writes are records of the settings that it has
// changed on interfaces (nic/record.go), for the start after a crash.
package dataplane
