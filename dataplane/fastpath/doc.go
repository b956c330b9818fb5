// Package fastpath is the chain inside the kernel: an XDP program (fastpath.c) that
// counts, drops and forwards the frames which need nothing from user space, and
// gives all others to the AF_XDP sockets. The package loads it, gives it its Rules,
// and reads back what it counted.
//
// It knows nothing of taps, faults or threads: who uses it says which frames are to
// be diverted, and what that means is theirs. The object is committed, so that a
// build needs no clang; `make generate` makes it anew.
package fastpath

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb -type policy -type fates -type bucket -type entry -type interface object fastpath.c -- -O2 -g -Wall -Werror -mcpu=v3
//go:generate sh -c "sha256sum fastpath.c bpf.h object_bpfel.o object_bpfeb.o >object.sum"
