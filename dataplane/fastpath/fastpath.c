// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

//go:build ignore

/* This is the chain of dataplane/doc.go inside the kernel, for frames that need nothing
 * from user space. It counts frames, also by source, type and VLAN, drops those of the
 * drop list, loses and spoils frames as their dice say (faults.h), forwards the others, and
 * copies them for taps. It diverts all other frames,
 * uncounted, to the AF_XDP socket of their queue, whose thread takes them through the
 * whole chain. With bypass on, it forwards these frames too when there is no such socket,
 * or its thread shows no sign of life.
 *
 * Writers: the programs on a CPU write its per-CPU values, and do not interrupt each
 * other; the trace programs on any CPU write `errors` and `refused`, atomically; the
 * programs write the rings; user space writes policies, sets, links, sockets, outputs
 * and lives.
 */
#include "bpf.h"

/* Go has to know these numbers. bpf2go makes constants of these enumerators, and of those
 * below that describe a layout, so each number is written here and nowhere else.
 * layout.go gives them their Go names. */
enum size {
	PORTS = 2,
	QUEUES = 8,    /* the largest number of a port */
	ERRNOS = 128,  /* the last one stands for all others */
	TAPS = 9,      /* that of the TAP queue and those of further queues */
	WAYS = 8,      /* keys in a bucket of a table */
	MAC_BITS = 10, /* bits of the number of a bucket: 8192 places */
	TYPE_BITS = 7, /* 1024 places */
	VLAN_BITS = 10,
};

/* What a policy demands for the frames received on a port. */
enum flag {
	FORWARD = 0x01,	  /* they leave by the other port; without it they are only counted */
	DIVERT = 0x02,	  /* all are diverted */
	DROP_SET = 0x04,  /* those whose source is in the set are dropped */
	FAULT = 0x08,	  /* they suffer faults: see faults.h */
	FAULT_SET = 0x10, /* only those whose source is in the set */
	COPY = 0x20,	  /* those that are only tapped are copied to a ring; without it diverted */
	BYPASS = 0x40,	  /* those that cannot be diverted are forwarded */
	ALONE = 0x80,	  /* none can be diverted: user space is about to end */
	WHOLE = 0x100,	  /* those of several buffers are diverted, as the other port takes none */
	AWAY = 0x200,	  /* a thread carries out all faults */
};

/* The lists that an address is in. */
enum in {
	IN_DROP = 0x01,
	IN_FAULT = 0x02,
	IN_TAP_AT = 8, /* the lowest of the bits for the taps, one each */
};
_Static_assert(IN_TAP_AT + TAPS <= 8 * sizeof(__u32), "an address has no bit for each tap");
_Static_assert((QUEUES & (QUEUES - 1)) == 0, "copy() takes a queue out of a place by a mask");

/* How far a frame is looked into. */
enum frame {
	HEADER = 14,
	MAX_TAGS = 4,
	MAX_LENGTH = 1500, /* what is larger is a type */
	VLAN_MASK = 0xfff,
};

#include "faults.h"

/* Sets of taps have a bit for each tap; the lowest one is the TAP queue. */
struct policy {
	__u64 patience; /* with BYPASS: a thread without a sign of life for so many ns counts as dead */
	__u32 flags[PORTS];
	__u32 rx[PORTS]; /* the taps of received frames */
	__u32 tx[PORTS]; /* the taps of frames that leave by the other port */
	__u32 choosy;    /* the taps that take only frames whose source or destination is in the set */
	__u32 kept;      /* the largest number of bytes of a frame that are copied */
	__u32 set;	 /* the index in `sets` */
	__u32 longest[PORTS]; /* bytes; longer frames are diverted, as a redirect would refuse them */
	__u16 filter[PORTS]; /* which of the port's `filters`, from 1 on; 0: none */
	struct faults faults[PORTS];
};

/* The one element is the policy in force. User space changes it by replacing the inner
 * map. That changes one pointer, so each frame meets one policy or the other; and the
 * kernel returns only when no frame is under way under the old one. */
struct one_policy {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct policy));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct one_policy);
} policies SEC(".maps");

/* The addresses and the lists that they are in. There are two sets, used in turn, so that
 * a policy and its addresses change together. */
struct addresses {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct addresses);
} sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets0 SEC(".maps"), sockets1 SEC(".maps");

/* What filters say of frames received on a port: programs made by emit.go, two for each
 * port, taken in turn, so that a policy and its filters change together. */
enum filter_size { FILTER_TURNS = 2 };
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PORTS *FILTER_TURNS);
	__type(key, __u32);
	__type(value, __u32);
} filters SEC(".maps");

/* The answer of a filter program: one bit for each tap on frames as they come, for each on
 * frames as they leave, and these. */
enum verdict {
	VERDICT_TX_AT = TAPS,
	VERDICT_DROP = 1 << 2 * TAPS,  /* the frame is dropped */
	VERDICT_FAULT = 2 << 2 * TAPS, /* it may suffer faults */
	VERDICT_UNDECIDED = 1 << 30,   /* the thread has to find out, and until then each tap wants the frame */
	VERDICT_UNKNOWN = VERDICT_UNDECIDED | (VERDICT_DROP - 1),
};
_Static_assert(VERDICT_FAULT < VERDICT_UNDECIDED, "a verdict has no bit for each tap");

/* The interface by which frames received on a port leave. The kernel removes an interface
 * that disappears. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} outputs SEC(".maps");

/* The signs of life of a thread, which maps the page and writes them. `ended` clears beat. */
struct life {
	__u64 beat;   /* the time of its last sign of life, ns since boot */
	__u32 asleep; /* 1: it sleeps, or is about to, and a copy has to wake it */
	__u32 thread; /* its id in the first PID namespace; 0: unknown */
	__u32 unused[12];
};
enum life_layout {
	LIFE_BEAT = __builtin_offsetof(struct life, beat),
	LIFE_ASLEEP = __builtin_offsetof(struct life, asleep),
	LIFE_THREAD = __builtin_offsetof(struct life, thread),
	LIFE_SIZE = sizeof(struct life),
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, QUEUES);
	__type(key, __u32);
	__type(value, struct life);
} lives SEC(".maps");

/* The rings of copies, by queue of reception. User space makes a ring when it needs it. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, QUEUES);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* The header of a copy in a ring. The bytes of the frame follow. */
struct tapped {
	__u64 when;   /* the time of reception, ns since boot */
	__u64 stamp;  /* the time of reception on the device's clock, ns; 0: unknown */
	__u32 length; /* bytes on the wire */
	__u32 kept;   /* bytes that follow */
	__u16 rx;     /* taps that want it as received on port */
	__u16 tx;     /* taps that want it as sent by the other one */
	__u32 port;
	__u32 faults; /* what the frame has suffered, one bit each */
	__u32 unused;
	__u64 frame; /* the number of a spoiled frame and 1: its copies, one behind the other, have the same; else 0 */
};
enum tapped_layout {
	TAPPED_WHEN = __builtin_offsetof(struct tapped, when),
	TAPPED_STAMP = __builtin_offsetof(struct tapped, stamp),
	TAPPED_LENGTH = __builtin_offsetof(struct tapped, length),
	TAPPED_KEPT = __builtin_offsetof(struct tapped, kept),
	TAPPED_RX = __builtin_offsetof(struct tapped, rx),
	TAPPED_TX = __builtin_offsetof(struct tapped, tx),
	TAPPED_PORT = __builtin_offsetof(struct tapped, port),
	TAPPED_FAULTS = __builtin_offsetof(struct tapped, faults),
	TAPPED_FRAME = __builtin_offsetof(struct tapped, frame),
	TAPPED_SIZE = sizeof(struct tapped),
};
_Static_assert(TAPS <= 8 * sizeof(((struct tapped *)0)->rx), "a copy has no bit for each tap");

/* What a program puts in front of a frame for a thread; package stamp has the same. */
struct front {
	__u64 stamp; /* the time of reception on the device's clock, ns; 0: unknown */
	__u64 seal;  /* the same with all bits of SEAL + port changed */
};
enum front_layout {
	FRONT_SIZE = sizeof(struct front),
	SEAL = 0x73746d70,
	UNASKED = 1000, /* less than 0: a call in the place of bpf_xdp_metadata_rx_timestamp asks nobody */
};

/* What stands in front of that, or of the frame, if its dice were thrown here. Drivers of older
 * kernels have room for 32 bytes in all. */
struct told {
	__u64 frame; /* its number */
	__u32 hits;  /* the faults that happen to it, one bit each */
	__u32 check; /* both halves of frame, hits, the epoch of the dice, and CHECK + port, by exclusive or */
};
enum told_layout {
	TOLD_FRAME = __builtin_offsetof(struct told, frame),
	TOLD_HITS = __builtin_offsetof(struct told, hits),
	TOLD_CHECK = __builtin_offsetof(struct told, check),
	TOLD_SIZE = sizeof(struct told),
	CHECK = 0x64696365,
};

/* Frames that taps did not get: the ring had no room, or nobody reads it. */
struct missed {
	__u64 rx[TAPS];
	__u64 tx[TAPS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct missed);
} misses SEC(".maps");

/* What became of the frames that were not diverted. The sum of the first four is the number
 * of received frames. */
struct fates {
	__u64 forwarded; /* given to the other port; `sent` and `errors` count the outcome */
	__u64 dropped;
	__u64 noif;
	__u64 mirrored;
	__u64 bypassed; /* part of the above: would have been diverted */
	__u64 bytes;	/* of the received frames */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct fates);
} counts SEC(".maps");

/* Forwarded frames that were not sent, by port and queue of reception, and by errno; 0
 * means that the ring of the driver was full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS *QUEUES *ERRNOS);
	__type(key, __u32);
	__type(value, __u64);
} errors SEC(".maps");

/* Forwarded frames that a driver has taken. */
struct departed {
	__u64 frames;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct departed);
} sent SEC(".maps");

/* The lengths of the frames that this CPU has forwarded from a port and that are on their
 * way to a driver, in their order. They are kept because the trace of departed frames does
 * not tell their lengths. A bulk has 16 frames, and the next one enters before it leaves. */
#define UNDERWAY 32
struct underway {
	__u32 first; /* running number of the oldest one */
	__u32 next;  /* running number of the next one */
	__u32 lengths[UNDERWAY];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, struct underway);
} ways SEC(".maps");

/* The queue from which this CPU forwarded last. A CPU transmits its bulks before it turns
 * to another queue. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} current SEC(".maps");

/* The errno with which the other port refused redirected frames. After a refusal all frames
 * are diverted, until user space sets it to 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} refused SEC(".maps");

/* Frames that went to the network stack, as their queue has no socket, by port. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u64);
} unserved SEC(".maps");

/* The interfaces of the ports. An index is unique in its network namespace only. */
struct interface {
	__u64 netns; /* cookie of the network namespace */
	__u32 index;
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, struct interface);
} links SEC(".maps");

/* The tables are those of dataplane/table.go, with the same keys, hashes and sizes, one for
 * each CPU. A key is in one of two buckets, or there is no room for it. Go adds the tables up
 * by the keys, so the place of a key does not matter. */
struct entry {
	__u64 frames;
	__u64 bytes;
	__u64 last; /* key of the source of the last frame */
	__u64 seen; /* when that came, ns since boot */
};

struct bucket {
	__u64 keys[WAYS]; /* 0: empty */
	struct entry entries[WAYS];
};

#define TABLE(name, bits)                                  \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);   \
		__uint(max_entries, PORTS << (bits));      \
		__type(key, __u32);                        \
		__type(value, struct bucket);              \
	} name SEC(".maps")

TABLE(macs, MAC_BITS);
TABLE(types, TYPE_BITS);
TABLE(vlans, VLAN_BITS);

/* The frames whose keys found no room, by port and table. */
enum table { OF_MACS, OF_TYPES, OF_VLANS, TABLES };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *TABLES);
	__type(key, __u32);
	__type(value, struct entry);
} rest SEC(".maps");

/* The bits of the keys of the tables. The threads have the same keys. */
enum key {
	MAC_AT = 48,	/* set in the key of each address, which is in the lower bits */
	TYPE_AT = 63,	/* set in the key of each type, which is in the lowest bits */
	LENGTH_AT = 32, /* an 802.3 length instead of a type */
	SHORT_AT = 33,	/* the frame ends before its type */
	VLAN_AT = 63,	/* set in the key of each tag, with the VLAN in the lowest bits */
	TPID_AT = 20,	/* the type of a tag: two bits, see TPID() */
	LEVEL_AT = 16,	/* the number of tags before the type or the tag */
};
#define TYPE_KEY (1ULL << TYPE_AT)
#define LENGTH_KEY (TYPE_KEY | 1ULL << LENGTH_AT)
#define SHORT_KEY (TYPE_KEY | 1ULL << SHORT_AT)
#define VLAN_KEY (1ULL << VLAN_AT)
#define MAC_KEY(x) ((x) | 1ULL << MAC_AT)

#define ENXIO 6
#define EOPNOTSUPP 95

#include "headers.h"

/* All that bpf2go is to find in the BTF of the object and that no map has. */
const struct {
	enum size size;
	enum flag flag;
	enum in in;
	enum life_layout life_layout;
	enum tapped_layout tapped_layout;
	enum front_layout front_layout;
	enum told_layout told_layout;
	enum fault fault;
	enum dice_size dice_size;
	enum table table;
	enum key key;
	enum frame frame;
	enum filter_size filter_size;
	enum verdict verdict;
	enum layer layer;
	enum tag tag;
	enum depth depth;
	enum dissected dissected;
	enum headers_layout headers_layout;
	struct policy policy;
	struct faults faults;
	struct chance chance;
	struct dice dice;
	struct memory memory;
	struct tapped tapped;
	struct told told;
} *shared;

inlined struct entry *find(struct bucket *b, __u64 key)
{
#pragma unroll
	for (int i = 0; i < WAYS; i++) {
		if (b->keys[i] == key)
			return &b->entries[i];
		if (b->keys[i] == 0) {
			/* A reset may have met a frame here and left its count. */
			b->entries[i].frames = 0;
			b->entries[i].bytes = 0;
			b->keys[i] = key;
			return &b->entries[i];
		}
	}
	return 0;
}

/* What all tables count of a frame. */
struct seen {
	__u64 bytes;
	__u64 source;
	__u64 now;
};

/* Returns the bucket for a hash, of a port and a table. */
inlined struct bucket *bucket(__u32 which, __u32 port, __u64 hash)
{
	__u32 at;

	switch (which) {
	case OF_MACS:
		at = hash >> (64 - MAC_BITS) | port << MAC_BITS;
		return bpf_map_lookup_elem(&macs, &at);
	case OF_TYPES:
		at = hash >> (64 - TYPE_BITS) | port << TYPE_BITS;
		return bpf_map_lookup_elem(&types, &at);
	default:
		at = hash >> (64 - VLAN_BITS) | port << VLAN_BITS;
		return bpf_map_lookup_elem(&vlans, &at);
	}
}

/* Counts a frame for a key. It is not inlined, so that the verifier looks at it once:
 * inlined in its five places, it took half a second to load. */
__attribute__((noinline)) int add(const struct seen *s, __u32 which, __u32 port, __u64 key)
{
	if (!s)
		return 0;
	struct bucket *b = bucket(which, port, key * 0x9e3779b97f4a7c15ULL);
	if (!b)
		return 0;
	struct entry *e = find(b, key);
	if (!e) {
		b = bucket(which, port, key * 0xc2b2ae3d27d4eb4fULL);
		if (!b)
			return 0;
		e = find(b, key);
	}
	if (!e) {
		__u32 at = port * TABLES + which;
		e = bpf_map_lookup_elem(&rest, &at);
		if (!e)
			return 0;
	}
	e->frames++;
	e->bytes += s->bytes;
	e->last = s->source;
	e->seen = s->now;
	return 0;
}

inlined __u64 type_key(__u16 type, __u64 level)
{
	if (type <= MAX_LENGTH)
		return LENGTH_KEY | level << LEVEL_AT;
	return TYPE_KEY | level << LEVEL_AT | type;
}

/* What the policy demands for a frame. */
struct wish {
	__u32 rx; /* taps, as received */
	__u32 tx; /* taps, as sent */
	int drop;
	int divert;
	int fault; /* it may suffer faults, as far as is known */
};

inlined int wish(struct wish *w, const struct policy *p, int port, __u64 source, __u64 destination, __u32 verdict)
{
	__u32 flags = p->flags[port], in = 0, taps = ~0u;
	if (flags & (DROP_SET | FAULT_SET) || p->choosy) {
		__u32 which = p->set;
		void *set = bpf_map_lookup_elem(&sets, &which);
		if (!set)
			return 0;
		__u32 *v = bpf_map_lookup_elem(set, &source);
		if (v)
			in = *v;
		if (p->choosy) {
			taps = in;
			v = bpf_map_lookup_elem(set, &destination);
			if (v)
				taps |= *v;
			taps = taps >> IN_TAP_AT | ~p->choosy;
		}
	}
	w->drop = (flags & DROP_SET && in & IN_DROP) || verdict & VERDICT_DROP;
	w->rx = p->rx[port] & taps & verdict;
	w->tx = 0;
	w->divert = flags & DIVERT || verdict & VERDICT_UNDECIDED;
	w->fault = 0;
	if (flags & FORWARD && !w->drop) {
		w->tx = p->tx[port] & taps & verdict >> VERDICT_TX_AT;
		w->fault = flags & FAULT && verdict & (VERDICT_FAULT | VERDICT_UNDECIDED) && (!(flags & FAULT_SET) || in & IN_FAULT);
		if (w->fault && flags & AWAY)
			w->divert = 1;
	}
	if (w->rx | w->tx && !(flags & COPY))
		w->divert = 1;
	return 1;
}

/* Says whether the thread of a queue is alive, or bypass is off and it does not matter. */
inlined int lives_on(const struct policy *p, __u32 queue)
{
	if (!p->patience)
		return 1;
	struct life *l = bpf_map_lookup_elem(&lives, &queue);
	return !l || (long)(bpf_ktime_get_ns() - l->beat) <= (long)p->patience;
}

inlined void miss(__u32 place, __u32 rx, __u32 tx)
{
	struct missed *m = bpf_map_lookup_elem(&misses, &place);
	if (!m)
		return;
	for (int i = 0; i < TAPS; i++) {
		m->rx[i] += rx >> i & 1;
		m->tx[i] += tx >> i & 1;
	}
}

/* Says whether the program asks for the time at which the device received a frame. User space
 * decides: it binds the program to the device, or replaces the call. stamp becomes the time on the
 * device's clock, or 0 if the device gave none. */
inlined int stamped(struct xdp_md *ctx, __u64 *stamp)
{
	*stamp = 0;
	int error = bpf_xdp_metadata_rx_timestamp(ctx, stamp);
	if (error == -UNASKED)
		return 0;
	if (error)
		*stamp = 0;
	return 1;
}

/* Puts the stamp in front of a frame that goes to a thread. A driver that has no room there has
 * none for any frame, and the thread finds no seal. It is not inlined, so that the verifier looks
 * at it once. */
__attribute__((noinline)) int mark(struct xdp_md *ctx, __u32 port)
{
	__u64 stamp;

	if (!stamped(ctx, &stamp) || bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct front)))
		return 0;
	struct front *f = (void *)(long)ctx->data_meta;
	if ((void *)(f + 1) > (void *)(long)ctx->data)
		return 0;
	f->stamp = stamp;
	f->seal = stamp ^ (SEAL + port);
	return 0;
}

/* The verifier has to know the size of the room that a ring gives. */
#define COPY_INTO(size)                                                                        \
	do {                                                                                   \
		c = bpf_ringbuf_reserve(ring, size, 0);                                        \
		if (!c)                                                                        \
			goto full;                                                             \
		if (n > (size) - sizeof(*c) || bpf_xdp_load_bytes(ctx, 0, c + 1, n)) {         \
			bpf_ringbuf_discard(c, BPF_RB_NO_WAKEUP);                              \
			goto full;                                                             \
		}                                                                              \
	} while (0)

#define FITS(size) (n <= (size) - sizeof(struct tapped))

/* Copies the frame for the taps. copied is 0 for a frame that is as it came. It is not inlined, so
 * that the verifier looks at it once. */
__attribute__((noinline)) int copy(struct xdp_md *ctx, __u32 place, __u32 taps, __u32 kept, const struct copied *copied)
{
	__u32 queue = place & (QUEUES - 1), length = copied ? copied->length : bpf_xdp_get_buff_len(ctx), n = length;
	struct tapped *c;
	void *ring = bpf_map_lookup_elem(&rings, &queue);
	struct life *l = bpf_map_lookup_elem(&lives, &queue);
	if (!ring || !l)
		goto full;
	if (n > kept)
		n = kept;
	if (n < 1)
		goto full;
	/* Verifiers of Linux 6.1 to 6.10 learn no least value from a comparison with 0, nor anything
	 * of n from one of n - 1. This tells them that it is 1, and changes nothing: a frame has
	 * less than 64 KiB. */
	asm volatile("" : "+r"(n));
	n = ((n - 1) & 0xffff) + 1;
	asm volatile("" : "+r"(n));
	if (FITS(128))
		COPY_INTO(128);
	else if (FITS(256))
		COPY_INTO(256);
	else if (FITS(512))
		COPY_INTO(512);
	else if (FITS(1024))
		COPY_INTO(1024);
	else if (FITS(2048))
		COPY_INTO(2048);
	else if (FITS(4096))
		COPY_INTO(4096);
	else if (FITS(16384))
		COPY_INTO(16384);
	else
		COPY_INTO(65536);
	c->when = bpf_ktime_get_ns();
	__u64 stamp;
	stamped(ctx, &stamp);
	c->stamp = stamp;
	c->length = length;
	c->kept = n;
	c->rx = taps;
	c->tx = taps >> 16;
	c->port = place / QUEUES;
	c->faults = copied ? copied->faults : 0;
	c->frame = copied ? copied->frame : 0;
	/* It is read after room was reserved, with a barrier between. A thread that announces its
	 * sleep looks into the ring afterwards, so one of the two sees the other. */
	__u32 asleep = __sync_fetch_and_or(&l->asleep, 0);
	bpf_ringbuf_submit(c, asleep ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	return 0;
full:
	miss(place, taps & 0xffff, taps >> 16);
	return 0;
}

/* Says whether a frame begins at an odd address. The veth driver of kernels up to 6.18 lays
 * received frames one behind the other, and so puts one there after a frame of several
 * buffers with an odd length. Such a frame must not be redirected: veths and TAP devices
 * mark redirected frames by the lowest bit of their address, and would mistake it for one
 * (page fault in page_frag_free). Copying it is harmless. */
inlined int odd(void *data)
{
	__u32 low;

	asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)(long)data)); /* of a pointer the verifier allows no more */
	return low & 1;
}

/* The program that is called returns to where this function was called from. The kernel calls
 * a constant index directly; any other costs 15 ns more. In assembly, since the compiler makes
 * one call of two. */
#define TAIL_CALL(index)                                                                   \
	asm volatile("r1 = %[ctx]\n\tr2 = %[map] ll\n\tr3 = %[slot]\n\tcall 12"               \
		     ::[ctx] "r"(ctx), [map] "i"(&filters), [slot] "i"(index)              \
		     : "r0", "r1", "r2", "r3", "r4", "r5")

/* Asks the filters of a port. If they are not there, or the kernel does not allow this,
 * nothing is decided. Weak, and with an answer that the compiler cannot see, as it would otherwise
 * take this for all that the function ever returns. */
__attribute__((noinline, weak)) int judge(struct xdp_md *ctx, __u32 slot)
{
	switch (slot) {
	case 0:
		TAIL_CALL(0);
		break;
	case 1:
		TAIL_CALL(1);
		break;
	case 2:
		TAIL_CALL(2);
		break;
	case 3:
		TAIL_CALL(3);
		break;
	}
	int verdict = VERDICT_UNKNOWN;
	asm volatile("" : "+r"(verdict));
	return verdict;
}
_Static_assert(PORTS * FILTER_TURNS == 4, "judge() has a call for each slot");

inlined __u32 below(__u64 a, __u64 b)
{
	return (a - b) >> 63; /* lengths are far from 2^63 */
}

/* Counts a frame of a queue that should be forwarded and was not sent. */
inlined void fail(__u32 place, __u32 number)
{
	place = place * ERRNOS + number;
	__u64 *count = bpf_map_lookup_elem(&errors, &place);
	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Tells the thread what the dice say of a frame that it will get. Where a driver has no room for
 * that, the thread throws its own. */
inlined void tell(struct xdp_md *ctx, __u32 port, const struct faults *f, const struct damage *b)
{
	__u64 frame = b->copied.frame - 1;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct told)))
		return;
	struct told *t = (void *)(long)ctx->data_meta;
	if ((void *)(t + 1) > (void *)(long)ctx->data)
		return;
	t->frame = frame;
	t->hits = b->hits;
	t->check = (__u32)frame ^ (__u32)(frame >> 32) ^ b->hits ^ f->epoch ^ (CHECK + port);
}

/* Gives a frame whose queue has no socket to the network stack. */
inlined long unserve(__u32 port)
{
	__u64 *count = bpf_map_lookup_elem(&unserved, &port);
	if (count)
		++*count;
	return XDP_PASS;
}

/* Gives a frame to the socket of its queue. */
inlined long divert(struct xdp_md *ctx, void *sockets, __u32 queue, __u32 port)
{
	mark(ctx, port);
	long action = bpf_redirect_map(sockets, queue, XDP_PASS);
	return action == XDP_PASS ? unserve(port) : action;
}

inlined int chain(struct xdp_md *ctx, const int port, void *sockets)
{
	__u32 zero = 0, me = port, queue = ctx->rx_queue_index;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	/* A driver puts the headers into the first of several buffers. A frame for which it does
	 * otherwise goes to the thread. */
	if (data + HEADER > end || queue >= QUEUES)
		goto divert;

	void *inner = bpf_map_lookup_elem(&policies, &zero);
	if (!inner)
		goto divert;
	struct policy *policy = bpf_map_lookup_elem(inner, &zero);
	__u32 *no = bpf_map_lookup_elem(&refused, &me);
	__u32 place = port * QUEUES + queue;
	struct fates *c = bpf_map_lookup_elem(&counts, &place);
	__u32 *now = bpf_map_lookup_elem(&current, &me);
	struct underway *way = bpf_map_lookup_elem(&ways, &me);
	if (!policy || !no || !c || !now || !way)
		goto divert;

	__u32 verdict = ~(VERDICT_DROP | VERDICT_UNDECIDED); /* without filters */
	if (policy->filter[port]) {
		verdict = judge(ctx, port * FILTER_TURNS + policy->filter[port] - 1);
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		if (data + HEADER > end)
			goto divert;
	}

	__u64 x = from_be64(*(__u64 *)(data + 6)); /* source and type */
	__u64 source = MAC_KEY(x >> 16), destination = MAC_KEY(from_be64(*(__u64 *)data) >> 16);
	struct wish w;
	if (!wish(&w, policy, port, source, destination, verdict))
		goto divert;
	__u32 flags = policy->flags[port];

	/* The frame is parsed before anything is counted: frames with tags in another buffer go to
	 * the thread. */
	struct seen s = {.bytes = bpf_xdp_get_buff_len(ctx), .source = source, .now = bpf_ktime_get_coarse_ns()};
	/* The tags are in one word, 14 bits each: Linux 6.1 counts the stack in steps of 32 bytes, and takes
	 * no tail call below 256. */
	__u64 tags = 0, level = 0, short_key = 0;
	__u16 type = x;
	void *at = data + HEADER;
#pragma unroll
	for (int i = 0; i < MAX_TAGS; i++) {
		if (!is_tag(type))
			break;
		if (at + 4 > end) {
			if (s.bytes != (__u64)(end - data))
				w.divert = 1;
			short_key = SHORT_KEY | level << LEVEL_AT;
			break;
		}
		tags |= (__u64)((from_be16(*(__u16 *)at) & VLAN_MASK) | TPID(type) << 12) << 14 * i;
		type = from_be16(*(__u16 *)(at + 2));
		at += 4;
		level = i + 1;
	}

	/* Each branch would double the ways for the verifier, so there are none. */
	__u32 unfit = odd(data);
	__u64 linear = end - data;
	asm volatile("" : "+r"(linear)); /* else the compiler computes with pointers */
	w.divert |= unfit | below(policy->longest[port], s.bytes) | (flags / WHOLE & below(linear, s.bytes));

	/* Each frame that comes while faults are enabled has a number, also if it is spared. */
	struct damage damage = {};
	if (flags & FAULT) {
		if (!roll(&policy->faults[port], &damage, place, !w.fault))
			goto divert;
		w.divert |= damage.hits & policy->faults[port].diverted;
	}

	int bypassed = 0;
	if (w.divert || *no) {
		if (!(flags & ALONE) && lives_on(policy, queue)) {
			if (flags & BYPASS)
				mark(ctx, port);
			long action = flags & BYPASS ? bpf_redirect_map(sockets, queue, XDP_PASS) : divert(ctx, sockets, queue, port);
			if (action == XDP_REDIRECT && flags & FAULT)
				tell(ctx, port, &policy->faults[port], &damage);
			if (action == XDP_REDIRECT || !(flags & BYPASS))
				return action;
		} else if (!(flags & BYPASS))
			goto divert;
		bypassed = 1;
		c->bypassed++;
		damage.hits = 0;
	}
	damage.copied.length = s.bytes;
	if (damage.hits & SPOILS) {
		damage.taps = w.rx;
		w.rx = 0;
		if (!spoil(ctx, &policy->faults[port], &damage, place, policy->kept)) {
			if (!(flags & ALONE) && lives_on(policy, queue)) {
				mark(ctx, port);
				long action = bpf_redirect_map(sockets, queue, XDP_PASS);
				if (action == XDP_REDIRECT)
					tell(ctx, port, &policy->faults[port], &damage);
				if (action == XDP_REDIRECT || !(flags & BYPASS))
					return action == XDP_REDIRECT ? action : unserve(port);
			} else if (!(flags & BYPASS))
				goto divert;
			bypassed = 1; /* nothing was done to it */
			c->bypassed++;
			damage.hits = 0;
			w.rx = damage.taps;
		}
	}

	add(&s, OF_MACS, port, source);
	add(&s, OF_TYPES, port, short_key ? short_key : type_key(type, level));
	for (int i = 0; i < MAX_TAGS; i++) {
		if (i >= level)
			break;
		add(&s, OF_VLANS, port, VLAN_KEY | (__u64)i << LEVEL_AT | (tags & VLAN_MASK) | (tags >> 12 & 3) << TPID_AT);
		tags >>= 14;
	}

	long action = XDP_DROP;
	if (!(flags & FORWARD)) {
		if (w.drop)
			c->dropped++;
		else
			c->mirrored++;
	} else if (w.drop) {
		if (bpf_map_lookup_elem(&outputs, &me))
			c->dropped++;
		else
			c->noif++;
	} else if (unfit) { /* bypassed */
		c->forwarded++;
		fail(place, EOPNOTSUPP);
	} else if (damage.hits & LOSSES) {
		suffer(place, damage.hits);
	} else {
		*now = queue;
		action = bpf_redirect_map(&outputs, port, XDP_DROP);
		if (action == XDP_REDIRECT) {
			c->forwarded++;
			if (way->next - way->first >= UNDERWAY) /* some left unseen, when programs were exchanged */
				way->first = way->next;
			way->lengths[way->next++ & (UNDERWAY - 1)] = damage.copied.length;
			if (damage.copied.faults)
				suffer(place, damage.copied.faults);
		} else
			c->noif++;
	}
	c->bytes += s.bytes;
	__u32 taps = w.rx;
	if (action == XDP_REDIRECT)
		taps |= w.tx << 16;
	if (taps) {
		if (bypassed)
			miss(place, taps & 0xffff, taps >> 16);
		else
			copy(ctx, place, taps, policy->kept, damage.copied.faults ? &damage.copied : 0);
	}
	return action;

divert:
	return divert(ctx, sockets, queue, port);
}

SEC("xdp")
int port0(struct xdp_md *ctx)
{
	return chain(ctx, 0, &sockets0);
}

SEC("xdp")
int port1(struct xdp_md *ctx)
{
	return chain(ctx, 1, &sockets1);
}

/* Counts frames that came in by a port and have left, or could not leave: those of a bulk, or
 * one that did not get into a bulk. */
inlined int account(const struct net_device *from, int bulk, int left, int lost, int error)
{
	for (int port = 0; port < PORTS; port++) {
		__u32 key = port;
		struct interface *i = bpf_map_lookup_elem(&links, &key);
		if (!i || i->index != from->ifindex || i->netns != from->nd_net.net->net_cookie)
			continue;
		__u32 *queue = bpf_map_lookup_elem(&current, &key);
		if (!queue)
			continue;
		__u32 place = port * QUEUES + *queue;
		struct departed *d = bpf_map_lookup_elem(&sent, &place);
		struct underway *way = bpf_map_lookup_elem(&ways, &key);
		if (!d || !way)
			continue;
		if (left > 0)
			d->frames += left;
		for (int n = 0; n < UNDERWAY && n < left && way->first != way->next; n++)
			d->bytes += way->lengths[way->first++ & (UNDERWAY - 1)];
		if (lost <= 0)
			continue;
		if (!bulk)
			way->next--; /* it is the last of all */
		else if (way->next - way->first >= (__u32)lost)
			way->first += lost; /* the last of the bulk */
		__u32 number = -error;
		if (number >= ERRNOS)
			number = ERRNOS - 1;
		place = place * ERRNOS + number;
		__u64 *count = bpf_map_lookup_elem(&errors, &place);
		if (count)
			__sync_fetch_and_add(count, lost);
		__u32 *no = bpf_map_lookup_elem(&refused, &key);
		if (no && (number == ENXIO || number == EOPNOTSUPP))
			*no = number;
	}
	return 0;
}

/* trace_xdp_devmap_xmit(from, to, sent, drops, err) reports that a bulk of at most 16 frames
 * was given to a driver. */
SEC("tp_btf/xdp_devmap_xmit")
int transmitted(__u64 *ctx)
{
	return account((void *)ctx[0], 1, ctx[2], ctx[3], ctx[4]);
}

/* trace_xdp_redirect_err(from, program, target, err, map_type, map_id, index) reports a frame
 * that did not get into a bulk. A socket counts itself the frames that it refuses. */
SEC("tp_btf/xdp_redirect_err")
int rejected(__u64 *ctx)
{
	if ((__u32)ctx[4] != BPF_MAP_TYPE_DEVMAP)
		return 0;
	return account((void *)ctx[0], 0, 0, 1, ctx[3]);
}

/* trace_sched_process_exit(task) reports that a thread ends, in whatever way. It counts as dead
 * from then on: its sockets are closed much later, and would swallow frames until then. */
SEC("tp_btf/sched_process_exit")
int ended(__u64 *ctx)
{
	const struct task_struct *task = (void *)ctx[0];
	__u32 thread = task->pid;
	for (int i = 0; i < QUEUES; i++) {
		__u32 queue = i;
		struct life *l = bpf_map_lookup_elem(&lives, &queue);
		if (l && l->thread == thread)
			l->beat = 0;
	}
	return 0;
}

char __license[] SEC("license") = "Dual BSD/GPL";
