// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entry points. One program serves every NIC, be it the IPv4 side, the IPv6 side or both.
 */
#include "decap.h"
#include "encap.h"
#include "ethernet.h"
#include "finish.h"
#include "parse.h"
#include "tunnels.h"

static __always_inline enum reason judge(struct frame *f)
{
	struct cur c = frame_cursor(f);
	enum reason r;
	__be16 proto;

	if (!frame_readable(f))
		return R_NOT_LINEAR;
	if (!parse_ethernet(&c, f, &proto))
		return R_NOT_OURS;
	switch (proto) {
	case BE16(ETH_P_IP):
		r = decap(f, c);
		return r == R_NOT_OURS ? tunnels(f, tunnels_from_ip4) : r;
	case BE16(ETH_P_IPV6):
		r = encap(f, c);
		return r == R_NOT_OURS ? tunnels(f, tunnels_from_ip6) : r;
	default:
		return R_NOT_OURS;
	}
}

SEC("xdp") int navalis(struct xdp_md *ctx)
{
	struct frame f;

	if (!frame_begin(&f, ctx))
		return XDP_PASS;
	count(&f, NAV_RX);
	return finish(&f, judge(&f));
}

/* Run by the daemon, which cannot read jiffies, to learn how the two clocks hang together. */
SEC("syscall") int read_clock(struct nav_clock_reading *r)
{
	r->ticks = bpf_jiffies64();
	r->mono_ns = bpf_ktime_get_ns();
	return 0;
}

char _license[] SEC("license") = "GPL";
