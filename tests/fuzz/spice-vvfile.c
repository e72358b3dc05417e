// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A virtual machine's manager that writes any bytes into a virt-viewer file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spice/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spice_server server = { 0 };
	bool delete_file;
	char why[256] = "";
	int ret = spice_server_parse_vvfile(&server, (const char *)data, size,
					    &delete_file, why, sizeof(why));

	if (server.port > 65535 || server.tls_port > 65535)
		abort();
	if (ret < 0 && (!why[0] || strlen(why) >= sizeof(why)))
		abort();
	/* What is there has something in it. */
	if ((server.host && !*server.host) || (server.ca && !*server.ca))
		abort();
	spice_server_fini(&server);
	return 0;
}
