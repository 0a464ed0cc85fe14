// SPDX-License-Identifier: GPL-2.0-or-later
/* The floor: on two NICs a program that sends each frame on by the other.  floor IFINDEX IFINDEX */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "load.h"
#include "tests/bench/load.skel.h"

int main(int argc, char **argv)
{
	struct load_bpf *skel = argc == 3 ? load_bpf__open() : NULL;
	int a, b;

	if (!skel)
		return 2;
	a = atoi(argv[1]);
	b = atoi(argv[2]);
	skel->rodata->floor_out4 = (unsigned int)a;
	skel->rodata->floor_out6 = (unsigned int)b;
	if (load_bpf__load(skel) || !bpf_program__attach_xdp(skel->progs.floor4, a) ||
	    !bpf_program__attach_xdp(skel->progs.floor6, b)) {
		perror("floor");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
