// SPDX-License-Identifier: BSD-3-Clause

/* bridge: two interfaces joined by AF_XDP, as one would write it in C on libxdp:
 * one UMEM for both, a frame is moved by its address, batches of BATCH, a thread
 * for each queue, which spins. It counts nothing and decides nothing. It is what
 * EtherTAP's bridge is measured against.
 *
 *   bridge if0 if1 cpu[,cpu...]     one thread for each cpu named
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_xdp.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

#ifndef BATCH
#define BATCH 256
#endif
#define RING 2048
#define CHUNK 2048
#define CHUNKS (2 * 3 * RING)
#define QUEUES 8

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

struct port {
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons done, rx;
	struct xsk_socket *socket;
	unsigned waiting; /* in the TX ring, or sent and not completed */
};

struct thread {
	pthread_t id;
	int queue, cpu;
	struct port port[2];
	struct xsk_umem *umem;
	__u64 free[CHUNKS]; /* a stack */
	unsigned nfree;
};

static volatile sig_atomic_t stop;

static void end(int sig) { (void)sig; stop = 1; }

static void die(const char *what, int err)
{
	fprintf(stderr, "bridge: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static void refill(struct thread *t, struct port *p)
{
	__u32 at, room = xsk_prod_nb_free(&p->fill, RING);

	if (room > t->nfree)
		room = t->nfree;
	room = xsk_ring_prod__reserve(&p->fill, room, &at);
	for (__u32 i = 0; i < room; i++)
		*xsk_ring_prod__fill_addr(&p->fill, at + i) = t->free[--t->nfree];
	if (room)
		xsk_ring_prod__submit(&p->fill, room);
	if (xsk_ring_prod__needs_wakeup(&p->fill))
		recvfrom(xsk_socket__fd(p->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void complete(struct thread *t, struct port *p)
{
	__u32 at, n = xsk_ring_cons__peek(&p->done, RING, &at);

	for (__u32 i = 0; i < n; i++)
		t->free[t->nfree++] = *xsk_ring_cons__comp_addr(&p->done, at + i) & ~(__u64)(CHUNK - 1);
	if (n)
		xsk_ring_cons__release(&p->done, n);
	p->waiting -= n;
}

static void kick(struct port *p)
{
	if (p->waiting && xsk_ring_prod__needs_wakeup(&p->tx))
		sendto(xsk_socket__fd(p->socket), NULL, 0, MSG_DONTWAIT, NULL, 0);
}

static void forward(struct thread *t, struct port *in, struct port *out)
{
	__u32 from, to, n = xsk_ring_cons__peek(&in->rx, BATCH, &from);

	if (!n)
		return;
	while (xsk_ring_prod__reserve(&out->tx, n, &to) != n) {
		kick(out);
		complete(t, out);
	}
	for (__u32 i = 0; i < n; i++)
		*xsk_ring_prod__tx_desc(&out->tx, to + i) = *xsk_ring_cons__rx_desc(&in->rx, from + i);
	xsk_ring_prod__submit(&out->tx, n);
	xsk_ring_cons__release(&in->rx, n);
	out->waiting += n;
}

static void *run(void *arg)
{
	struct thread *t = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	while (!stop) {
		forward(t, &t->port[0], &t->port[1]);
		forward(t, &t->port[1], &t->port[0]);
		for (int i = 0; i < 2; i++) {
			kick(&t->port[i]);
			complete(t, &t->port[i]);
			refill(t, &t->port[i]);
		}
	}
	return NULL;
}

static void open_thread(struct thread *t, char **names)
{
	struct xsk_umem_config umem = { .fill_size = RING, .comp_size = RING, .frame_size = CHUNK };
	struct xsk_socket_config config = {
		.rx_size = RING, .tx_size = RING, .bind_flags = XDP_USE_NEED_WAKEUP,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
	};
	int budget = BATCH, buffer = 16 << 20, err;
	void *memory = mmap(NULL, (size_t)CHUNKS * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap", errno);
	for (unsigned i = 0; i < CHUNKS; i++)
		t->free[t->nfree++] = (__u64)i * CHUNK;
	if ((err = xsk_umem__create(&t->umem, memory, (size_t)CHUNKS * CHUNK, &t->port[0].fill, &t->port[0].done, &umem)))
		die("umem", err);
	for (int i = 0; i < 2; i++) {
		struct port *p = &t->port[i];

		if ((err = xsk_socket__create_shared(&p->socket, names[i], t->queue, t->umem, &p->rx, &p->tx, &p->fill, &p->done, &config)))
			die(names[i], err);
		setsockopt(xsk_socket__fd(p->socket), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
		setsockopt(xsk_socket__fd(p->socket), SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
		refill(t, p);
	}
}

/* attach redirects each queue of an interface to the socket of its thread. The
 * link goes with the process. */
static void attach(const char *name, struct thread *threads, int n, int port)
{
	int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", 4, 4, QUEUES, NULL);
	struct bpf_insn program[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 16 }, /* rx_queue_index */
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd, err;

	if (map < 0)
		die("xskmap", map);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "peer", "GPL", program, sizeof(program) / sizeof(*program), NULL);
	if (fd < 0)
		die("program", fd);
	for (int i = 0; i < n; i++)
		if ((err = xsk_socket__update_xskmap(threads[i].port[port].socket, map)))
			die("register", err);
	if ((err = bpf_link_create(fd, if_nametoindex(name), BPF_XDP, NULL)) < 0)
		die(name, err);
}

int main(int argc, char **argv)
{
	static struct thread threads[QUEUES];
	int n = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: bridge if0 if1 cpu[,cpu...]\n");
		return 2;
	}
	for (char *cpu = strtok(argv[3], ","); cpu && n < QUEUES; cpu = strtok(NULL, ","), n++) {
		threads[n].queue = n;
		threads[n].cpu = atoi(cpu);
		open_thread(&threads[n], argv + 1);
	}
	signal(SIGINT, end);
	signal(SIGTERM, end);
	attach(argv[1], threads, n, 0);
	attach(argv[2], threads, n, 1);
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i].id, NULL, run, &threads[i]))
			die("thread", EAGAIN);
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	return 0;
}
