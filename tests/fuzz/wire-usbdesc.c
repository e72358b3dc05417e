// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The descriptors of a device that lies. Input: the value of a configuration,
 * the speed, the alternate setting of interface 0, the descriptors.
 */
#include <stdlib.h>

#include "wire/usbdesc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_config(const struct usbdesc_config *config)
{
	uint32_t seen = 0;

	require(config->n_interfaces <= USBDESC_MAX_INTERFACES);
	for (unsigned int i = 0; i < config->n_interfaces; i++) {
		uint8_t number = config->interface[i].number;

		require(number < USBDESC_MAX_INTERFACES);
		require(!(seen >> number & 1)); /* each is there once */
		seen |= 1u << number;
	}
	require(!config->endpoint[0].present && !config->endpoint[16].present);
	for (unsigned int i = 0; i < USBDESC_ENDPOINTS; i++) {
		const struct usbdesc_endpoint *ep = &config->endpoint[i];

		if (!ep->present)
			continue;
		require(seen >> ep->interface & 1);
		require(ep->type <= 3);
		require(ep->interval_bytes <= 2047u * 256 * 4);
		require(ep->max_streams <= 65536);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t alts[USBDESC_MAX_INTERFACES] = { 0 };
	struct usbdesc_config config;
	struct usbdesc_device device;
	uint8_t *copy;

	if (size < 3)
		return 0;
	alts[0] = data[2];
	/* It ends where the allocation does. */
	copy = malloc(size - 3);
	require(copy || size == 3);
	if (size > 3)
		memcpy(copy, data + 3, size - 3);
	struct span set = span_of(copy, size - 3);

	(void)!usbdesc_read_device(set, &device);
	if (!usbdesc_read_config(set, data[0], alts,
				 (enum usbdesc_speed)(data[1] % 3), &config)) {
		check_config(&config);
		for (unsigned int i = 0; i < config.n_interfaces; i++)
			require(usbdesc_has_alt(set, data[0],
						config.interface[i].number,
						config.interface[i].alt));
	}
	free(copy);
	return 0;
}
