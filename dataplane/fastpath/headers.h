// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The dissector of frames for the filters that emit.go writes: lib/predicate/dissect.go in
 * C, and in the kernel. The tests run both on the same frames. What this one does not find
 * out, it leaves to the other one, in a thread: frames with more tags or extension headers
 * than it goes through, and headers that are not in the first buffer.
 *
 * The verifier follows each way through a function to its end, with all it knows. FORGET keeps
 * the ways from multiplying: it leaves a number as it is, and the verifier without an idea of it. */
#pragma once

/* As lib/predicate numbers them. */
enum layer {
	LAYER_ETHERNET = 1 << 0,
	LAYER_TAG = 1 << 1,
	LAYER_ARP = 1 << 2,
	LAYER_IP4 = 1 << 3,
	LAYER_IP6 = 1 << 4,
	LAYER_FRAGMENT = 1 << 5,
	LAYER_LATER = 1 << 6,
	LAYER_TCP = 1 << 7,
	LAYER_UDP = 1 << 8,
	LAYER_SCTP = 1 << 9,
	LAYER_ICMP4 = 1 << 10,
	LAYER_ICMP6 = 1 << 11,
};

/* How far frames are dissected, likewise. */
enum depth { TO_NOTHING, TO_TAGS, TO_NETWORK, TO_TRANSPORT };

/* What the dissector found. A field says nothing unless its layer is there. */
struct headers {
	__u32 layers;
	__u32 sequence;
	__u32 acknowledgement;
	__u32 left;	   /* while it works: bytes of the IP packet from there on, as that says itself */
	__s32 vlan;	   /* of the outermost tag, or -1 */
	__u16 type;	   /* behind the tags */
	__u16 network;	   /* offset of what is behind the tags */
	__u16 transport;   /* while it works: offset of an extension header */
	__u16 source;	   /* port */
	__u16 destination; /* port */
	__u16 operation;   /* of ARP */
	__u8 protocol;
	__u8 ttl;
	__u8 tos;
	__u8 flags; /* of TCP */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 unused[2];
};
enum headers_layout {
	HEADERS_LAYERS = __builtin_offsetof(struct headers, layers),
	HEADERS_SEQUENCE = __builtin_offsetof(struct headers, sequence),
	HEADERS_ACKNOWLEDGEMENT = __builtin_offsetof(struct headers, acknowledgement),
	HEADERS_VLAN = __builtin_offsetof(struct headers, vlan),
	HEADERS_TYPE = __builtin_offsetof(struct headers, type),
	HEADERS_NETWORK = __builtin_offsetof(struct headers, network),
	HEADERS_SOURCE = __builtin_offsetof(struct headers, source),
	HEADERS_DESTINATION = __builtin_offsetof(struct headers, destination),
	HEADERS_OPERATION = __builtin_offsetof(struct headers, operation),
	HEADERS_PROTOCOL = __builtin_offsetof(struct headers, protocol),
	HEADERS_TTL = __builtin_offsetof(struct headers, ttl),
	HEADERS_TOS = __builtin_offsetof(struct headers, tos),
	HEADERS_FLAGS = __builtin_offsetof(struct headers, flags),
	HEADERS_ICMP_TYPE = __builtin_offsetof(struct headers, icmp_type),
	HEADERS_ICMP_CODE = __builtin_offsetof(struct headers, icmp_code),
	HEADERS_SIZE = sizeof(struct headers),
};
_Static_assert(sizeof(struct headers) % 8 == 0, "emit.go clears it by words of 8 bytes");

#define MAX_EXTENSIONS 4
#define SOMEWHERE 0x3fff /* an offset into the first buffer is below */

#define UNLIMITED 0xffffffff

#define FORGET(x, any) asm volatile("%0 ^= %1\n\t%0 ^= %1" : "+r"(x) : "r"(any))

inlined __u32 byte(const void *p) { return *(__u8 *)p; }
inlined __u32 half(const void *p) { return from_be16(*(__u16 *)p); }

/* As lib/predicate knows them. */
enum tag { TAG_C = 0x8100, TAG_S = 0x88a8, TAG_9100 = 0x9100, TAG_9200 = 0x9200 };

inlined int is_tag(__u32 type) { return type == TAG_C || type == TAG_S || type == TAG_9100 || type == TAG_9200; }

/* The index of a type of tags in that order, without branches, each of which would double the ways for the
 * verifier. */
#define TPID(type) ((((type) >> 11 | (type) >> 9) & 1) | ((type) >> 11 & 2))
_Static_assert(TPID(TAG_C) == 0 && TPID(TAG_S) == 1 && TPID(TAG_9100) == 2 && TPID(TAG_9200) == 3, "the types of tags have other numbers");

inlined int extends(__u32 protocol, const struct headers *h)
{
	if (protocol != 51 && protocol != 0 && protocol != 43 && protocol != 44 && protocol != 60)
		return 0;
	return protocol == 51 || h->layers & LAYER_IP6;
}

/* What dissect answers. */
enum dissected {
	DISSECTED,
	DISSECTED_PART, /* all, if the frame has no more than its first buffer */
	DISSECTED_NOT,	/* the frame has more tags or extension headers than are gone through */
	DISSECTED_ON,	/* of an extension header: there is more behind it */
};

/* Goes past one extension header. A function of its own, which the verifier looks at once. */
__attribute__((noinline)) int extension(struct xdp_md *ctx, struct headers *h)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *p;
	if (!h)
		return DISSECTED_NOT;
	__u32 protocol = h->protocol, left = h->left, size = protocol == 44 ? 8 : 2, offset = 0;
	p = data + (h->transport & SOMEWHERE);
	if (left < size)
		return DISSECTED;
	if (p + 8 > end)
		return DISSECTED_PART;
	if (protocol == 44)
		offset = half(p + 2);
	else if (protocol == 51)
		size = (2 + byte(p + 1)) << 2;
	else
		size = (1 + byte(p + 1)) << 3;
	if ((protocol == 51 && size < 12) || left < size)
		return DISSECTED;
	if (p + size > end)
		return DISSECTED_PART;
	h->protocol = byte(p);
	h->transport += size;
	h->left = left - size;
	if (offset & 0xfff9)
		h->layers |= LAYER_FRAGMENT;
	if (offset & 0xfff8) {
		h->layers |= LAYER_LATER;
		return DISSECTED;
	}
	return DISSECTED_ON;
}

/* Answers as far as the first buffer goes. The caller has filled h with zeros. */
__attribute__((noinline)) int dissect(struct xdp_md *ctx, struct headers *h, __u32 to)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *p;
	__u32 type, layers = LAYER_ETHERNET, protocol, size;
	__u64 at = HEADER, any;
	__u32 left; /* bytes of the IP packet from p on, as that says itself */

	if (!h || data + HEADER > end)
		return DISSECTED_NOT;
	any = *(__u32 *)data;
	h->vlan = -1;
	type = half(data + 12);
	if (type != 0x0800) {
#pragma unroll
		for (int i = 0; i <= MAX_TAGS; i++) {
			if (!is_tag(type))
				break;
			if (i == MAX_TAGS)
				return DISSECTED_NOT;
			if (data + at + 4 > end) {
				h->layers = layers;
				h->type = type;
				return DISSECTED_PART;
			}
			if (i == 0) {
				layers |= LAYER_TAG;
				h->vlan = half(data + at) & VLAN_MASK;
			}
			type = half(data + at + 2);
			at += 4;
		}
	}
	h->layers = layers;
	h->type = type;
	h->network = at;
	if (to <= TO_TAGS)
		return DISSECTED;

	FORGET(at, any);
	p = data + (at & 63);
	if (type == 0x0800) {
		if (p + 20 > end)
			return DISSECTED_PART;
		size = (byte(p) & 15) << 2;
		left = half(p + 2);
		if (left == 0)
			left = UNLIMITED;
		if (size < 20 || left < size)
			return DISSECTED;
		if (p + size > end)
			return DISSECTED_PART;
		h->layers |= LAYER_IP4;
		h->tos = byte(p + 1);
		h->ttl = byte(p + 8);
		h->protocol = protocol = byte(p + 9);
		__u32 fragment = half(p + 6);
		if (fragment & 0x3fff) {
			h->layers |= LAYER_FRAGMENT;
			if (fragment & 0x1fff) {
				h->layers |= LAYER_LATER;
				return DISSECTED;
			}
		}
		left -= size;
		p += size;
	} else if (type == 0x86dd) {
		if (p + 40 > end)
			return DISSECTED_PART;
		h->layers |= LAYER_IP6;
		h->tos = half(p) >> 4;
		h->ttl = byte(p + 7);
		h->protocol = protocol = byte(p + 6);
		left = half(p + 4);
		if (left == 0 && protocol == 0)
			left = UNLIMITED;
		p += 40;
	} else {
		if (type != 0x0806)
			return DISSECTED;
		if (p + 8 > end)
			return DISSECTED_PART;
		size = 8 + 2 * byte(p + 4) + 2 * byte(p + 5);
		if (size > 255)
			return DISSECTED;
		if (p + size > end)
			return DISSECTED_PART;
		h->operation = half(p + 6);
		h->layers |= LAYER_ARP;
		return DISSECTED;
	}
	if (to <= TO_NETWORK)
		return DISSECTED;

	if (extends(protocol, h)) {
		h->transport = p - data;
		h->left = left;
		for (int i = 0; extends(h->protocol, h); i++) {
			if (i == MAX_EXTENSIONS)
				return DISSECTED_NOT;
			int answer = extension(ctx, h);
			if (answer != DISSECTED_ON)
				return answer;
		}
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		p = data + (h->transport & SOMEWHERE);
		left = h->left;
		protocol = h->protocol;
	}

	switch (protocol) {
	case 6:
		if (left < 20)
			return DISSECTED;
		if (p + 20 > end)
			return DISSECTED_PART;
		size = byte(p + 12) >> 4 << 2;
		if (size < 20 || left < size)
			return DISSECTED;
		if (p + size > end)
			return DISSECTED_PART;
		h->sequence = from_be32(*(__u32 *)(p + 4));
		h->acknowledgement = from_be32(*(__u32 *)(p + 8));
		h->flags = byte(p + 13);
		h->layers |= LAYER_TCP;
		break;
	case 17:
		if (left < 8)
			return DISSECTED;
		if (p + 8 > end)
			return DISSECTED_PART;
		size = half(p + 4);
		if (size && size < 8)
			return DISSECTED;
		h->layers |= LAYER_UDP;
		break;
	case 132:
		if (left < 12)
			return DISSECTED;
		if (p + 12 > end)
			return DISSECTED_PART;
		h->layers |= LAYER_SCTP;
		break;
	case 1:
		if (left < 8)
			return DISSECTED;
		if (p + 8 > end)
			return DISSECTED_PART;
		h->icmp_type = byte(p);
		h->icmp_code = byte(p + 1);
		h->layers |= LAYER_ICMP4;
		return DISSECTED;
	case 58:
		if (left < 4)
			return DISSECTED;
		if (p + 4 > end)
			return DISSECTED_PART;
		h->icmp_type = byte(p);
		h->icmp_code = byte(p + 1);
		h->layers |= LAYER_ICMP6;
		return DISSECTED;
	default:
		return DISSECTED;
	}
	h->source = half(p);
	h->destination = half(p + 2);
	return DISSECTED;
}

/* What emit.go puts its own code in the place of: a function with the type of a program
 * that calls dissect. It is not loaded as it is. */
SEC("xdp")
int filter(struct xdp_md *ctx)
{
	struct headers h = {};
	return dissect(ctx, &h, TO_TRANSPORT) ? -1 : h.layers;
}
