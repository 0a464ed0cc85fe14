# SPDX-License-Identifier: GPL-2.0-or-later
# One Makefile, built out of tree: make B=build-asan CFLAGS='-g -fsanitize=address' is another build.

B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON  := /usr/bin/python3
SHELL   := /bin/bash
V       ?= 0

ifeq ($(V),0)
Q   := @
say  = @printf '  %-6s %s\n' $(1) $@
endif

ROOT     := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
LIBXDP   := $(shell pkg-config --modversion libxdp 2>/dev/null)
CPPFLAGS += -DLIBXDP_VERSION='"$(LIBXDP)"' -Iinclude -I$(B) -I$(B)/bpf -Iloader -D_GNU_SOURCE -DNAVALIS_VERSION='"$(VERSION)"' -MMD -MP
ALL_C     = $(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS)
BPF_C     = $(CLANG) --target=bpf -mcpu=v3 -std=gnu11 -O2 -g -Wall -Wextra -Werror \
	    -Iinclude -I/usr/include/$(shell $(CC) -print-multiarch) -MMD -MP

DAEMON_LIBS := -lxdp -lbpf -lmnl -linih -ljson-c -lcap-ng -luring -lsystemd
CTL_LIBS    := -lxdp -lbpf -ljson-c -lmnl

MAN     := $(patsubst %.in,$(B)/%,$(wildcard loader/man/*.in ctl/man/*.in))
UNITS   := $(B)/loader/systemd/navalisd.service $(B)/loader/systemd/navalisd@.service
TEXTS   := $(MAN) $(UNITS) $(B)/ctl/completion/navalisctl $(B)/navalis.conf.sample

CORE   := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard loader/core/*.c)))
DAEMON := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard loader/*.c loader/io/*.c))) $(CORE)
CTL    := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard ctl/*.c)) loader/io/dispatcher.c loader/log.c)
TESTS  := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/*.c tests/bpf/*.c tests/netns/*.c) $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))))

.PHONY: all programs texts tests load-tests check lint check-unit check-bpf check-netns check-ctl bench demo setup setup-build instructions \
	install uninstall clean always
.DELETE_ON_ERROR:
.SECONDARY:

all: programs texts
programs: $(B)/navalisd $(B)/navalisctl
texts: $(TEXTS)
tests: $(TESTS) load-tests
# what scripts/pktgen/load takes to a generator box
load-tests: $(B)/scripts/pktgen/load.bpf.o

# make demo and make check are all that a bare machine needs: they install, build and run.
setup:
	$(Q)scripts/setup
setup-build:
	$(Q)scripts/setup build

check: setup
	$(Q)$(MAKE) --no-print-directory all tests lint
	$(Q)B=$(B) $(PYTHON) -m pytest tests
check-unit check-bpf check-netns check-ctl: check-%: all tests
	$(Q)B=$(B) $(PYTHON) -m pytest tests/$*

lint: programs
	$(Q)scripts/lint $(filter-out -MMD -MP,$(CPPFLAGS))

# Stores what each path of the program takes, for the test that compares: together with the code that changes it.
instructions: all tests
	$(Q)B=$(B) $(PYTHON) tests/vm/instructions.py --write

# some minutes; nothing else should run meanwhile
bench: setup
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)B=$(B) $(PYTHON) tests/bench/bench --out $(B)/bench

demo: setup
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)B=$(B) scripts/demo

$(B)/%.bpf.o: %.bpf.c
	$(call say,BPF)
	@mkdir -p $(@D)
	$(Q)$(BPF_C) -c $< -o $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

$(B)/%.o: %.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(ALL_C) -c $< -o $@

# whoever includes the skeleton needs it before its dependencies are known
$(B)/loader/io/datapath.o $(B)/loader/io/attach.o $(B)/tests/bpf/runner.o $(B)/tests/bpf/stress.o: | $(B)/bpf/navalis.skel.h

$(B)/navalisd: $(DAEMON)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(DAEMON_LIBS)

$(B)/navalisctl: $(CTL)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(CTL_LIBS)

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(CORE) $(B)/loader/log.o
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lcmocka -lsodium

$(B)/tests/unit/test_config: LDFLAGS += -linih
$(B)/tests/unit/test_config: $(patsubst %.c,$(B)/%.o,$(wildcard loader/config*.c))

$(B)/tests/bpf/%: $(B)/tests/bpf/%.o $(CORE)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lbpf -ljson-c

$(B)/tests/bench/load.o $(B)/tests/bench/floor.o: | $(B)/tests/bench/load.skel.h
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(CORE)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lbpf -ljson-c

$(B)/tests/netns/%: $(B)/tests/netns/%.o
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS)

# ---- texts that are made from the lists of the programs

$(MAN) $(B)/ctl/completion/navalisctl: $(B)/%: %.in scripts/generate loader/config.def ctl/verbs.def include/navalis/reasons.def
	$(call say,TEXT)
	@mkdir -p $(@D)
	$(Q)scripts/generate fill $< > $@

$(B)/navalis.conf.sample: scripts/generate loader/config.def
	$(call say,TEXT)
	$(Q)scripts/generate sample > $@

# one unit, for the instance navalis and for named ones; made again for another PREFIX
$(B)/prefix: always
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
$(B)/loader/systemd/navalisd.service: INSTANCE := navalis
$(B)/loader/systemd/navalisd@.service: INSTANCE := %i
$(UNITS): loader/systemd/navalisd.service.in Makefile $(B)/prefix
	$(call say,TEXT)
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@INSTANCE@|$(INSTANCE)|g' $< > $@

# ---- installing: what the list says, and /etc/navalis/navalis.conf where there is none yet

INSTALLED = sbin/navalisd:0755:$(B)/navalisd bin/navalisctl:0755:$(B)/navalisctl \
	share/man/man8/navalisd.8:0644:$(B)/loader/man/navalisd.8 \
	share/man/man5/navalis.conf.5:0644:$(B)/loader/man/navalis.conf.5 \
	share/man/man8/navalisctl.8:0644:$(B)/ctl/man/navalisctl.8 \
	share/man/man7/navalis-speed.7:0644:$(B)/loader/man/navalis-speed.7 \
	share/bash-completion/completions/navalisctl:0644:$(B)/ctl/completion/navalisctl \
	share/doc/navalis/navalis.conf.sample:0644:$(B)/navalis.conf.sample \
	share/doc/navalis/README.md:0644:README.md \
	lib/systemd/system/navalisd.service:0644:$(B)/loader/systemd/navalisd.service \
	lib/systemd/system/navalisd@.service:0644:$(B)/loader/systemd/navalisd@.service \
	lib/sysusers.d/navalis.conf:0644:loader/systemd/sysusers.conf

install: all
	$(Q)for f in $(INSTALLED); do \
		IFS=: read -r to mode from <<< "$$f" && install -D -m $$mode "$$from" "$(DESTDIR)$(PREFIX)/$$to" || exit 1; \
	done
	$(Q)test -e "$(DESTDIR)/etc/navalis/navalis.conf" || \
		install -D -m 0644 $(B)/navalis.conf.sample "$(DESTDIR)/etc/navalis/navalis.conf"

# On this machine itself every instance is detached first; a running one is not taken away from under. Then
# no unit starts with the machine any more: disabling fails where systemd does not know them, who then has no links.
uninstall: $(B)/navalisctl $(B)/navalis.conf.sample
	$(Q)test -n "$(DESTDIR)" || scripts/detach-all $(B)/navalisctl
	$(Q)test -n "$(DESTDIR)" || ! command -v systemctl > /dev/null || \
		systemctl -q disable navalisd.service navalisd@.service 2> /dev/null || true
	$(Q)for f in $(INSTALLED); do rm -f "$(DESTDIR)$(PREFIX)/$${f%%:*}" || exit 1; done
	$(Q)test -n "$(DESTDIR)" || ! test -d /run/systemd/system || systemctl daemon-reload
	$(Q)test -n "$(DESTDIR)" || rmdir /run/navalis 2> /dev/null || true
	$(Q)rmdir "$(DESTDIR)$(PREFIX)/share/doc/navalis" 2>/dev/null || true
	$(Q)if cmp -s $(B)/navalis.conf.sample "$(DESTDIR)/etc/navalis/navalis.conf"; then \
		rm -f "$(DESTDIR)/etc/navalis/navalis.conf" || exit 1; \
	elif test -e "$(DESTDIR)/etc/navalis/navalis.conf"; then \
		echo "kept: $(DESTDIR)/etc/navalis/navalis.conf, which is yours"; \
	fi
	$(Q)rmdir "$(DESTDIR)/etc/navalis" 2>/dev/null || true

clean:
	$(Q)rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
