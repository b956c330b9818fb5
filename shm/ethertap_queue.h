// SPDX-License-Identifier: BSD-3-Clause
/*
 * ethertap_queue.h - the TAP queue in POSIX shared memory, layout version 1.
 *
 * The file /dev/shm/NAME. All numbers in the machine's byte order; reserved bytes zero. The Go
 * package shm states the same in layout.go, and its package comment the protocol.
 *
 * How to take part:
 *  1. open(O_RDWR); check magic, version, byte order, sizes; trust nothing else.
 *  2. Take a shared OFD lock (F_OFD_SETLK, F_RDLCK) on byte 0, then see that the
 *     name still leads to this file; mmap it shared.
 *  3. Take an exclusive OFD lock on the first free byte id, 1 to 127, on an open file
 *     description that no other participant uses. Free what the id's last holder
 *     left (its pid is not 0 then): every word that names the id becomes FREE(lap+1),
 *     and is counted as lost (READING) or abandoned.
 *     Fill in the entry; pid last.
 *  4. Use the words as below. Before leaving: pid = 0, then close.
 *
 * A slot's word is lap:45 | state:3 | owner:16; position = lap * slots + index.
 *   FREE(lap) -> WRITING(lap,id) -> FULL(lap) -> READING(lap,id) -> FREE(lap+1)
 * each by compare-and-swap. The lap of a READING or ORPHAN word may be raised by a
 * producer that goes past, so letting go is a loop: load, check that it is still
 * yours, compare-and-swap to FREE(lap+1). WRITING may become ORPHAN: then the packet
 * does not count, and its writer frees the slot in the same way.
 * head and tail are hints: move them forward over positions that are past, never back.
 *
 * Before the step that completes a packet, store into your entry: intent_next = 0 when
 * intent_counter changes, intent_counter, intent_pos, intent_next = counter + 1; after
 * the step, the counter. If you die in between, others count for you. So, before you
 * free a slot of a dead one, do the same for it (bury in example/reader.c).
 *
 * To sleep: set bit id of sleepers, look once more, sem_timedwait(bell, <= 50 ms),
 * clear the bit. To wake, after publishing: if a bit of sleepers is set and the value
 * of the semaphore is below the number of bits set, sem_post(bell).
 */
#ifndef ETHERTAP_QUEUE_H
#define ETHERTAP_QUEUE_H

#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

#define ETQ_MAGIC "EtherTAP"
#define ETQ_VERSION 1
#define ETQ_BYTE_ORDER 0x0a0b0c0du
#define ETQ_PARTICIPANTS 128 /* ids 1 to 127 */
#define ETQ_INTERFACES 64
#define ETQ_PARTICIPANTS_OFFSET 4096
#define ETQ_INTERFACES_OFFSET 69632
#define ETQ_SLOTS_OFFSET 73728
#define ETQ_SLOT_HEADER 64
#define ETQ_MIN_SLOTS 16
#define ETQ_MAX_SLOTS (1u << 22)
#define ETQ_MIN_SLOT_SIZE 128
#define ETQ_MAX_SLOT_SIZE (1u << 17)

enum { ETQ_INIT = 0, ETQ_READY = 1, ETQ_CORRUPT = 2 };           /* header.state */
enum { ETQ_MODE_OVERWRITE = 1 };                                 /* bit of header.mode */
enum { ETQ_FREE = 0, ETQ_WRITING = 1, ETQ_FULL = 2, ETQ_READING = 3, ETQ_ORPHAN = 4 };
enum { ETQ_PRODUCER = 1, ETQ_CONSUMER = 2 };                     /* bits of participant.kinds */
enum { ETQ_OTHER = 0, ETQ_ETHERTAP = 1, ETQ_COLLECT = 2, ETQ_RPCLSH = 3 }; /* participant.role */
enum { ETQ_COUNT_STORED = 1, ETQ_COUNT_OVERWRITTEN = 2, ETQ_COUNT_RETRIEVED = 3, ETQ_COUNT_DISCARDED = 4 };
enum { ETQ_RX = 1, ETQ_TX = 2 };                                 /* slot.direction */
/* bits of interface.taps: received frames, sent ones, only those of some hosts, by pqueue.* and
 * not by tap.*, that the producer has said so (without that one nothing is known), and only those
 * that a filter takes */
enum { ETQ_TAP_RX = 1, ETQ_TAP_TX = 2, ETQ_TAP_HOSTS = 4, ETQ_TAP_FURTHER = 8, ETQ_TAP_STATED = 16, ETQ_TAP_FILTER = 32,
       ETQ_TAP_STAMPED = 64 }; /* received packets have the time of the device, converted to the wall clock */

struct etq_header {
	char magic[8];                /* creator, as all of this line; never changes */
	uint32_t version;
	uint32_t byte_order;
	uint64_t file_size;
	uint32_t slots;               /* a power of two */
	uint32_t slot_size;           /* stride in bytes, a multiple of 64 */
	uint32_t slots_offset;
	uint32_t participants_offset;
	uint32_t participant_slots;
	uint32_t participant_size;
	uint32_t interfaces_offset;
	uint32_t interface_slots;
	uint32_t interface_size;
	uint32_t slot_header;
	int64_t created;              /* ns since the epoch */
	uint32_t creator;             /* pid */
	uint32_t reserved0;
	uint8_t boot_id[16];
	uint8_t reserved1[32];

	uint32_t state;               /* creator: READY; anybody: CORRUPT, for good */
	uint32_t mode;                /* anybody who is asked to */
	uint8_t reserved2[120];

	uint64_t head;                /* hint, moved on by anybody: position of the next packet written */
	uint8_t reserved3[120];
	uint64_t tail;                /* hint, moved on by anybody: position of the next packet read */
	uint8_t reserved4[120];

	sem_t bell;                   /* process-shared; a doorbell, not a count */
	uint64_t sleepers[2];         /* bit id: that participant is about to sleep */
	uint8_t reserved5[80];

	uint64_t interface_lock;      /* odd: the table of interfaces is being written */
	uint8_t reserved6[120];
	uint8_t reserved7[4096 - 768];
};

struct etq_participant {          /* written by the holder of the lock on byte id */
	uint32_t pid;                 /* 0: left in good order */
	uint32_t role;
	uint32_t kinds;
	uint32_t generation;
	int64_t joined;               /* ns since the epoch */
	char name[40];
	uint64_t base[8];             /* at joining: stored full orphaned truncated overwritten retrieved discarded offered */

	uint64_t intent_pos, intent_next, intent_counter;
	/* counters of a producer; they go on over all holders of the id */
	uint64_t offered, stored, full, orphaned, truncated, overwritten, holes, high_water;
	uint8_t reserved0[40];
	/* counters of a consumer */
	uint64_t retrieved, discarded, lost, abandoned, orphans;
	uint8_t reserved1[88];
	uint8_t reserved2[128];
};

struct etq_interface {            /* its place is the interface's index */
	uint64_t refused;             /* added to by producers */
	uint32_t used;
	uint32_t index;
	uint8_t mac[6];
	uint8_t reserved0[2];
	char name[32];
	uint32_t taps;                /* bits below: what of it goes into the queue */
	uint8_t reserved1[4];
};

struct etq_slot {                 /* the captured bytes follow */
	uint64_t word;
	uint64_t seq;                 /* of this producer, refused packets included */
	int64_t timestamp;            /* ns since the epoch */
	uint64_t packet_id;           /* the same for the RX and the TX copy of one frame */
	uint32_t length;              /* bytes that follow: clamp to slot_size - 64 */
	uint32_t orig_length;         /* bytes on the wire */
	uint16_t interface;
	uint16_t queue;
	uint16_t producer;            /* participant id */
	uint8_t direction;
	uint8_t reserved0;
	uint32_t fault;
	uint8_t reserved1[12];
};

#define ETQ_WORD(lap, state, owner) ((uint64_t)(lap) << 19 | (uint64_t)(state) << 16 | (uint64_t)(owner))
#define ETQ_LAP(w) ((uint64_t)(w) >> 19)
#define ETQ_STATE(w) ((unsigned)((w) >> 16 & 7))
#define ETQ_OWNER(w) ((unsigned)((w) & 0xffff))

#define ETQ_AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
_Static_assert(sizeof(sem_t) == 32, "sem_t of glibc on a 64-bit machine");
_Static_assert(sizeof(struct etq_header) == 4096, "header");
_Static_assert(sizeof(struct etq_participant) == 512, "participant");
_Static_assert(sizeof(struct etq_interface) == 64, "interface");
_Static_assert(sizeof(struct etq_slot) == ETQ_SLOT_HEADER, "slot");
ETQ_AT(etq_header, created, 64);
ETQ_AT(etq_header, boot_id, 80);
ETQ_AT(etq_header, state, 128);
ETQ_AT(etq_header, mode, 132);
ETQ_AT(etq_header, head, 256);
ETQ_AT(etq_header, tail, 384);
ETQ_AT(etq_header, bell, 512);
ETQ_AT(etq_header, sleepers, 544);
ETQ_AT(etq_header, interface_lock, 640);
ETQ_AT(etq_participant, name, 24);
ETQ_AT(etq_participant, base, 64);
ETQ_AT(etq_participant, intent_pos, 128);
ETQ_AT(etq_participant, offered, 152);
ETQ_AT(etq_participant, retrieved, 256);
ETQ_AT(etq_interface, name, 24);
ETQ_AT(etq_interface, taps, 56);
ETQ_AT(etq_slot, length, 32);
ETQ_AT(etq_slot, producer, 44);
ETQ_AT(etq_slot, fault, 48);

#endif
