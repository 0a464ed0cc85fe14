// SPDX-License-Identifier: GPL-2.0-or-later
/* The order mechanisms: what is configured beside the Teredo relay, and what it has carried. */
#include "daemon-impl.h"
#include "navalis/sixto4.h"
#include "navalis/text.h"

/* The same keys in each row: what a mechanism does not have is null. */
struct rows {
	const struct daemon *d;
	struct json_object *list;
	bool xdp; /* a program runs */
};

/* Keys are constants: there are a dozen to a row, and rows by the hundred. */
static void add(struct json_object *o, const char *key, struct json_object *value)
{
	json_object_object_add_ex(o, key, value, JSON_C_OBJECT_KEY_IS_CONSTANT);
}

static void add_to(struct json_object *row, const char *key, struct json_object *value)
{
	json_object_array_add(json_object_object_get(row, key), value);
}

static struct json_object *new_row(struct rows *r, const char *kind, const char *name)
{
	static const char *const lists[] = { "local", "missing", "prefixes", "options" };
	static const char *const values[] = { "source", "remote", "mtu", "in", "out", "peers" };
	struct json_object *o = json_object_new_object();

	add(o, "kind", json_object_new_string(kind));
	add(o, "name", json_object_new_string(name));
	add(o, "tunnels", json_object_new_int(1));
	add(o, "xdp", json_object_new_boolean(r->xdp));
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		add(o, lists[i], json_object_new_array());
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		add(o, values[i], NULL);
	json_object_array_add(r->list, o);
	return o;
}

/* Where packets come to, and whether the address is on this host. */
static void add_local(const struct rows *r, struct json_object *row, struct endpoint4 at)
{
	const struct host *h = &r->d->host;

	add_to(row, "local", json_endpoint(at));
	if (!h->own_is_cut && !own_has4(&h->own, at.addr))
		add_to(row, "missing", json_endpoint((struct endpoint4){ .addr = at.addr }));
}

static void add_local4(const struct rows *r, struct json_object *row, __be32 addr)
{
	add_local(r, row, (struct endpoint4){ .addr = addr });
}

static void add_prefix(struct json_object *row, const struct prefix6 *p)
{
	add_to(row, "prefixes", json_object_new_string(text_prefix(p).s));
}

static void add_option(struct json_object *row, bool on, const char *name)
{
	if (on)
		add_to(row, "options", json_object_new_string(name));
}

static void add_count(struct json_object *row, const char *key, const struct nav_count *n)
{
	struct json_object *o = json_object_new_object();

	add(o, "packets", json_object_new_uint64(n->packets));
	add(o, "bytes", json_object_new_uint64(n->bytes));
	add(row, key, o);
}

static void add_counts(struct json_object *row, const struct sixin4_counts *n)
{
	add_count(row, "in", &n->in);
	add_count(row, "out", &n->out);
}

/* ---- each of them ------------------------------------------------------------------------------ */

static void list_server(struct rows *r, const struct teredo_server_config *server)
{
	struct json_object *row;

	if (!server->addr[0])
		return;
	row = new_row(r, "teredo-server", "");
	for (int i = 0; i < 2; i++)
		add_local4(r, row, server->addr[i]);
}

static void list_sixbed4(struct rows *r, const struct sixbed4_config *bed, const char *name)
{
	const struct prefix6 prefix = { .addr.s6_addr32 = { WIRE32(bed->prefix), WIRE32(bed->prefix >> 32) },
					.len = 64 };
	struct json_object *row;

	if (!bed->service.addr)
		return;
	row = new_row(r, "6bed4", name);
	add_local(r, row, bed->service);
	add_prefix(row, &prefix);
	add(row, "mtu", json_object_new_int(bed->mtu));
	add_option(row, bed->format == SIXBED4_W1, "2012");
}

static void list_sixto4(struct rows *r, const struct sixto4_config *to4)
{
	const struct prefix6 prefix = { .addr.s6_addr32 = { BE32(0x20020000) }, .len = 16 };
	struct json_object *row;

	if (!to4->local)
		return;
	row = new_row(r, "6to4", "");
	add_local4(r, row, to4->local);
	if (to4->anycast)
		add_local4(r, row, BE32(SIXTO4_ANYCAST));
	add_prefix(row, &prefix);
	add(row, "source", json_endpoint((struct endpoint4){ .addr = to4->source }));
	add(row, "mtu", json_object_new_int64(to4->link.mtu));
	add_option(row, to4->anycast, "anycast");
	add_option(row, to4->return_only, "return_only");
}

static void list_sixrd(struct rows *r, const struct sixrd_domain *domain, const char *name)
{
	struct json_object *row = new_row(r, "6rd", name);

	add_local4(r, row, domain->br);
	add_prefix(row, &domain->prefix);
	add(row, "mtu", json_object_new_int64(domain->link.mtu));
}

/* By both paths. */
static struct sixin4_counts carried(const struct daemon *d, __u32 id)
{
	struct sixin4_counts n;

	datapath_get_tunnel(d->datapath, id, &n);
	n.in.packets += d->made.counts[id].in.packets;
	n.in.bytes += d->made.counts[id].in.bytes;
	n.out.packets += d->made.counts[id].out.packets;
	n.out.bytes += d->made.counts[id].out.bytes;
	return n;
}

static void list_sixin4(struct rows *r, const struct sixin4_tunnel *t, const char *name)
{
	const struct sixin4_counts n = carried(r->d, t->id);
	struct json_object *row = new_row(r, "6in4", name);

	add_local4(r, row, t->local);
	add(row, "remote", json_endpoint((struct endpoint4){ .addr = t->remote }));
	for (__u32 i = 0; i < t->n_prefixes; i++)
		add_prefix(row, &t->prefix[i]);
	add(row, "mtu", json_object_new_int64(t->link.mtu));
	add_option(row, t->any_source, "any_source");
	add_counts(row, &n);
}

static void list_sixin4_as_one(struct rows *r, const struct config *c)
{
	const struct sixin4_config *in4 = &r->d->policy.sixin4;
	struct sixin4_counts sum = { 0 };
	struct json_object *row;

	if (!c->n_sixin4)
		return;
	row = new_row(r, "6in4", "");
	add(row, "tunnels", json_object_new_int64(c->n_sixin4));
	for (__u32 i = 0; i < in4->n_locals; i++)
		add_local4(r, row, in4->local[i]);
	for (__u32 i = 0; i < c->n_sixin4; i++) {
		const struct sixin4_counts n = carried(r->d, i);

		sum.in.packets += n.in.packets;
		sum.in.bytes += n.in.bytes;
		sum.out.packets += n.out.packets;
		sum.out.bytes += n.out.bytes;
	}
	add_counts(row, &sum);
}

/* Its quotas are the daemon's. */
static void list_hg48(struct rows *r, const struct hg48_config *hg, struct relay_time now)
{
	const struct prefix6 prefix = { .addr = hg->prefix, .len = 80 };
	struct json_object *row, *peers;
	__u32 confirmed, unconfirmed;

	if (!hg->service.addr)
		return;
	transit_hg48_peers(r->d->transit, now, &confirmed, &unconfirmed);
	row = new_row(r, "hg48", "");
	add(row, "xdp", json_object_new_boolean(false));
	add_local(r, row, hg->service);
	add_prefix(row, &prefix);
	add(row, "mtu", json_object_new_int64(hg->link.mtu));
	add_option(row, hg->unsolicited, "unsolicited");
	peers = json_object_new_object();
	add(peers, "confirmed", json_object_new_int64(confirmed));
	add(peers, "unconfirmed", json_object_new_int64(unconfirmed));
	add(peers, "max", json_object_new_int64(hg->max_peers));
	add(row, "peers", peers);
}

struct json_object *mechanisms_answer(struct daemon *d, struct json_object *request)
{
	const bool as_one = json_object_get_boolean(json_object_object_get(request, "as_one"));
	struct rows r = { d, json_object_new_array(), has_program(d->page) };
	struct json_object *result = json_object_new_object();
	const struct nav_config *p = &d->policy;
	const struct config *c = d->config;

	list_server(&r, &p->server);
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		list_sixbed4(&r, &p->sixbed4[i], c->sixbed4_named[i].name);
	list_sixto4(&r, &p->sixto4);
	for (__u32 i = 0; i < p->n_sixrd; i++)
		list_sixrd(&r, &p->sixrd[i], c->sixrd_named[i].name);
	if (as_one)
		list_sixin4_as_one(&r, c);
	for (__u32 i = 0; i < c->n_sixin4 && !as_one; i++)
		list_sixin4(&r, &c->sixin4[i], c->sixin4_named[i].name);
	list_hg48(&r, &p->hg48, now_of(d));
	add(result, "mechanisms", r.list);
	return control_result(result);
}
