# SPDX-License-Identifier: GPL-2.0-or-later
# One Makefile, built out of tree: make B=build-asan CFLAGS='-g -fsanitize=address' is another build.

B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON  := /usr/bin/python3
V       ?= 0

ifeq ($(V),0)
Q   := @
say  = @printf '  %-6s %s\n' $(1) $@
endif

ROOT     := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS += -Iinclude -I$(B)/bpf -Iloader -D_GNU_SOURCE -DNAVALIS_VERSION='"$(VERSION)"' -MMD -MP
ALL_C     = $(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS)
BPF_C     = $(CLANG) --target=bpf -mcpu=v3 -std=gnu11 -O2 -g -Wall -Wextra -Werror \
	    -Iinclude -I/usr/include/$(shell $(CC) -print-multiarch) -MMD -MP

DAEMON_LIBS := -lbpf -lmnl -linih -ljson-c -lcap-ng -lsystemd
CTL_LIBS    := -lbpf -ljson-c -lmnl

CORE   := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard loader/core/*.c)))
DAEMON := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard loader/*.c loader/io/*.c))) $(CORE)
CTL    := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard ctl/*.c)))
TESTS  := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/*.c tests/bpf/*.c tests/netns/*.c)))

.PHONY: all programs tests check check-unit check-bpf check-netns demo setup setup-build clean format
.DELETE_ON_ERROR:
.SECONDARY:

all: programs
programs: $(B)/navalisd $(B)/navalisctl
tests: $(TESTS)

# make demo and make check are all that a bare machine needs: they install, build and run.
setup:
	$(Q)scripts/setup
setup-build:
	$(Q)scripts/setup build

check: setup
	$(Q)$(MAKE) --no-print-directory programs tests
	$(Q)B=$(B) $(PYTHON) -m pytest tests
check-unit check-bpf check-netns: check-%: programs tests
	$(Q)B=$(B) $(PYTHON) -m pytest tests/$*

demo: setup
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)B=$(B) scripts/demo

$(B)/%.bpf.o: %.bpf.c
	$(call say,BPF)
	@mkdir -p $(@D)
	$(Q)$(BPF_C) -c $< -o $@

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
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

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(CORE)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lcmocka -lsodium

$(B)/tests/bpf/%: $(B)/tests/bpf/%.o $(CORE)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lbpf -ljson-c

$(B)/tests/netns/%: $(B)/tests/netns/%.o
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS)

format:
	$(Q)git ls-files '*.c' '*.h' | grep -v skel | xargs clang-format -i

clean:
	$(Q)rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
