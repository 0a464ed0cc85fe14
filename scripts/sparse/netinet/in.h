/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For sparse alone: libc's addresses and ports with the byte order that they have, as the kernel's. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <linux/types.h>

#define uint16_t __be16
#define uint32_t __be32
#include_next <netinet/in.h>
#undef uint16_t
#undef uint32_t
