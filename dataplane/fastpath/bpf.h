// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* These are the parts of the kernel's interface to BPF programs that fastpath.c needs, from
 * include/uapi/linux/bpf.h. So `make generate` needs nothing but clang, and the object does
 * not depend on the headers of a machine. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define FUNCTION_OF_KERNEL __attribute__((section(".ksyms")))
#define __uint(name, value) int(*name)[value]
#define __type(name, type) type *name
#define __array(name, type) type *name[]
#define inlined static inline __attribute__((always_inline))

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_DEVMAP = 14,
	BPF_MAP_TYPE_XSKMAP = 17,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define BPF_F_MMAPABLE (1U << 10)

enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };

enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) FUNCTION_OF_KERNEL;

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;
static long (*const bpf_xdp_adjust_meta)(struct xdp_md *ctx, int change) = (void *)54;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int change) = (void *)65;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *room, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *room, __u64 flags) = (void *)133;
static __u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static __u64 (*const bpf_xdp_get_buff_len)(struct xdp_md *ctx) = (void *)188;
static long (*const bpf_xdp_load_bytes)(struct xdp_md *ctx, __u32 offset, void *to, __u32 n) = (void *)189;
static long (*const bpf_xdp_store_bytes)(struct xdp_md *ctx, __u32 offset, const void *from, __u32 n) = (void *)190;

/* Numbers on the wire are big-endian. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define from_be16(x) __builtin_bswap16(x)
#define from_be32(x) __builtin_bswap32(x)
#define from_be64(x) __builtin_bswap64(x)
#define to_le64(x) (x)
#else
#define from_be16(x) (x)
#define from_be32(x) (x)
#define from_be64(x) (x)
#define to_le64(x) __builtin_bswap64(x)
#endif

/* Structures of the kernel. Their fields are found by BTF when the program is loaded. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct net {
	__u64 net_cookie;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct net_device {
	int ifindex;
	possible_net_t nd_net;
};
struct task_struct {
	int pid; /* the id of the thread in the first PID namespace */
};
#pragma clang attribute pop
