/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration and the maps. abi.h says who writes which; the loader sizes and pins them.
 */
#ifndef NAVALIS_BPF_MAPS_H
#define NAVALIS_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <navalis/abi.h>

/*
 * Frozen before the verifier sees it: what is switched off is dead code to it, and is not in the
 * program that runs. A reload is a new program.
 */
const volatile struct nav_config cfg = {};

#define MAP(name, kind, flags, entries, key_type, value_type)                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_##kind);                                                 \
		__uint(map_flags, flags);                                                          \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/* Pinned. The sizes of clients, identities and remapped are the loader's. */
MAP(meta, ARRAY, 0, 1, __u32, struct nav_meta);
MAP(clients, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct bucket);
MAP(identities, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct client);
MAP(remapped, HASH, BPF_F_NO_PREALLOC, 1, struct in6_addr, struct remapped);
MAP(cookies, ARRAY, 0, 1, __u32, struct cookie_keys);
MAP(own, ARRAY, 0, 1, __u32, struct nav_own);
MAP(ports, ARRAY, 0, NAV_NICS, __u32, struct nav_port);
MAP(vlans, HASH, BPF_F_NO_PREALLOC, NAV_VLANS, struct nav_tags, struct nav_port);
MAP(tagged, HASH, BPF_F_NO_PREALLOC, NAV_VLANS, __u32, struct nav_tags);
MAP(routes, ARRAY, BPF_F_MMAPABLE, REGION_FAMILIES, __u32, struct nav_routes);
MAP(nics, DEVMAP, 0, NAV_NICS, __u32, __u32);
MAP(counters, PERCPU_ARRAY, 0, NAV_NICS, __u32, struct nav_counts);
MAP(daemon, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct nav_daemon);

/* The value of an array of one. The verifier wants to see the test for NULL; it never happens. */
#define THE_ONLY(map)                                                                              \
	({                                                                                         \
		__u32 first_ = 0;                                                                  \
		bpf_map_lookup_elem(&(map), &first_);                                              \
	})

/* One load that the compiler neither repeats nor moves: for words that others write meanwhile. */
#define READ_ONCE(x) (*(volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#endif
