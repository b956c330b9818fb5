// SPDX-License-Identifier: BSD-3-Clause

/* watch: a thread that spins on a core and does nothing but look at the clock. What
 * takes the core away from it (the timer's tick, the hypervisor, others) is seen as a
 * gap between two looks; a frame that came within it would have waited for its end. So
 * no thread of a user on that core can be faster than what this prints: the median, the
 * 99th and the 99.9th percentile of that wait, in microseconds, for frames that come at
 * even intervals.
 *
 *   watch cpu milliseconds
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GAPS (1 << 20)

static double gaps[GAPS]; /* microseconds, longer than LOOK */
static int n;

#define LOOK 1.0 /* longer than a look at the clock takes */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* quantile is the wait that a share of all frames stays below. */
static double quantile(double share, double total)
{
	double low = 0, high = total;

	for (int i = 0; i < 60; i++) {
		double wait = (low + high) / 2, above = 0;

		for (int j = 0; j < n; j++)
			if (gaps[j] > wait)
				above += gaps[j] - wait;
		if (above > (1 - share) * total)
			low = wait;
		else
			high = wait;
	}
	return high;
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	double start, last, t, total;

	if (argc != 3) {
		fprintf(stderr, "usage: watch cpu milliseconds\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[1]), &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("watch: pin");
		return 1;
	}
	total = atof(argv[2]) * 1e3;
	for (start = last = now(); (t = now()) - start < total; last = t)
		if (t - last > LOOK && n < GAPS)
			gaps[n++] = t - last;
	printf("%.3f %.3f %.3f\n", quantile(0.5, total), quantile(0.99, total), quantile(0.999, total));
	return 0;
}
