// Package dataplane takes Ethernet frames from one or two interfaces through the
// chain: it counts, taps, drops, spoils and forwards them, unchanged and in order.
//
//	RX ring of interface i, queue q                                receive.go
//	  │  counted, by source, type and VLAN too                     receive.go, account.go
//	  │  copy to the TAP queue, if RX tap of i and TAP machash     tap.go
//	  │  output chosen (bridge: the other one; mirror: none)       receive.go
//	  │  drop machash                                              machash.go
//	  │  faults of i: outage, bursts, drop, length, bitflip, dup   fault.go
//	  │  and of each copy: rate, delay, reordering                 hold.go, pace.go
//	  ▼
//	TX ring of interface o, queue q                                transmit.go
//	  │  copy to the TAP queue, if TX tap of o and TAP machash     tap.go
//	  ▼
//	completion: the frame is free again                            transmit.go
//
// Frames longer than a chunk of memory come in several (long.go).
//
// Thread q (worker.go) serves queue q of all interfaces and owns the memory of
// their frames; threads share nothing but what they read. What is done to frames
// is the plan (plan.go) of a policy, an immutable value that each thread reads once a
// batch; how it is done is mechanics (port.go, socket.go, offload.go) and knows
// no policy. Counters (count.go) belong to a thread and are summed when asked.
//
// With the fast path on (fast.go, package fastpath), frames that need neither tap nor
// faults do not come here: the same chain counts and forwards them in the kernel.
//
// The package knows nothing of words, prompts or processes. It prints nothing: what
// is worth a line goes through Config.Logf. The only files it writes are records of
// what it has changed on interfaces (record.go), for the start after a crash.
package dataplane
