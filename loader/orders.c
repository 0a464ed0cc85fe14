// SPDX-License-Identifier: GPL-2.0-or-later
/* What an operator orders while the daemon runs: reload, flush, and a look at who is not proven. */
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "daemon-impl.h"
#include "navalis/input.h"
#include "navalis/text.h"

#define SHOWN 10000 /* unproven clients in one answer */

#define LOGGED 4 /* names of changed keys in a line of the log */

#define STEPS 64 /* of a walk over all clients between two looks at the clock: some 50 us */

/* Exit codes of navalisctl. */
enum { FAILED = 1, USAGE = 2, NOT_FOUND = 4 };

/* Clients to forget: those that all of the filters fit. */
struct filter {
	struct net4 server, address;
	struct in6_addr client;
	bool one_client, any, all;
	bool pending; /* the one client is */
};

/* One that has to look at all clients. */
struct order {
	struct relay_walk walk;
	struct filter filter;
	struct config_changes changes;
	struct json_object *(*end)(struct daemon *d, struct order *o); /* its answer */
};

/* To be carried out beside the loop's other work; false: out of memory. */
static bool begin(struct daemon *d, const struct order *o)
{
	d->order = malloc(sizeof(*o));
	if (!d->order)
		return false;
	*d->order = *o;
	sd_event_source_set_time_relative(d->tick, 0);
	return true;
}

/* ---- reload ---------------------------------------------------------------------------------- */

/* Every line that is wrong with it goes to the log, the first of them to why. */
static int load_again(struct daemon *d, struct config **ret, char *why, size_t size)
{
	char *text = NULL, *save = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int err;

	if (!f)
		return -ENOMEM;
	err = config_load(d->from, f, ret);
	fclose(f);
	if (err) {
		snprintf(why, size, "%.*s", (int)strcspn(text, "\n"), text);
		for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			log_line(LOG_LEVEL_ERR, "reload: %s", line);
	}
	free(text);
	return err;
}

static bool same_program(const struct daemon *d, const struct config *c,
			 const struct nav_config *policy)
{
	return !memcmp(policy, &d->policy, sizeof(*policy)) && c->mode == d->config->mode &&
	       c->n_interfaces == d->config->n_interfaces &&
	       !memcmp(c->interfaces, d->config->interfaces, sizeof(c->interfaces)) &&
	       c->n_sixin4 == d->config->n_sixin4 &&
	       !memcmp(c->sixin4, d->config->sixin4, sizeof(c->sixin4));
}

static int route_tunnels(struct daemon *d, struct tunnels_made *made, struct error *e)
{
	int err;

	if (tunnels_same_routes(made, &d->made))
		return 0;
	err = tunnels_route(d, made, &d->made, e);
	return err ? err : tunroute_blackholes(d->netlink, made->route, made->n_routes, e);
}

/* made becomes what was in force before. same: XDP, too, goes on counting where it was. */
static void put_tunnels_in_force(struct daemon *d, struct tunnels_made *made, bool same)
{
	struct tunnels_made was = d->made;

	if (same) {
		was.carried = made->carried;
		made->carried = d->made.carried;
	}
	d->made = *made;
	*made = was;
	tunnels_use(d);
	if (!tunnels_same_routes(made, &d->made))
		tunroute_prune(d->netlink, d->config->tun, d->made.route, d->made.n_routes);
}

static int try_config(struct daemon *d, struct config *c, struct config_changes *changes,
		      struct error *e)
{
	struct nav_config *policy = calloc(1, sizeof(*policy));
	struct tunnels_made made = { 0 };
	struct error warning = { "" };
	bool same = false;
	int err = policy ? config_compare(d->config, c, changes) : -ENOMEM;

	if (err)
		error_set(e, err, "out of memory");
	if (!err && *changes->restart)
		err = error_set(e, -EBUSY, "%s cannot change while running: restart navalisd (proven "
				"clients are forwarded meanwhile)", changes->restart);
	if (!err) {
		err = config_policy(c, &d->meta->clock, policy);
		if (err)
			error_set(e, err, "too many refused prefixes");
	}
	if (!err)
		err = daemon_check(c, e);
	if (!err)
		err = daemon_check_tunnels(c, policy, &d->host.own, e);
	if (!err && (err = tunnels_make(c, policy, &made)))
		error_set(e, err, "out of memory");
	if (!err)
		err = route_tunnels(d, &made, e);
	if (!err)
		same = same_program(d, c, policy);
	if (!err && !same)
		err = datapath_attach(d->datapath, c, policy, &warning, e);
	daemon_log_warning(&warning);
	if (!err) {
		d->policy = *policy;
		put_tunnels_in_force(d, &made, same);
	} else if (made.route && !tunnels_same_routes(&made, &d->made)) {
		tunnels_route(d, &d->made, NULL, &(struct error){ "" });
		tunroute_prune(d->netlink, d->config->tun, d->made.route, d->made.n_routes);
	}
	tunnels_release(&made);
	free(policy);
	return err;
}

/* Who sent SIGHUP hears no more than this. */
static void log_changes(const struct config_changes *ch)
{
	char names[LOGGED * (CONFIG_LABEL + 2)] = "";
	__u32 i, n = 0;

	for (i = 0; i < ch->n && i < LOGGED; i++)
		n += (__u32)snprintf(names + n, sizeof(names) - n, "%s %s", i ? "," : ":", ch->name[i]);
	log_line(LOG_LEVEL_INFO, "reloaded: %u key%s changed%s%s", ch->n, ch->n == 1 ? "" : "s", names,
		 i < ch->n ? " …" : "");
}

static struct json_object *end_reload(struct daemon *d, struct order *o)
{
	struct json_object *result = json_object_new_object(), *list = json_object_new_array();
	char more[32];

	for (__u32 i = 0; i < o->changes.n && i < CONFIG_CHANGES; i++)
		json_object_array_add(list, json_object_new_string(o->changes.name[i]));
	if (o->changes.n > CONFIG_CHANGES) {
		snprintf(more, sizeof(more), "and %u more", o->changes.n - CONFIG_CHANGES);
		json_object_array_add(list, json_object_new_string(more));
	}
	json_object_object_add(result, "changed", list);
	json_object_object_add(result, "generation", json_object_new_int64(d->page->reloads));
	log_changes(&o->changes);
	sd_notify(0, "READY=1");
	return control_result(result);
}

static void put_in_force(struct daemon *d, struct config *c)
{
	const struct relay_settings settings = daemon_settings(c);

	free(d->config);
	d->config = c;
	log_set_level(c->log_level);
	relay_set(d->relay, &settings);
	transit_set(d->transit, c->unreachables, c->bubbles_per_client, c->advertisements);
	upkeep_look(d);
	d->page->laboratory = c->laboratory;
	d->page->cone_prefixes = c->n_cone;
	daemon_log_cone(c);
	d->page->loaded_ns = now_ns();
	d->page->refused_ns = 0;
	d->page->reloads++;
}

/* 0: it is in force, and ends with the walk that forgets whom it refuses. Or negative errno with why. */
static int reload(struct daemon *d, char *why, size_t size)
{
	struct order o = { .walk = relay_enforcement(d->relay), .end = end_reload };
	struct config *c = NULL;
	struct error e = { "" };
	int err;

	snprintf(why, size, "out of memory");
	sd_notify(0, "RELOADING=1");
	err = load_again(d, &c, why, size);
	if (!err) {
		err = try_config(d, c, &o.changes, &e);
		if (err) {
			snprintf(why, size, "%s", e.text);
			log_line(LOG_LEVEL_ERR, "reload: %s", e.text);
			free(c);
		}
	}
	if (!err) {
		put_in_force(d, c);
		if (begin(d, &o))
			return 0;
		snprintf(why, size, "out of memory: clients that are refused now were not looked for");
		err = -ENOMEM;
	} else {
		log_line(LOG_LEVEL_ERR, "reload refused: the configuration in force stays as it is");
		d->page->refused_ns = now_ns();
	}
	sd_notify(0, "READY=1");
	return err;
}

void orders_hangup(struct daemon *d)
{
	char why[1024];

	d->hangup = d->order;
	if (!d->hangup && !reload(d, why, sizeof(why)))
		control_hold(d->control);
}

static struct json_object *answer_reload(struct daemon *d)
{
	char why[1024];

	return reload(d, why, sizeof(why)) ? control_error(FAILED, why) : NULL;
}

/* ---- flush ----------------------------------------------------------------------------------- */

static bool parse_filter(struct filter *f, const char *name, const char *text)
{
	f->any = true;
	if (!strcmp(name, "server"))
		return input_net4(text, &f->server);
	if (!strcmp(name, "address"))
		return input_net4(text, &f->address);
	f->one_client = true;
	return !strcmp(name, "client") && input_client(text, &f->client);
}

static bool parse_member(struct order *o, const char *name, struct json_object *value)
{
	const enum json_type type = json_object_get_type(value);

	if (!strcmp(name, "verb"))
		return true;
	if (type == json_type_boolean && !strcmp(name, "all")) {
		o->filter.all = json_object_get_boolean(value);
		return true;
	}
	if (type == json_type_boolean && !strcmp(name, "dry_run")) {
		o->walk.dry_run = json_object_get_boolean(value);
		return true;
	}
	return type == json_type_string && parse_filter(&o->filter, name, json_object_get_string(value));
}

/* The first thing in the request that is not understood, or NULL. */
static const char *parse_flush(struct json_object *request, struct order *o)
{
	json_object_object_foreach(request, name, value)
		if (!parse_member(o, name, value))
			return name;
	return o->filter.any || o->filter.all ? NULL : "filter (there is none: say all)";
}

static bool fits(void *data, const struct in6_addr *client, struct endpoint4 at)
{
	const struct filter *f = data;

	return net4_has(&f->server, teredo_server(client)) && net4_has(&f->address, at.addr) &&
	       (!f->one_client || in6_equal(client, &f->client));
}

static bool look_for(void *data, struct peer *peer)
{
	struct filter *f = data;

	f->pending = fits(f, &peer->addr, teredo_mapped(&peer->addr));
	return !f->pending;
}

static struct json_object *end_flush(struct daemon *d, struct order *o)
{
	struct json_object *result;

	(void)d;
	if (o->filter.one_client && !o->walk.n && !o->filter.pending)
		return control_error(NOT_FOUND, "flush: there is no such client, proven or pending");
	if (!o->walk.dry_run)
		log_line(LOG_LEVEL_INFO, "flush: %u proven clients forgotten on order", o->walk.n);
	result = json_object_new_object();
	json_object_object_add(result, "flushed", json_object_new_int64(o->walk.n));
	json_object_object_add(result, "dry_run", json_object_new_boolean(o->walk.dry_run));
	return control_result(result);
}

static struct json_object *answer_flush(struct daemon *d, struct json_object *request)
{
	struct order o = { .walk.match = fits, .end = end_flush };
	const char *wrong = parse_flush(request, &o);
	char text[128];

	if (wrong) {
		snprintf(text, sizeof(text), "flush: %s is not understood", wrong);
		return control_error(USAGE, text);
	}
	if (o.filter.one_client)
		relay_each_unproven(d->relay, look_for, &o.filter);
	if (!begin(d, &o))
		return control_error(FAILED, "flush: out of memory");
	d->order->walk.data = &d->order->filter;
	return NULL;
}

/* ---- who is not proven ----------------------------------------------------------------------- */

struct listing {
	struct json_object *list;
	__u64 now_ms;
	bool truncated;
};

static bool list_peer(void *data, struct peer *peer)
{
	static const char *const states[PEER_STATE_MAX] = {
		[PEER_PROBE] = "probe", [PEER_QUIET] = "quiet", [PEER_SILENT] = "silent", [PEER_WEAK] = "weak",
	};
	struct listing *l = data;
	struct json_object *o;

	l->truncated = json_object_array_length(l->list) == SHOWN;
	if (l->truncated)
		return false;
	o = json_object_new_object();
	json_object_object_add(o, "address", json_object_new_string(text_in6(&peer->addr).s));
	json_object_object_add(o, "state", json_object_new_string(states[peer->state]));
	json_object_object_add(o, "bubbles", json_object_new_int(peer->bubbles));
	json_object_object_add(o, "for_ms", json_object_new_uint64(l->now_ms - peer->since_ms));
	json_object_object_add(o, "kept_bytes", json_object_new_int(peer->kept ? peer->kept_len : 0));
	json_object_array_add(l->list, o);
	return true;
}

static struct json_object *answer_pending(struct daemon *d)
{
	struct listing l = { json_object_new_array(), now_of(d).ms, false };
	struct json_object *result = json_object_new_object();

	relay_each_unproven(d->relay, list_peer, &l);
	json_object_object_add(result, "pending", l.list);
	json_object_object_add(result, "truncated", json_object_new_boolean(l.truncated));
	return control_result(result);
}

struct json_object *orders_answer(void *daemon, struct json_object *request)
{
	const char *verb = json_object_get_string(json_object_object_get(request, "verb"));

	if (verb && !strcmp(verb, "reload"))
		return answer_reload(daemon);
	if (verb && !strcmp(verb, "flush"))
		return answer_flush(daemon, request);
	if (verb && !strcmp(verb, "pending"))
		return answer_pending(daemon);
	if (verb && !strcmp(verb, "explain"))
		return explain_answer(daemon, request);
	if (verb && !strcmp(verb, "mechanisms"))
		return mechanisms_answer(daemon, request);
	return control_error(USAGE, "verbs are reload, flush, pending, explain and mechanisms");
}

bool orders_next(struct daemon *d)
{
	struct order *o = d->order;
	struct json_object *answer;

	if (!o || relay_walk(d->relay, &o->walk, STEPS))
		return o;
	answer = o->end(d, o);
	orders_free(d);
	control_give(d->control, answer);
	if (d->hangup)
		orders_hangup(d);
	return d->order;
}

void orders_free(struct daemon *d)
{
	free(d->order);
	d->order = NULL;
}
