# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of HG48."""
import ipaddress
import struct

from teredo import v4, v6


def address(prefix, addr, port):
    """The last 48 bits are address and port, all of them turned over."""
    return str(ipaddress.IPv6Address(v6(prefix)[:10] + bytes(b ^ 0xFF for b in v4(addr) + struct.pack("!H", port))))
