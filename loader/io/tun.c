// SPDX-License-Identifier: GPL-2.0-or-later
/* The TUN device. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "io/tun.h"

int tun_open(const char *name, struct error *e)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return error_set(e, -errno, "no right to open /dev/net/tun: chmod 666 /dev/net/tun "
				 "(CAP_NET_ADMIN guards it all the same), DeviceAllow=/dev/net/tun rw "
				 "under systemd");
	if (fd < 0)
		return error_set(e, -errno, "/dev/net/tun cannot be opened: %s (try: modprobe tun)",
				 strerror(errno));
	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		int err = -errno;

		close(fd);
		if (err == -EBUSY)
			return error_set(e, err, "TUN device %s is in use by another program: "
					 "set another name with «tun = NAME»", name);
		if (err == -EPERM)
			return error_set(e, err, "no right to make the TUN device %s: "
					 "CAP_NET_ADMIN is missing", name);
		return error_set(e, err, "TUN device %s cannot be made: %s "
				 "(is there a device of that name?)", name, strerror(-err));
	}
	return fd;
}

int tun_keep(int fd, bool keep)
{
	return ioctl(fd, TUNSETPERSIST, keep) ? -errno : 0;
}

bool tun_lasts(int fd)
{
	struct ifreq ifr;

	return !ioctl(fd, TUNGETIFF, &ifr) && (ifr.ifr_flags & IFF_PERSIST);
}
