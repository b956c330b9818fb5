// SPDX-License-Identifier: BSD-3-Clause

// Package fastpath is the chain inside the kernel: an XDP program (fastpath.c) that counts, drops,
// spoils and forwards frames, copies them for taps, and diverts all others to the AF_XDP sockets. The
// package loads the program, gives it its Rules, reads its counters, and pins it so that it
// outlives the process.
//
// It knows nothing of queues or threads: its user says which frames are copied or diverted, and which
// faults they suffer, and knows why. The object is committed, so that a build needs no clang; `make generate` makes it
// again.
package fastpath

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb -type policy -type faults -type chance -type dice -type memory -type suffered -type told -type told_layout -type front_layout -type fault -type dice_size -type fates -type bucket -type entry -type interface -type life -type tapped -type missed -type size -type flag -type in -type life_layout -type tapped_layout -type table -type key -type frame -type filter_size -type verdict -type layer -type tag -type depth -type dissected -type headers_layout object fastpath.c -- -O2 -g -Wall -Werror -mcpu=v3
//go:generate sh -c "sha256sum fastpath.c headers.h faults.h bpf.h object_bpfel.o object_bpfeb.o >object.sum"
