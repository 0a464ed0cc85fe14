/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrived: the frame, and the IPv4 and UDP headers. Nothing here writes to the packet.
 */
#ifndef NAVALIS_BPF_PARSE_H
#define NAVALIS_BPF_PARSE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <navalis/csum.h>
#include <navalis/cursor.h>
#include "maps.h"

struct frame {
	struct xdp_md *ctx;
	struct nav_counts *counts; /* of its NIC on this CPU */
	__u64 len;   /* as it arrived; 64 bits, or the verifier refuses to spill the difference */
	__u64 units; /* coarse time */
	__u32 now;   /* the same as a stamp */
	__u32 slot;  /* of the NIC it came from */
	__u32 l2;    /* length of its Ethernet header with all tags */
	__u32 in;    /* ifindex it came in by: the NIC, or a VLAN interface above it */
	__u32 out;   /* slot of the NIC to send it from, when the verdict is to forward; BACK: as XDP_TX does */
};

#define BACK NAV_NICS

/* As far as headers are looked at: two tags, IPv4, UDP, IPv6, and what says of what type it goes on. */
#define HEADERS 102

static __always_inline struct cur frame_cursor(const struct frame *f)
{
	return (struct cur){ (void *)(long)f->ctx->data, (void *)(long)f->ctx->data_end };
}

/* Per CPU, so that a plain addition does. */
static __always_inline void count(const struct frame *f, __u32 counter)
{
	struct nav_count *c;

	barrier_var(counter); /* the compiler knows its bounds from tables, and would keep them from the verifier */
	if (counter >= NAV_COUNTERS)
		return;
	c = &f->counts->of[counter];
	c->packets++;
	c->bytes += f->len;
}

/* False when the NIC is none of ours: somebody else's frame, not even counted. */
static __always_inline bool frame_begin(struct frame *f, struct xdp_md *ctx)
{
	const __u32 nic = ctx->ingress_ifindex;
	__u32 slot;

	for (slot = 0; slot < NAV_NICS && slot < cfg.n_nics; slot++)
		if (cfg.nic[slot] == nic)
			break;
	if (slot >= NAV_NICS || slot >= cfg.n_nics)
		return false;

	f->counts = bpf_map_lookup_elem(&counters, &slot);
	if (!f->counts) /* for the verifier */
		return false;
	f->ctx = ctx;
	f->slot = slot;
	f->len = cfg.frags ? bpf_xdp_get_buff_len(ctx) : (__u64)(ctx->data_end - ctx->data);
	/* a load, where bpf_ktime_get_ns() is a call of 24 ns */
	f->units = bpf_jiffies64() >> cfg.clock_shift;
	f->now = stamp_of(f->units);
	return true;
}

/* Are all headers where they can be read? A driver may split a frame where it likes. */
static __always_inline bool frame_readable(const struct frame *f)
{
	const __u64 linear = (__u64)(f->ctx->data_end - f->ctx->data);

	return !cfg.frags || linear >= HEADERS || linear == f->len;
}

/* Takes n bytes that are going to be written. */
static __always_inline void *cur_make(struct cur *c, __u32 n)
{
	return (void *)cur_take(c, n);
}

/* Cuts off what follows the first len bytes: Ethernet padding, and trailers behind the datagram. */
static __always_inline bool frame_trim(const struct frame *f, __u32 len)
{
	return f->len <= len || !bpf_xdp_adjust_tail(f->ctx, (int)(len - (__u32)f->len));
}

/* A UDP/IPv4 datagram to the service endpoint. */
struct datagram {
	struct endpoint4 src;
	__u32 payload_len; /* as UDP says, and IPv4 and the frame agree */
	__u8 tos;
};

#define IP4_LEN sizeof(struct iphdr)
#define UDP_LEN sizeof(struct udphdr)

/* A header to one of our addresses. present: bytes from it to the end of the frame. */
static __always_inline enum reason parse_ip4(const struct iphdr *ip, __u64 present)
{
	__u32 len;

	if (ip->frag_off & BE16(0x3fff)) /* more to come, or not the first; DF is no matter */
		return R_IP4_FRAGMENT;
	if (ip->ihl != 5)
		return R_IP4_OPTIONS;
	if (csum_fold(csum_ip4(ip)) != 0xffff)
		return R_IP4_CHECKSUM;
	len = HOST16(ip->tot_len);
	return len < IP4_LEN || len > present ? R_IP4_LENGTH : R_NONE;
}

/* present: bytes from c to the end of the frame. Leaves c at the UDP payload. */
static __always_inline enum reason parse_datagram(struct cur *c, __u64 present, struct datagram *d)
{
	const struct iphdr *ip = cur_take(c, sizeof(*ip));
	const struct udphdr *udp;
	__u32 ip_len, udp_len;
	enum reason r;

	if (!ip || ip->version != 4 || ip->protocol != IPPROTO_UDP ||
	    ip->daddr != cfg.service.addr)
		return R_NOT_OURS;
	r = parse_ip4(ip, present);
	if (r != R_NONE)
		return r;
	ip_len = HOST16(ip->tot_len);
	udp = ip_len < IP4_LEN + UDP_LEN ? NULL : cur_take(c, sizeof(*udp));
	if (!udp)
		return R_UDP_LENGTH;
	if (udp->dest != cfg.service.port)
		return R_NOT_OURS;
	udp_len = HOST16(udp->len);
	if (udp_len < UDP_LEN || udp_len > ip_len - IP4_LEN)
		return R_UDP_LENGTH;

	d->src = (struct endpoint4){ .addr = ip->saddr, .port = udp->source };
	d->payload_len = udp_len - UDP_LEN;
	d->tos = ip->tos;
	return R_NONE;
}

#endif
