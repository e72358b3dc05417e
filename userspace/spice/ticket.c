// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/ticket.h"

#include <gcrypt.h>
#include <string.h>

/* The library wants to be started. Its secure memory would need privileges. */
static void start_library(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

/* The integer a of (enc-val (rsa (a A))), with leading zeros. */
static int extract(gcry_sexp_t encrypted, uint8_t ticket[static SPICE_RSA])
{
	gcry_mpi_t a = NULL;
	size_t len = 0;
	int ret = -EPROTO;

	if (!gcry_sexp_extract_param(encrypted, NULL, "a", &a, NULL)) {
		len = (gcry_mpi_get_nbits(a) + 7) / 8;
		if (len <= SPICE_RSA) {
			memset(ticket, 0, SPICE_RSA);
			if (!gcry_mpi_print(GCRYMPI_FMT_USG,
					    ticket + SPICE_RSA - len, len, NULL,
					    a))
				ret = 0;
		}
	}
	gcry_mpi_release(a);
	return ret;
}

int spice_ticket(const struct spice_rsa *rsa, const char *password,
		 uint8_t ticket[static SPICE_RSA])
{
	gcry_sexp_t key = NULL, text = NULL, encrypted = NULL;
	uint8_t e[4];
	struct span_writer w = span_writer_of(e, sizeof(e));
	int ret = -EPROTO;

	start_library();
	span_put_be(&w, rsa->e, sizeof(e));
	if (!gcry_sexp_build(&key, NULL, "(public-key (rsa (n %b) (e %b)))",
			     SPICE_RSA, rsa->n, (int)sizeof(e), e) &&
	    !gcry_sexp_build(&text, NULL,
			     "(data (flags oaep) (hash-algo sha1) (value %b))",
			     (int)strlen(password) + 1, password) &&
	    !gcry_pk_encrypt(&encrypted, text, key))
		ret = extract(encrypted, ticket);
	gcry_sexp_release(key);
	gcry_sexp_release(text);
	gcry_sexp_release(encrypted);
	return ret;
}
