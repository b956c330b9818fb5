//go:build ignore

/* The chain of dataplane/doc.go, inside the kernel, for frames that need nothing
 * from user space: counted, by source, type and VLAN too, dropped by the drop
 * machash, forwarded. All others are diverted, uncounted, to the AF_XDP socket of
 * their queue, whose thread takes them through the whole chain.
 *
 * Who writes what: each per-CPU value is written by the programs on that CPU,
 * which do not interrupt each other; `errors` and `refused` by the trace programs
 * of any CPU, atomically; policies, sets, links, sockets and outputs by user space.
 */
#include "bpf.h"

#define PORTS 2
#define QUEUES 8   /* dataplane.MaxQueues */
#define ERRNOS 128 /* the last one is any other */

/* What a policy asks for on frames received on a port. */
#define FORWARD 0x01   /* they leave by the other port; else they are only counted */
#define DIVERT 0x02    /* everything is diverted */
#define TAP_RX 0x04    /* they are tapped when they come */
#define TAP_TX 0x08    /* they are tapped when they leave by the other port */
#define TAP_SET 0x10   /* only those whose source or destination is in the set */
#define DROP_SET 0x20  /* those whose source is in the set are dropped */
#define FAULT 0x40     /* they suffer faults */
#define FAULT_SET 0x80 /* only those whose source is in the set */

/* What an address is in. */
#define IN_TAP 1
#define IN_DROP 2
#define IN_FAULT 4

struct policy {
	__u32 flags[PORTS];
	__u32 set; /* which of `sets` */
};
const struct policy *described; /* so that the type is in the object's BTF */

/* The policy in force is the one element. It is changed by putting another map in
 * its place, which is one pointer, so each frame sees one policy or the other; and
 * the kernel returns from that only when no frame is under way under the old one. */
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

/* Addresses and what they are in. Two, taken in turn, so that a policy and its
 * addresses change together. */
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

/* Where frames received on a port leave. The kernel takes an interface out when it
 * disappears. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} outputs SEC(".maps");

/* What became of the frames that were not diverted; their sum is what was received. */
struct fates {
	__u64 forwarded; /* given to the other port: `sent` or `errors` tell what came of it */
	__u64 dropped;
	__u64 noif;
	__u64 mirrored;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct fates);
} counts SEC(".maps");

/* Forwarded frames that were not sent: by port and queue of reception and errno; 0
 * is a full ring of the driver. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS *QUEUES *ERRNOS);
	__type(key, __u32);
	__type(value, __u64);
} errors SEC(".maps");

/* Forwarded frames that a driver took. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, __u64);
} sent SEC(".maps");

/* The queue from which this CPU forwarded last: bulks are transmitted before it
 * turns to another one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} current SEC(".maps");

/* The errno with which the other port refused redirected frames for good: from then
 * on all is diverted, until user space sets it to 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} refused SEC(".maps");

/* Which interfaces the ports are. An index alone is not unique on a machine. */
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

/* Tables: as dataplane/table.go, with the same keys, hashes and sizes, one for each
 * CPU. A key is in one of two buckets, or there is no room for it. */
#define WAYS 8
#define MAC_BITS 10 /* 8192 places */
#define TYPE_BITS 7 /* 1024 places */
#define VLAN_BITS 10

struct entry {
	__u64 frames;
	__u64 bytes;
	__u64 last; /* key of the source that sent the last one */
	__u64 seen; /* when that was, ns since boot */
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

/* What found no room, by port and table. */
#define TABLES 3
enum { OF_MACS, OF_TYPES, OF_VLANS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *TABLES);
	__type(key, __u32);
	__type(value, struct entry);
} rest SEC(".maps");

/* Keys, as in dataplane/account.go. */
#define TYPE_KEY (1ULL << 63)
#define LENGTH_KEY (TYPE_KEY | 1ULL << 32)
#define SHORT_KEY (TYPE_KEY | 1ULL << 33)
#define VLAN_KEY (1ULL << 63)
#define STAG_KEY (1ULL << 20)
#define LEVEL_AT 16
#define MAC_KEY(x) ((x) | 1ULL << 48)

#define HEADER 14
#define MAX_TAGS 4
#define MAX_LENGTH 1500
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8

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

/* What is counted of a frame everywhere. */
struct seen {
	__u64 bytes;
	__u64 source;
	__u64 now;
};

inlined void add(void *table, int bits, int which, int port, __u64 key, const struct seen *s)
{
	__u32 at = (__u32)(key * 0x9e3779b97f4a7c15ULL >> (64 - bits)) | (__u32)port << bits;
	struct bucket *b = bpf_map_lookup_elem(table, &at);
	if (!b)
		return;
	struct entry *e = find(b, key);
	if (!e) {
		at = (__u32)(key * 0xc2b2ae3d27d4eb4fULL >> (64 - bits)) | (__u32)port << bits;
		b = bpf_map_lookup_elem(table, &at);
		if (!b)
			return;
		e = find(b, key);
	}
	if (!e) {
		at = port * TABLES + which;
		e = bpf_map_lookup_elem(&rest, &at);
		if (!e)
			return;
	}
	e->frames++;
	e->bytes += s->bytes;
	e->last = s->source;
	e->seen = s->now;
}

inlined __u64 type_key(__u16 type, __u64 level)
{
	if (type <= MAX_LENGTH)
		return LENGTH_KEY | level << LEVEL_AT;
	return TYPE_KEY | level << LEVEL_AT | type;
}

inlined int chain(struct xdp_md *ctx, const int port, void *sockets)
{
	__u32 zero = 0, me = port, queue = ctx->rx_queue_index;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	/* A driver puts the headers into the first of several buffers; what it does
	 * otherwise, the thread has to make out. */
	if (data + HEADER > end || queue >= QUEUES)
		goto divert;

	void *inner = bpf_map_lookup_elem(&policies, &zero);
	if (!inner)
		goto divert;
	struct policy *policy = bpf_map_lookup_elem(inner, &zero);
	__u32 *no = bpf_map_lookup_elem(&refused, &me);
	if (!policy || !no || *no)
		goto divert;
	__u32 flags = policy->flags[port];
	if (flags & DIVERT)
		goto divert;

	__u64 x = from_be64(*(__u64 *)(data + 6)); /* source and type */
	__u64 source = MAC_KEY(x >> 16);
	__u32 source_in = 0, destination_in = 0;
	if (flags & (TAP_SET | DROP_SET | FAULT_SET)) {
		__u32 which = policy->set;
		void *set = bpf_map_lookup_elem(&sets, &which);
		if (!set)
			goto divert;
		__u32 *in = bpf_map_lookup_elem(set, &source);
		if (in)
			source_in = *in;
		if (flags & TAP_SET) {
			__u64 destination = MAC_KEY(from_be64(*(__u64 *)data) >> 16);
			in = bpf_map_lookup_elem(set, &destination);
			if (in)
				destination_in = *in;
		}
	}
	int taps = !(flags & TAP_SET) || (source_in | destination_in) & IN_TAP;
	int drops = flags & DROP_SET && source_in & IN_DROP;
	if (flags & TAP_RX && taps)
		goto divert;
	if (flags & FORWARD && !drops) {
		if (flags & TAP_TX && taps)
			goto divert;
		if (flags & FAULT && (!(flags & FAULT_SET) || source_in & IN_FAULT))
			goto divert;
	}

	/* What is in the frame, before anything is counted: tags that are in another
	 * buffer are for the thread. */
	struct seen s = {.bytes = bpf_xdp_get_buff_len(ctx), .source = source, .now = bpf_ktime_get_coarse_ns()};
	__u64 tags[MAX_TAGS], level = 0, short_key = 0;
	__u16 type = x;
	void *at = data + HEADER;
#pragma unroll
	for (int i = 0; i < MAX_TAGS; i++) {
		if (type != TYPE_VLAN && type != TYPE_QINQ)
			break;
		if (at + 4 > end) {
			if (s.bytes != (__u64)(end - data))
				goto divert;
			short_key = SHORT_KEY | level << LEVEL_AT;
			break;
		}
		tags[i] = VLAN_KEY | (__u64)i << LEVEL_AT | (from_be16(*(__u16 *)at) & 0xfff) | (type == TYPE_QINQ ? STAG_KEY : 0);
		type = from_be16(*(__u16 *)(at + 2));
		at += 4;
		level = i + 1;
	}

	__u32 place = port * QUEUES + queue;
	struct fates *c = bpf_map_lookup_elem(&counts, &place);
	__u32 *now = bpf_map_lookup_elem(&current, &me);
	if (!c || !now)
		goto divert;

	add(&macs, MAC_BITS, OF_MACS, port, source, &s);
	add(&types, TYPE_BITS, OF_TYPES, port, short_key ? short_key : type_key(type, level), &s);
	for (int i = 0; i < MAX_TAGS; i++) {
		if (i >= level)
			break;
		add(&vlans, VLAN_BITS, OF_VLANS, port, tags[i], &s);
	}

	if (!(flags & FORWARD)) {
		if (drops)
			c->dropped++;
		else
			c->mirrored++;
		return XDP_DROP;
	}
	if (drops) {
		if (bpf_map_lookup_elem(&outputs, &me))
			c->dropped++;
		else
			c->noif++;
		return XDP_DROP;
	}
	*now = queue;
	long action = bpf_redirect_map(&outputs, port, XDP_DROP);
	if (action == XDP_REDIRECT)
		c->forwarded++;
	else
		c->noif++;
	return action;

divert:
	return bpf_redirect_map(sockets, queue, XDP_PASS);
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

#define ENXIO 6
#define EOPNOTSUPP 95

/* Frames that came in by one of the ports and left, or could not. */
inlined int account(const struct net_device *from, int left, int lost, int error)
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
		__u64 *count = bpf_map_lookup_elem(&sent, &place);
		if (count && left > 0)
			*count += left;
		if (lost <= 0)
			continue;
		__u32 number = -error;
		if (number >= ERRNOS)
			number = ERRNOS - 1;
		place = place * ERRNOS + number;
		count = bpf_map_lookup_elem(&errors, &place);
		if (count)
			__sync_fetch_and_add(count, lost);
		__u32 *no = bpf_map_lookup_elem(&refused, &key);
		if (no && (number == ENXIO || number == EOPNOTSUPP))
			*no = number;
	}
	return 0;
}

/* trace_xdp_devmap_xmit(from, to, sent, drops, err): of a bulk given to a driver,
 * 16 frames at most */
SEC("tp_btf/xdp_devmap_xmit")
int transmitted(__u64 *ctx)
{
	return account((void *)ctx[0], ctx[2], ctx[3], ctx[4]);
}

/* trace_xdp_redirect_err(from, program, target, err, map_type, map_id, index): of a
 * frame that did not get that far. What a socket refuses is counted there. */
SEC("tp_btf/xdp_redirect_err")
int rejected(__u64 *ctx)
{
	if ((__u32)ctx[4] != BPF_MAP_TYPE_DEVMAP)
		return 0;
	return account((void *)ctx[0], 0, 1, ctx[3]);
}

char __license[] SEC("license") = "Dual BSD/GPL";
