// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Faults in the kernel. The dice are those of dataplane/dice.go, and docs/dataplane.md specifies them.
 *
 * Frames of a lane, which is a queue of a port, are numbered as they come. roll() finds out
 * which faults happen to a frame. Those of the frame that goes on are carried out by spoil(), or
 * by the thread, which is told in front of the frame what the dice say. */
#pragma once

/* The faults, with the numbers that policy.Faults gives them. The programs know no others. */
enum fault {
	FAULT_OUTAGE,
	FAULT_BURST,
	FAULT_DROP,
	FAULT_LENGTH,
	FAULT_BITFLIP,
	FAULT_DUP,
	FAULTS_KNOWN,
	LOSSES = 1 << FAULT_OUTAGE | 1 << FAULT_BURST | 1 << FAULT_DROP,
	SPOILS = 1 << FAULT_LENGTH | 1 << FAULT_BITFLIP,
	UNROLLED = 1 << 30, /* in the place of the faults that happen: the thread has to throw the dice */
};

enum dice_size {
	CERTAIN = 100000, /* the probability of an event that always happens */
	NUMBER_AT = 5,	  /* the bits of a draw: which number, */
	COPY_AT = 8,	  /* 1 for the copy of a frame that is sent twice, */
	FRAME_AT = 9,	  /* and the number of the frame */
	DRAW_AGAIN = 4,	  /* the number that says whether an outcome is repeated; 0 says whether a fault happens */
};
#define GAMMA 0x9e3779b97f4a7c15ULL

struct chance {
	__u32 probability;
	__u32 every;
	__u32 correlation;
};

/* The faults of frames received on a port. */
struct faults {
	__u64 outage; /* its end, ns since boot; 0: there is none */
	__u64 seed;
	struct chance chances[FAULTS_KNOWN];
	__u32 enter; /* of bursts: probabilities */
	__u32 leave;
	__u32 bad;
	__u32 good;
	__u32 epoch; /* another one begins the dice anew, as another seed does */
	__u32 limit; /* bytes of a frame that is made longer, at most */
	__u32 chunk; /* bytes of a frame that a thread takes in one piece */
	__u32 diverted; /* the faults for which a frame goes to the thread, one bit each */
	__u32 own;   /* 1: the thread throws the dice, as it knows faults between these; the program only numbers frames */
};

/* The dice of a lane. The program on the CPU that serves the queue writes them, and user space
 * while the program is on no interface. */
struct dice {
	__u64 key;
	__u64 next; /* the number of the next frame */
	__u64 seed; /* of policy, when the dice were begun */
	__u32 epoch;
	__u32 begun; /* 0: not at all */
};

/* What they remember from one frame to the next. User space writes this also while the program is on
 * an interface and the thread throws the dice, since the program then only begins anew. */
struct memory {
	__u32 bad; /* the state of bursts */
	__u32 every[FAULTS_KNOWN];
	__u32 seen[FAULTS_KNOWN]; /* frames since the last n-th */
	__u32 last;		  /* a bit for each fault: the last outcome under a correlation */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct dice);
} throws SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct memory);
} memories SEC(".maps");

/* Frames that suffered faults here. */
struct suffered {
	__u64 frames[FAULTS_KNOWN];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS *QUEUES);
	__type(key, __u32);
	__type(value, struct suffered);
} sufferings SEC(".maps");

/* The output function of SplitMix64. */
inlined __u64 mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

inlined __u64 draw(__u64 key, __u64 frame, __u32 fault, __u32 number)
{
	return mix(key + GAMMA * (frame << FRAME_AT | number << NUMBER_AT | fault));
}

inlined __u32 below_limit(__u64 drawn, __u32 limit) { return (drawn >> 32) * limit >> 32; }

inlined int hit(const struct faults *f, struct memory *m, __u64 key, __u64 frame, const __u32 fault)
{
	const struct chance *c = &f->chances[fault];
	__u32 every = c->every;

	if (every) {
		if (m->every[fault] != every) {
			m->every[fault] = every;
			m->seen[fault] = 0;
		}
		if (++m->seen[fault] < every)
			return 0;
		m->seen[fault] = 0;
		return 1;
	}
	if (!c->probability)
		return 0;
	if (c->correlation && below_limit(draw(key, frame, fault, DRAW_AGAIN), CERTAIN) < c->correlation)
		return m->last >> fault & 1;
	__u32 now = below_limit(draw(key, frame, fault, 0), CERTAIN) < c->probability;
	if (c->correlation)
		m->last = (m->last & ~(1u << fault)) | now << fault;
	return now;
}

inlined int lost_in_burst(const struct faults *f, struct memory *m, __u64 key, __u64 frame)
{
	if (!(f->enter | f->leave | f->bad | f->good)) {
		m->bad = 0;
		return 0;
	}
	__u32 change = below_limit(draw(key, frame, FAULT_BURST, 0), CERTAIN);
	if (m->bad)
		m->bad = change >= f->leave;
	else
		m->bad = change < f->enter;
	__u32 loss = m->bad ? f->bad : f->good;
	return loss && below_limit(draw(key, frame, FAULT_BURST, 1), CERTAIN) < loss;
}

/* Begins the dice of a lane anew if another seed was set. */
inlined void reseed(struct dice *d, struct memory *m, const struct faults *f, __u32 place)
{
	if (d->begun && d->seed == f->seed && d->epoch == f->epoch)
		return;
	d->key = mix(mix(f->seed) + (__u64)(place & (QUEUES - 1)) * 256 + place / QUEUES);
	d->next = 0;
	d->seed = f->seed;
	d->epoch = f->epoch;
	d->begun = 1;
	m->bad = 0;
	m->last = 0;
	for (int i = 0; i < FAULTS_KNOWN; i++)
		m->every[i] = 0;
}

/* What a copy says of its frame besides the bytes. */
struct copied {
	__u64 frame;  /* its number and 1; copies of one spoiled frame have the same, other copies 0 */
	__u32 length; /* its bytes, of which some may be new behind it */
	__u32 faults; /* what it has suffered, one bit each */
};

/* What the dice say of a frame. */
struct damage {
	struct copied copied; /* its number and 1; the rest comes later */
	__u64 key;	      /* of the lane */
	__u32 hits;	      /* the faults that happen to it, one bit each */
	__u32 taps;	      /* those that want it as it was received; they get it before it is spoiled */
};

inlined int hits(const struct faults *f, struct memory *m, __u64 key, __u64 frame)
{
	if (f->outage && f->outage > bpf_ktime_get_ns())
		return 1 << FAULT_OUTAGE;
	if (lost_in_burst(f, m, key, frame))
		return 1 << FAULT_BURST;
	if (hit(f, m, key, frame, FAULT_DROP))
		return 1 << FAULT_DROP;
	return hit(f, m, key, frame, FAULT_LENGTH) << FAULT_LENGTH | hit(f, m, key, frame, FAULT_BITFLIP) << FAULT_BITFLIP |
	       hit(f, m, key, frame, FAULT_DUP) << FAULT_DUP;
}

/* Gives a frame its number, and throws the dice for it unless it is spared. Returns 0 if there are
 * none. It is not inlined, so that the verifier looks at it once. */
__attribute__((noinline)) int roll(const struct faults *f, struct damage *b, __u32 place, int spared)
{
	struct dice *d = bpf_map_lookup_elem(&throws, &place);
	struct memory *m = bpf_map_lookup_elem(&memories, &place);
	if (!f || !b || !d || !m)
		return 0;
	reseed(d, m, f, place);
	__u64 frame = d->next++;
	b->key = d->key;
	b->copied.frame = frame + 1;
	b->hits = spared ? 0 : f->own ? UNROLLED : hits(f, m, d->key, frame);
	return 1;
}

/* Counts what a frame has suffered. */
inlined void suffer(__u32 place, __u32 faults)
{
	struct suffered *s = bpf_map_lookup_elem(&sufferings, &place);
	if (!s)
		return;
#pragma unroll
	for (int i = 0; i < FAULTS_KNOWN; i++)
		s->frames[i] += faults >> i & 1;
}

int copy(struct xdp_md *ctx, __u32 place, __u32 taps, __u32 kept, const struct copied *copied);

inlined __u64 drawn(const struct damage *b, __u32 fault, __u32 number)
{
	return draw(b->key, b->copied.frame - 1, fault, number);
}

/* Returns by how many bytes the length fault changes a frame; 0 if it cannot. */
inlined int change_of_length(const struct faults *f, const struct damage *b, __u32 length)
{
	__u32 most = f->limit < f->chunk ? f->limit : f->chunk, room = most > length ? most - length : 0;
	__u64 amount = drawn(b, FAULT_LENGTH, 2);
	int shorter = !below_limit(drawn(b, FAULT_LENGTH, 1), 2);

	if (length > HEADER && (shorter || !room))
		return (int)(HEADER + below_limit(amount, length - HEADER)) - (int)length;
	return room ? 1 + (int)below_limit(amount, room) : 0;
}

#define LONGEST_FILL 4096

/* Fills the n bytes of a frame from at on. */
inlined void fill(struct xdp_md *ctx, const struct damage *b, __u32 at, __u32 n)
{
	__u64 r = drawn(b, FAULT_LENGTH, 3), bytes;

	for (__u32 i = 0; i < LONGEST_FILL / 8; i++) {
		if (i >= n / 8)
			break;
		r += GAMMA;
		bytes = to_le64(mix(r));
		bpf_xdp_store_bytes(ctx, at + 8 * i, &bytes, 8);
	}
	if (n & 7) {
		bytes = to_le64(mix(r + GAMMA));
		/* n & 7 bytes, so written that the verifier of Linux 6.1 knows that they are not 0 */
		bpf_xdp_store_bytes(ctx, at + (n & ~7u), &bytes, ((n - 1) & 7) + 1);
	}
}

/* Spoils a frame, after it was copied for the taps that want it as it was received. Returns 1, with
 * what was done in the damage; or 0 if a thread has to do it, and then nothing is done. It is not
 * inlined, so that the verifier looks at it once. */
__attribute__((noinline)) int spoil(struct xdp_md *ctx, const struct faults *f, struct damage *b, __u32 place, __u32 kept)
{
	if (!f || !b)
		return 0;
	int change = 0;
	__u32 length = bpf_xdp_get_buff_len(ctx);

	if (b->hits & 1 << FAULT_LENGTH) {
		if (length > f->chunk)
			return 0;
		change = change_of_length(f, b, length);
		if (change > LONGEST_FILL || (change > 0 && bpf_xdp_adjust_tail(ctx, change)))
			return 0;
	}
	b->copied.length = length;
	b->copied.faults = 0;
	if (b->taps)
		copy(ctx, place, b->taps, kept, &b->copied);
	if (change > 0)
		fill(ctx, b, length, change);
	if (change > 0 || (change < 0 && !bpf_xdp_adjust_tail(ctx, change))) {
		b->copied.faults |= 1 << FAULT_LENGTH;
		length += change;
	}
	if (b->hits & 1 << FAULT_BITFLIP && length > HEADER) {
		__u32 bit = below_limit(drawn(b, FAULT_BITFLIP, 1), 8 * (length - HEADER));
		__u8 byte;
		if (!bpf_xdp_load_bytes(ctx, HEADER + bit / 8, &byte, 1)) {
			byte ^= 1 << (bit & 7);
			if (!bpf_xdp_store_bytes(ctx, HEADER + bit / 8, &byte, 1))
				b->copied.faults |= 1 << FAULT_BITFLIP;
		}
	}
	b->copied.length = length;
	return 1;
}
