// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drives the XDP program for the tests in this folder: one JSON object a line on stdin, one on
 * stdout for each. It knows nothing of the ABI beyond sizes: the tests pack every struct
 * themselves, so that a change of layout does not pass unnoticed.
 *
 *   {"op": "load", "cfg": HEX, "buckets": N, "remapped": N, "tunnels": N, "attach": [IFINDEX...]}
 *   {"op": "put" | "get" | "del", "map": NAME, "key": HEX, "value": HEX}
 *   {"op": "clock"}
 *   {"op": "run", "frame": HEX, "ifindex": N, "meta": BYTES IN FRONT OF THE FRAME,
 *    "linear": BYTES OF IT THAT LIE IN THE FIRST BUFFER}
 *   {"op": "time", "frame": HEX, "ifindex": N, "times": N}
 *   {"op": "live", "frame": HEX, "ifindex": N, "watch": IFINDEX}
 *   {"op": "config", "prog": ID OF A LOADED ONE}
 */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <navalis/abi.h>
#include <navalis/hg48.h>
#include "navalis.skel.h"

#define COUNTERS (NAV_NICS * NAV_COUNTERS)
#define FRAME_MAX 16384
#define BYTES_MAX sizeof(struct nav_routes) /* the longest value, and longer than any frame */
#define LOG_SIZE (1 << 20)

static struct navalis_bpf *skel;
static char verifier_log[LOG_SIZE];

static void answer(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(o);
}

static struct json_object *error(const char *what, int err)
{
	struct json_object *o = json_object_new_object();
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(err < 0 ? -err : err));
	json_object_object_add(o, "error", json_object_new_string(text));
	return o;
}

static const char *text_of(struct json_object *cmd, const char *name)
{
	const char *s = json_object_get_string(json_object_object_get(cmd, name));

	return s ? s : "";
}

static int int_of(struct json_object *cmd, const char *name)
{
	return json_object_get_int(json_object_object_get(cmd, name));
}

/* Bytes of a hexadecimal field, or -1 when it does not fit or is no such thing. */
static int bytes_of(struct json_object *cmd, const char *name, void *buf, size_t size)
{
	const char *s = text_of(cmd, name);
	size_t len = strlen(s) / 2;
	__u8 *p = buf;

	if (len > size || strlen(s) % 2)
		return -1;
	for (size_t i = 0; i < len; i++) {
		const char digits[] = { s[2 * i], s[2 * i + 1], '\0' };
		char *end;

		p[i] = (__u8)strtoul(digits, &end, 16);
		if (*end)
			return -1;
	}
	return (int)len;
}

static struct json_object *hex(const void *buf, size_t len)
{
	static char s[2 * BYTES_MAX + 1];
	const __u8 *p = buf;

	for (size_t i = 0; i < len && i < BYTES_MAX; i++)
		sprintf(s + 2 * i, "%02x", p[i]);
	return json_object_new_string_len(s, (int)(2 * len));
}

/* Two instructions. What it takes is what TEST_RUN itself takes. */
static int null_program(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static int fd;

	if (fd <= 0)
		fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "null", "GPL", insns, 2, NULL);
	return fd;
}

/* TEST_RUN takes a device only where XDP has been attached to it once. */
static int attach_once(struct json_object *devices)
{
	static bool done;
	int ifindex, err;

	if (null_program() < 0)
		return null_program();
	for (size_t i = 0; !done && i < json_object_array_length(devices); i++) {
		ifindex = json_object_get_int(json_object_array_get_idx(devices, i));
		err = bpf_xdp_attach(ifindex, null_program(), 0, NULL);
		if (err)
			return err;
	}
	done = true;
	return 0;
}

/* What the verifier says last: how much it had to look at. */
static const char *verifier_summary(void)
{
	char *p = strstr(verifier_log, "processed ");

	return p ? p : "";
}

static struct json_object *op_load(struct json_object *cmd)
{
	struct json_object *o;
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int err;

	navalis_bpf__destroy(skel);
	skel = navalis_bpf__open();
	if (!skel)
		return error("open", errno);
	if (bytes_of(cmd, "cfg", (void *)&skel->rodata->cfg, sizeof(skel->rodata->cfg)) !=
	    sizeof(skel->rodata->cfg))
		return error("size of struct nav_config", EINVAL);
	if (skel->rodata->cfg.frags)
		bpf_program__set_flags(skel->progs.navalis, BPF_F_XDP_HAS_FRAGS);
	bpf_map__set_max_entries(skel->maps.clients, (__u32)int_of(cmd, "buckets"));
	bpf_map__set_max_entries(skel->maps.remapped, (__u32)int_of(cmd, "remapped"));
	bpf_map__set_max_entries(skel->maps.sixin4, (__u32)int_of(cmd, "tunnels"));
	bpf_map__set_max_entries(skel->maps.sixin4_prefixes, (__u32)int_of(cmd, "tunnels"));
	bpf_map__set_max_entries(skel->maps.carried, CARRIER_SIXIN4 + (__u32)int_of(cmd, "tunnels"));
	bpf_map__set_max_entries(skel->maps.hg48_peers, HG48_SLOTS(skel->rodata->cfg.hg48.max_peers));
	bpf_program__set_log_buf(skel->progs.navalis, verifier_log, sizeof(verifier_log));
	bpf_program__set_log_level(skel->progs.navalis, 4); /* the summary alone */
	err = navalis_bpf__load(skel);
	if (err)
		return error(verifier_log, err);
	for (__u32 slot = 0; slot < skel->rodata->cfg.n_nics; slot++) {
		const __u32 nic = skel->rodata->cfg.nic[slot];

		if (bpf_map__update_elem(skel->maps.nics, &slot, sizeof(slot), &nic, sizeof(nic), 0))
			return error("nics", errno);
	}
	err = attach_once(json_object_object_get(cmd, "attach"));
	if (err)
		return error("attach", err);

	o = json_object_new_object();
	json_object_object_add(o, "verifier", json_object_new_string(verifier_summary()));
	json_object_object_add(o, "log", json_object_new_string(verifier_log));
	if (!bpf_obj_get_info_by_fd(bpf_program__fd(skel->progs.navalis), &info, &size)) {
		json_object_object_add(o, "insns", json_object_new_int((int)info.xlated_prog_len / 8));
		json_object_object_add(o, "jited", json_object_new_int((int)info.jited_prog_len));
	}
	return o;
}

/* Of a map per CPU the value of each, and only that of the first is put; the others are 0. */
static size_t value_size(const struct bpf_map *map)
{
	const size_t size = bpf_map__value_size(map);

	if (bpf_map__type(map) != BPF_MAP_TYPE_PERCPU_ARRAY)
		return size;
	return (size + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
}

static struct json_object *op_map(struct json_object *cmd, const char *op)
{
	static __u8 key[64], value[BYTES_MAX];
	struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, text_of(cmd, "map"));
	struct json_object *o;
	int fd, err;

	if (!map)
		return error("no such map", ENOENT);
	fd = bpf_map__fd(map);
	memset(value, 0, sizeof(value));
	if (bytes_of(cmd, "key", key, sizeof(key)) != (int)bpf_map__key_size(map))
		return error("size of the key", EINVAL);
	if (!strcmp(op, "put")) {
		if (bytes_of(cmd, "value", value, sizeof(value)) != (int)bpf_map__value_size(map))
			return error("size of the value", EINVAL);
		err = bpf_map_update_elem(fd, key, value, BPF_ANY);
	} else if (!strcmp(op, "del")) {
		err = bpf_map_delete_elem(fd, key);
	} else {
		err = bpf_map_lookup_elem(fd, key, value);
	}
	if (err)
		return error(op, err);
	o = json_object_new_object();
	json_object_object_add(o, "value", hex(value, value_size(map)));
	return o;
}

static struct json_object *op_clock(void)
{
	struct nav_clock_reading reading = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &reading, .ctx_size_in = sizeof(reading));
	struct json_object *o;
	int err;

	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts);
	if (err)
		return error("read_clock", err);
	o = json_object_new_object();
	json_object_object_add(o, "ticks", json_object_new_int64((__s64)reading.ticks));
	json_object_object_add(o, "mono_ns", json_object_new_int64((__s64)reading.mono_ns));
	return o;
}

/* Adds up what all CPUs counted. */
static int counters_read(struct nav_count sum[COUNTERS])
{
	int fd = bpf_map__fd(skel->maps.counters), cpus = libbpf_num_possible_cpus(), err = 0;
	struct nav_counts *v = calloc((size_t)cpus, sizeof(*v));

	if (!v)
		abort();
	memset(sum, 0, sizeof(*sum) * COUNTERS);
	for (__u32 nic = 0; nic < NAV_NICS && !err; nic++) {
		err = bpf_map_lookup_elem(fd, &nic, v);
		for (int c = 0; c < cpus && !err; c++)
			for (int i = 0; i < NAV_COUNTERS; i++) {
				sum[nic * NAV_COUNTERS + (__u32)i].packets += v[c].of[i].packets;
				sum[nic * NAV_COUNTERS + (__u32)i].bytes += v[c].of[i].bytes;
			}
	}
	free(v);
	return err;
}

static struct json_object *op_run(struct json_object *cmd)
{
	static __u8 in[FRAME_MAX], out[FRAME_MAX];
	static struct nav_count before[COUNTERS], after[COUNTERS];
	struct json_object *o, *list, *entry;
	int err, len = bytes_of(cmd, "frame", in, sizeof(in));
	struct xdp_md ctx = {
		.data = (__u32)int_of(cmd, "meta"),
		.data_end = int_of(cmd, "linear") ? (__u32)int_of(cmd, "linear") : (__u32)len,
		.ingress_ifindex = (__u32)int_of(cmd, "ifindex"),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = int_of(cmd, "repeat"));

	if (len < 0)
		return error("frame", EINVAL);
	if (!opts.repeat)
		opts.repeat = 1;
	err = counters_read(before);
	if (err)
		return error("counters", err);
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.navalis), &opts);
	if (err)
		return error("test run", err);
	err = counters_read(after);
	if (err)
		return error("counters", err);

	o = json_object_new_object();
	json_object_object_add(o, "verdict", json_object_new_int((int)opts.retval));
	json_object_object_add(o, "ns", json_object_new_int((int)opts.duration));
	json_object_object_add(o, "frame", hex(out, opts.data_size_out));
	list = json_object_new_array();
	for (int i = 0; i < COUNTERS; i++) {
		if (!memcmp(&before[i], &after[i], sizeof(before[i])))
			continue;
		entry = json_object_new_array();
		json_object_array_add(entry, json_object_new_int(i / NAV_COUNTERS));
		json_object_array_add(entry, json_object_new_int(i % NAV_COUNTERS));
		json_object_array_add(entry, json_object_new_int64(
			(__s64)(after[i].packets - before[i].packets)));
		json_object_array_add(entry, json_object_new_int64(
			(__s64)(after[i].bytes - before[i].bytes)));
		json_object_array_add(list, entry);
	}
	json_object_object_add(o, "counters", list);
	return o;
}

/* How long each of some runs takes, one right behind the other and each on a fresh frame. */
static struct json_object *op_time(struct json_object *cmd)
{
	static __u8 in[FRAME_MAX], out[FRAME_MAX];
	const int len = bytes_of(cmd, "frame", in, sizeof(in)), times = int_of(cmd, "times");
	const int progs[] = { bpf_program__fd(skel->progs.navalis), null_program() };
	static const char *const names[] = { "program", "null" };
	struct json_object *o = json_object_new_object(), *list;
	int err;

	for (int i = 0; i < 2; i++) {
		list = json_object_new_array();
		json_object_object_add(o, names[i], list);
		for (int n = 0; n < times; n++) {
			struct xdp_md ctx = {
				.data_end = (__u32)len,
				.ingress_ifindex = (__u32)int_of(cmd, "ifindex"),
			};
			LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in,
				    .data_size_in = (__u32)len, .data_out = out,
				    .data_size_out = sizeof(out), .ctx_in = &ctx,
				    .ctx_size_in = sizeof(ctx), .repeat = 1);

			err = bpf_prog_test_run_opts(progs[i], &opts);
			if (err)
				return error("test run", err);
			json_object_array_add(list, json_object_new_int((int)opts.duration));
		}
	}
	return o;
}

/* The configuration that navalisd has given to a program of the same build, and its size as such.
 */
static struct json_object *op_config(struct json_object *cmd)
{
	const size_t at = (size_t)((const char *)&skel->rodata->cfg - (const char *)skel->rodata);
	int prog = bpf_prog_get_fd_by_id((__u32)int_of(cmd, "prog"));
	struct json_object *o = json_object_new_object();
	__u32 maps[32], zero = 0, len;
	struct bpf_prog_info info = { .nr_map_ids = 32, .map_ids = (__u64)(unsigned long)maps };
	static __u8 value[FRAME_MAX];

	len = sizeof(info);
	if (prog < 0 || bpf_obj_get_info_by_fd(prog, &info, &len))
		return error("program", errno);
	close(prog);
	for (__u32 i = 0; i < info.nr_map_ids && i < 32; i++) {
		int map = bpf_map_get_fd_by_id(maps[i]);
		struct bpf_map_info m = {};

		len = sizeof(m);
		if (map >= 0 && !bpf_obj_get_info_by_fd(map, &m, &len) &&
		    strstr(m.name, ".rodata") && m.value_size <= sizeof(value) &&
		    !bpf_map_lookup_elem(map, &zero, value)) {
			json_object_object_add(o, "cfg",
					       hex(value + at, sizeof(skel->rodata->cfg)));
			json_object_object_add(o, "verified",
					       json_object_new_int((int)info.verified_insns));
		}
		close(map);
	}
	return o;
}

/* Lets the kernel carry out the verdict, and waits for the frame behind the device watched. */
static struct json_object *op_live(struct json_object *cmd)
{
	static __u8 in[FRAME_MAX], out[FRAME_MAX];
	int len = bytes_of(cmd, "frame", in, sizeof(in)), fd, err;
	struct xdp_md ctx = {
		.data_end = (__u32)len,
		.ingress_ifindex = (__u32)int_of(cmd, "ifindex"),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (__u32)len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1, .batch_size = 1,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = int_of(cmd, "watch"),
	};
	struct json_object *o;
	struct pollfd p;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return error("packet socket", errno);
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.navalis), &opts);
	if (err) {
		close(fd);
		return error("live frames", err);
	}
	o = json_object_new_object();
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (poll(&p, 1, 1000) == 1) {
		len = (int)recv(fd, out, sizeof(out), 0);
		if (len < ETH_HLEN)
			break;
		if (memcmp(out + ETH_ALEN, in, ETH_ALEN)) /* not sent by the device: its peer's */
			continue;
		break;
	}
	json_object_object_add(o, "frame", hex(out, len > 0 ? (size_t)len : 0));
	close(fd);
	return o;
}

static struct json_object *obey(struct json_object *cmd)
{
	const char *op = text_of(cmd, "op");

	if (!strcmp(op, "load"))
		return op_load(cmd);
	if (!skel)
		return error("nothing loaded", EINVAL);
	if (!strcmp(op, "put") || !strcmp(op, "get") || !strcmp(op, "del"))
		return op_map(cmd, op);
	if (!strcmp(op, "clock"))
		return op_clock();
	if (!strcmp(op, "run"))
		return op_run(cmd);
	if (!strcmp(op, "time"))
		return op_time(cmd);
	if (!strcmp(op, "config"))
		return op_config(cmd);
	if (!strcmp(op, "live"))
		return op_live(cmd);
	return error("unknown op", EINVAL);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

int main(void)
{
	struct json_object *cmd;
	char *line = NULL;
	size_t size = 0;

	libbpf_set_print(quiet);
	while (getline(&line, &size, stdin) > 0) {
		cmd = json_tokener_parse(line);
		answer(obey(cmd));
		json_object_put(cmd);
	}
	free(line);
	return 0;
}
