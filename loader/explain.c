// SPDX-License-Identifier: GPL-2.0-or-later
/* The order explain: gathers what is known of an address for core/explain.c, and makes JSON of it. */
#include <arpa/inet.h>

#include "core/explain.h"
#include "daemon-impl.h"
#include "navalis/text.h"

enum { FAILED = 1, USAGE = 2 };

static const struct {
	const char *name, *section, *meaning;
	enum reason_action action;
} reasons[R_MAX] = {
#define R(name, action, meter, section, text) { #name, section, text, ACTION_##action },
#include "navalis/reasons.def"
#undef R
};

static const char *const verdicts[] = {
	[ACTION_FORWARD] = "forward",
	[ACTION_PASS] = "pass",
	[ACTION_DROP] = "drop",
	[ACTION_NOTE] = "note",
};

/* ---- what is known of a Teredo client -------------------------------------------------------- */

struct search {
	const struct in6_addr *addr;
	struct explain_client *ret;
	__u64 now_ms;
};

static bool look_at(void *data, struct peer *peer)
{
	struct search *s = data;

	if (!in6_equal(&peer->addr, s->addr))
		return true;
	s->ret->state = peer->state;
	s->ret->bubbles = peer->bubbles;
	s->ret->kept = peer->kept;
	s->ret->since_ms = s->now_ms - peer->since_ms;
	return false;
}

static struct explain_client client_of(struct daemon *d, const struct in6_addr *a,
				       struct relay_time now)
{
	struct client *entry = table_find(&d->table, teredo_id(a), teredo_server(a));
	struct remap_ops map = datapath_remap(d->datapath);
	struct explain_client c = { .at = teredo_mapped(a) };
	struct search s = { a, &c, now.ms };
	const struct proof *proof;
	struct remapped m;
	bool young = false;

	if (entry) {
		proof = table_proof(&d->table, entry);
		c.known = c.has_proof = true;
		c.stamp = entry->stamp;
		c.proof_ms = (__u64)(__u16)(proof_time(now.ms) - proof->given) * PROOF_MS;
		young = stamp_young(c.stamp, stamp_of(now.units), d->policy.life);
	}
	if (!young && map.find(map.data, a, &m)) {
		c.known = c.remapped = true;
		c.has_proof = false;
		c.stamp = m.stamp;
		c.at = m.endpoint;
	}
	if (!c.known)
		relay_each_unproven(d->relay, look_at, &s);
	return c;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static struct json_object *text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *json_line(const struct explain_line *l)
{
	static const char *const about[] = {
		[EXPLAIN_ADDRESS] = "address",
		[EXPLAIN_TO] = "to",
		[EXPLAIN_FROM] = "from",
	};
	const bool verdict = l->reason < R_MAX;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "about", json_object_new_string(about[l->about]));
	json_object_object_add(o, "verdict",
			       text_or_null(verdict ? verdicts[reasons[l->reason].action] : NULL));
	json_object_object_add(o, "reason", text_or_null(verdict ? reasons[l->reason].name : NULL));
	json_object_object_add(o, "section",
			       text_or_null(verdict ? reasons[l->reason].section : NULL));
	json_object_object_add(o, "meaning",
			       text_or_null(verdict ? reasons[l->reason].meaning : NULL));
	json_object_object_add(o, "text", json_object_new_string(l->text));
	return o;
}

struct json_object *json_endpoint(struct endpoint4 at)
{
	if (!at.addr)
		return NULL;
	return json_object_new_string(at.port ? text_endpoint(at).s : text_in4(at.addr).s);
}

static struct json_object *json_explained(const char *address, const struct explained *e)
{
	struct json_object *o = json_object_new_object(), *lines = json_object_new_array();

	json_object_object_add(o, "address", json_object_new_string(address));
	json_object_object_add(o, "mechanism", json_object_new_string(e->mechanism));
	json_object_object_add(o, "endpoint", json_endpoint(e->at));
	json_object_object_add(o, "peer", text_or_null(e->has_peer ? text_in6(&e->peer).s : NULL));
	for (__u32 i = 0; i < e->n; i++)
		json_object_array_add(lines, json_line(&e->line[i]));
	json_object_object_add(o, "lines", lines);
	return o;
}

struct json_object *explain_answer(struct daemon *d, struct json_object *request)
{
	struct json_object *member = json_object_object_get(request, "address");
	const char *text =
		json_object_is_type(member, json_type_string) ? json_object_get_string(member) : "";
	const struct relay_time now = now_of(d);
	struct explain_world w = {
		.cfg = &d->policy,
		.host = &d->host,
		.cone = { d->config->cone, d->config->n_cone },
		.clock = &d->meta->clock,
		.now = now.units,
		.in4 = d->made.in4,
		.xdp = has_program(d->page),
	};
	struct json_object *answer;
	struct explained *e;
	struct in6_addr a;
	const bool is6 = inet_pton(AF_INET6, text, &a) == 1;

	if (!is6 && inet_pton(AF_INET, text, &a) != 1)
		return control_error(USAGE,
				     "explain: address is neither an IPv6 nor an IPv4 address");
	e = malloc(sizeof(*e));
	if (!e)
		return control_error(FAILED, "explain: out of memory");
	if (is6 && teredo_is(&a))
		w.client = client_of(d, &a, now);
	if (is6)
		explain_address6(&w, &a, e);
	else
		explain_address4(&w, a.s6_addr32[0], e);
	answer = control_result(json_explained(text, e));
	free(e);
	return answer;
}
