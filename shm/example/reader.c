// SPDX-License-Identifier: BSD-3-Clause

/*
 * reader - takes packets out of a TAP queue and prints a line for each:
 *
 *     producer seq timestamp interface direction orig_length length checksum
 *
 * usage: reader QUEUE COUNT MILLISECONDS
 *
 * Ends after COUNT packets (status 0) or after waiting MILLISECONDS for one (status 3).
 * An example of a consumer: cc -std=c11 -o reader reader.c -pthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../ethertap_queue.h"

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

static uint8_t *mem;
static struct etq_header *hdr;
static struct etq_participant *me;
static uint64_t slots, stride;
static unsigned id;
static int fd;

static void die(const char *what)
{
	fprintf(stderr, "reader: %s: %s\n", what, errno ? strerror(errno) : "not a queue of this version");
	exit(1);
}

static int cas(uint64_t *word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static struct etq_slot *slot(uint64_t pos)
{
	return (struct etq_slot *)(mem + ETQ_SLOTS_OFFSET + (pos & (slots - 1)) * stride);
}

static int lock(int cmd, short type, off_t byte, struct flock *l)
{
	*l = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	return fcntl(fd, cmd, l);
}

static int dead(unsigned owner)
{
	struct flock l;
	return lock(F_OFD_GETLK, F_WRLCK, owner, &l) == 0 && l.l_type == F_UNLCK;
}

/* let go of a slot that we, or the last holder of our id, own */
static void release(uint64_t *word, unsigned owner)
{
	for (;;) {
		uint64_t w = LOAD(word);
		unsigned s = ETQ_STATE(w);
		if (ETQ_OWNER(w) != owner || (s != ETQ_WRITING && s != ETQ_READING && s != ETQ_ORPHAN))
			return;
		if (cas(word, w, ETQ_WORD(ETQ_LAP(w) + 1, ETQ_FREE, 0)))
			return;
	}
}

/*
 * set right the last count of a dead participant, before its slot is freed: the step it
 * intended happened unless the slot still names it
 */
static void bury(unsigned who)
{
	struct etq_participant *e = (struct etq_participant *)(mem + ETQ_PARTICIPANTS_OFFSET) + who;
	uint64_t *count[5] = { NULL, &e->stored, &e->overwritten, &e->retrieved, &e->discarded };
	uint64_t next, kind, n, w;

	if (who == 0 || who >= ETQ_PARTICIPANTS)
		return;
	next = LOAD(&e->intent_next);
	kind = LOAD(&e->intent_counter);
	if (next == 0 || kind == 0 || kind > 4 || (n = LOAD(count[kind])) + 1 != next)
		return;
	w = LOAD(&slot(LOAD(&e->intent_pos))->word);
	if (ETQ_OWNER(w) == who && ETQ_STATE(w) != ETQ_FREE && ETQ_STATE(w) != ETQ_FULL)
		cas(&e->intent_next, next, 0);
	else if (LOAD(&e->intent_next) == next)
		cas(count[kind], n, next);
}

/* step 1 to 3 of the header's comment */
static void join(const char *name)
{
	char path[300];
	struct etq_header h;
	struct stat st, now;
	struct flock l;
	struct timespec ts;

	snprintf(path, sizeof path, "/dev/shm/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		die(path);
	if (lock(F_OFD_SETLK, F_RDLCK, 0, &l) != 0)
		die("lock");
	if (fstat(fd, &st) != 0 || stat(path, &now) != 0 || st.st_ino != now.st_ino)
		die("replaced");
	errno = 0;
	if (pread(fd, &h, sizeof h, 0) != sizeof h || memcmp(h.magic, ETQ_MAGIC, 8) != 0 || h.version != ETQ_VERSION ||
	    h.byte_order != ETQ_BYTE_ORDER || h.slots < ETQ_MIN_SLOTS || h.slots > ETQ_MAX_SLOTS ||
	    (h.slots & (h.slots - 1)) != 0 || h.slot_size < ETQ_MIN_SLOT_SIZE || h.slot_size > ETQ_MAX_SLOT_SIZE ||
	    h.slot_size % 64 != 0 || h.slots_offset != ETQ_SLOTS_OFFSET || h.state != ETQ_READY ||
	    (uint64_t)st.st_size != ETQ_SLOTS_OFFSET + (uint64_t)h.slots * h.slot_size)
		die(path);
	slots = h.slots;
	stride = h.slot_size;
	mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	hdr = (struct etq_header *)mem;

	for (id = 1; id < ETQ_PARTICIPANTS; id++)
		if (lock(F_OFD_SETLK, F_WRLCK, id, &l) == 0)
			break;
	if (id == ETQ_PARTICIPANTS)
		die("no place left");
	me = (struct etq_participant *)(mem + ETQ_PARTICIPANTS_OFFSET) + id;
	if (LOAD(&me->pid) != 0) {
		bury(id);
		for (uint64_t i = 0; i < slots; i++) {
			uint64_t w = LOAD(&slot(i)->word);
			if (ETQ_OWNER(w) != id || ETQ_STATE(w) == ETQ_FREE || ETQ_STATE(w) == ETQ_FULL)
				continue;
			release(&slot(i)->word, id);
			if (ETQ_STATE(w) == ETQ_READING)
				me->lost++;
			else
				me->abandoned++;
		}
	}
	__atomic_and_fetch(&hdr->sleepers[id / 64], ~(1ull << id % 64), __ATOMIC_SEQ_CST);
	me->intent_next = 0;
	me->role = ETQ_OTHER;
	me->kinds = ETQ_CONSUMER;
	me->generation++;
	clock_gettime(CLOCK_REALTIME, &ts);
	me->joined = ts.tv_sec * 1000000000ll + ts.tv_nsec;
	memset(me->name, 0, sizeof me->name);
	strcpy(me->name, "C reader");
	uint64_t base[8] = { me->stored, me->full, me->orphaned, me->truncated, me->overwritten, me->retrieved, me->discarded, me->offered };
	memcpy(me->base, base, sizeof base);
	STORE(&me->pid, (uint32_t)getpid());
}

static void print(struct etq_slot *s)
{
	uint32_t n = LOAD(&s->length), sum = 0;

	if (n > stride - ETQ_SLOT_HEADER)
		n = stride - ETQ_SLOT_HEADER;
	for (uint32_t i = 0; i < n; i++)
		sum = sum * 31 + ((uint8_t *)(s + 1))[i];
	printf("%u %" PRIu64 " %" PRId64 " %u %u %u %u %u\n", s->producer, s->seq, s->timestamp, s->interface, s->direction,
	       s->orig_length, n, sum);
}

/* take one packet: 1, none there: 0, a writer is in the way: -1 */
static int take(uint64_t *pos)
{
	uint64_t hint = LOAD(&hdr->tail);

	if ((int64_t)(hint - *pos) > 0)
		*pos = hint;
	for (uint64_t tries = 2 * slots; tries > 0; tries--) {
		struct etq_slot *s = slot(*pos);
		uint64_t lap = *pos / slots, w = LOAD(&s->word), mine = ETQ_WORD(lap, ETQ_READING, id);
		unsigned st = ETQ_STATE(w);

		if (ETQ_LAP(w) < lap || (ETQ_LAP(w) == lap && st == ETQ_FREE))
			return 0;
		if (ETQ_LAP(w) > lap || st == ETQ_READING || st == ETQ_ORPHAN) {
			++*pos;
			continue;
		}
		if (st == ETQ_WRITING) {
			if (!dead(ETQ_OWNER(w)))
				return -1;
			bury(ETQ_OWNER(w));
			if (cas(&s->word, w, ETQ_WORD(lap + 1, ETQ_FREE, 0)))
				me->abandoned++;
			continue;
		}
		if (!cas(&s->word, w, mine))
			continue;
		print(s);
		me->intent_next = 0;
		atomic_signal_fence(memory_order_seq_cst);
		me->intent_counter = ETQ_COUNT_RETRIEVED;
		me->intent_pos = *pos;
		atomic_signal_fence(memory_order_seq_cst);
		me->intent_next = me->retrieved + 1;
		release(&s->word, id);
		me->retrieved++;
		++*pos;
		for (hint = LOAD(&hdr->tail); (int64_t)(*pos - hint) > 0 && !cas(&hdr->tail, hint, *pos); hint = LOAD(&hdr->tail))
			;
		return 1;
	}
	return 0;
}

/* sleep at the doorbell for at most 50 ms; woken early when there may be a packet */
static void nap(uint64_t *pos, long ms)
{
	struct timespec ts;
	uint64_t w;

	__atomic_or_fetch(&hdr->sleepers[id / 64], 1ull << id % 64, __ATOMIC_SEQ_CST);
	w = LOAD(&slot(*pos)->word);
	if (ETQ_LAP(w) != *pos / slots || ETQ_STATE(w) != ETQ_FULL) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += ms * 1000000;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		while (sem_timedwait(&hdr->bell, &ts) != 0 && errno == EINTR)
			;
	}
	__atomic_and_fetch(&hdr->sleepers[id / 64], ~(1ull << id % 64), __ATOMIC_SEQ_CST);
}

/* what sem_init makes is what the queue's maker wrote without glibc */
static void check_semaphore(void)
{
	sem_t s;

	memset(&s, 0, sizeof s);
	sem_init(&s, 1, 0);
	errno = 0;
	if (memcmp((char *)&s + 8, (char *)&hdr->bell + 8, sizeof s - 8) != 0)
		die("the doorbell is not a semaphore of this C library");
}

int main(int argc, char **argv)
{
	uint64_t pos = 0;
	long left, count;
	struct timespec start, now;

	if (argc != 4) {
		fprintf(stderr, "usage: reader QUEUE COUNT MILLISECONDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 4096); /* a packet is told before it is let go of */
	count = atol(argv[2]);
	left = atol(argv[3]);
	join(argv[1]);
	check_semaphore();
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (count > 0) {
		int r = take(&pos);
		if (r > 0) {
			count--;
			clock_gettime(CLOCK_MONOTONIC, &start);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >= left)
			break;
		nap(&pos, r < 0 ? 1 : 50);
	}
	STORE(&me->intent_next, 0);
	STORE(&me->pid, 0u);
	return count > 0 ? 3 : 0;
}
