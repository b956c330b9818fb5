// SPDX-License-Identifier: BSD-3-Clause

//go:build !(amd64 || arm64 || riscv64 || s390x || ppc64le || loong64)

package shm

// The layout of a queue has counters of 64 bits that processes change atomically, and a queue may be larger than
// an address space of 32 bits. The compiler stops here with this name as the reason.
var _ = ethertap_needs_amd64_arm64_riscv64_s390x_ppc64le_or_loong64
