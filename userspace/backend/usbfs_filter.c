// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_filter.h"

#include "backend/usbfs_descriptors.h"

static bool describe(const struct usbfs_place *place,
		     struct filter_device *device)
{
	static const uint8_t alts[USBDESC_MAX_INTERFACES];
	struct usbfs_descriptors set;
	struct usbdesc_device desc;
	struct usbdesc_config config = { 0 };
	bool good;

	if (usbfs_descriptors_read(&set, place) < 0)
		return false;
	good = !usbdesc_read_device(usbfs_descriptors_span(&set), &desc);
	/* One that is not configured has no interfaces. */
	if (place->configuration &&
	    usbdesc_read_config(usbfs_descriptors_span(&set),
				place->configuration, alts, USBDESC_FULL,
				&config) < 0)
		good = false;
	usbfs_descriptors_free(&set);
	if (!good)
		return false;
	*device = (struct filter_device){
		.class = { desc.class, desc.subclass, desc.protocol },
		.vendor = desc.vendor,
		.product = desc.product,
		.version = desc.release,
		.n_interfaces = config.n_interfaces,
	};
	for (unsigned int i = 0; i < config.n_interfaces; i++)
		device->interface[i] = (struct filter_class){
			config.interface[i].class,
			config.interface[i].subclass,
			config.interface[i].protocol,
		};
	return true;
}

bool usbfs_filter_allows(const struct filter *filter,
			 const struct usbfs_place *place)
{
	struct filter_device device;

	return describe(place, &device) &&
	       !filter_check(filter, &device, 0, NULL);
}
