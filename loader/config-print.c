// SPDX-License-Identifier: GPL-2.0-or-later
/* The effective configuration, in the form that is read. */
#include "config-impl.h"

void config_print_key(const struct config *c, const struct config_key *k, __u32 item, FILE *out)
{
	const char *member = config_member(c, k->section, item, k->member);
	const __u32 n = k->count ? *(const __u32 *)config_member(c, k->section, item, k->count) : 1;

	fprintf(out, "%s =", k->name);
	for (__u32 i = 0; i < n; i++) {
		if (i && i % value_forms[k->type].in_line == 0)
			fprintf(out, "\n%s =", k->name);
		value_print(k, member + i * k->size, out);
	}
	fputc('\n', out);
}

__u32 config_printed_items(const struct config *c, enum config_section s)
{
	return s == CONFIG_navalis ? 1 : config_items(c, s);
}

void config_print(const struct config *c, FILE *out)
{
	char label[CONFIG_LABEL];

	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++)
		for (__u32 item = 0; item < config_printed_items(c, s); item++) {
			fprintf(out, "%s[%s]\n", s ? "\n" : "", config_label(c, s, item, label));
			for_each_config_key(k, s)
				config_print_key(c, k, item, out);
		}
}
