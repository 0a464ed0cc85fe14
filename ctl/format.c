// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of addresses, times, rates and reasons. */
#include <arpa/inet.h>

#include "ctl.h"

const struct reason_info reason_info[R_MAX] = {
#define R(name, action, meter, section, text) { #name, #action, section, text, ACTION_##action },
#include "navalis/reasons.def"
#undef R
};

const char *reason_document(const char *section)
{
	return *section >= '1' && *section <= '9' && section[1] == '.' ? "RFC 4380 " : "";
}

const char *mode_name(__u32 mode)
{
	static const char *const names[] = { "off", "native", "generic", "auto" };

	return mode < 4 ? names[mode] : "?";
}

struct text text_age(__u64 ms)
{
	unsigned long long s = ms / 1000;
	struct text t;

	if (s < 60)
		snprintf(t.s, sizeof(t.s), "%llu.%llus", s, ms / 100 % 10ULL);
	else if (s < 3600)
		snprintf(t.s, sizeof(t.s), "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(t.s, sizeof(t.s), "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(t.s, sizeof(t.s), "%llud%02lluh", s / 86400, s / 3600 % 24);
	return t;
}

struct text text_rate(double r)
{
	struct text t;

	if (r < 1000)
		snprintf(t.s, sizeof(t.s), "%.0f", r);
	else if (r < 1e6)
		snprintf(t.s, sizeof(t.s), "%.1fk", r / 1e3);
	else
		snprintf(t.s, sizeof(t.s), "%.2fM", r / 1e6);
	return t;
}
