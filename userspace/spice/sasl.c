// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/sasl.h"

#ifdef HAVE_SASL

#include <sasl/sasl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "spice/sasl_layer.h"

/* What spice-server and its other clients want and allow. */
#define MIN_SSF 56
#define MAX_SSF 100000
#define MAX_LIST 300
#define MAX_MECHANISM 100
/* TLS has this many bits at least: see tls_context_create(). */
#define TLS_SSF 128
/* The longest piece of the security layer that we take. */
#define MAX_PIECE 65536
/* No mechanism needs half as many. */
#define MAX_ROUNDS 16

enum step { LIST_SIZE, LIST, DATA_SIZE, DATA, ENDED };

struct spice_sasl {
	const struct spice_credentials *credentials; /* borrowed */
	sasl_conn_t *conn; /* owned; it borrows callbacks */
	sasl_callback_t callbacks[6];
	sasl_secret_t *secret; /* owned; the password */
	enum step step;
	size_t expected;
	unsigned int rounds;
	bool done;   /* our side */
	bool judged; /* see spice_sasl_judged() */

	/* What is to be said next; conn lends it until the next step. */
	bool speaking;
	const char *mechanism; /* NULL: was said before */
	const char *out;       /* NULL and "" differ */
	unsigned int out_len;

	char list[MAX_LIST + 1];
	char in[SPICE_SASL_MAX];
	char why[512];
};

/* --- What goes wrong ----------------------------------------------------------------- */

static int fail(struct spice_sasl *s, int error, const char *format, ...)
	printf_like(3, 4);

static int fail(struct spice_sasl *s, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
	/* A part of it may be the server's. */
	for (char *p = s->why; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return error;
}

/* What libsasl2 has against it. */
static int fail_by(struct spice_sasl *s, int result)
{
	switch (result) {
	case SASL_NOMEM:
		return fail(s, -ENOMEM, "out of memory");
	case SASL_BADAUTH:
	case SASL_BADSERV:
		return fail(
			s, -EACCES,
			"the server cannot prove that it knows the password");
	case SASL_NOMECH:
	case SASL_TOOWEAK:
		return fail(
			s, -EPROTO,
			"no SASL mechanism of the server will do%s; it has %s",
			s->credentials->secured
				? ""
				: " without TLS, where it has to encrypt",
			s->list);
	default:
		return fail(s, -EPROTO, "SASL failed: %s",
			    sasl_errdetail(s->conn));
	}
}

const char *spice_sasl_why(const struct spice_sasl *s)
{
	return s->why;
}

/* --- What libsasl2 asks ----------------------------------------------------------------- */

static int on_log(void *context, int level, const char *message)
{
	(void)context;
	/* What is above that has passwords in it. */
	if (level != SASL_LOG_NONE && level <= SASL_LOG_DEBUG)
		log_debug("SASL: %s", message);
	return SASL_OK;
}

static int on_name(void *context, int id, const char **result,
		   unsigned int *len)
{
	const struct spice_sasl *s = context;

	/* As whom to act: "", the one who this is. */
	*result = id == SASL_CB_AUTHNAME ? s->credentials->username : "";
	if (len)
		*len = (unsigned int)strlen(*result);
	return SASL_OK;
}

static int on_password(sasl_conn_t *conn, void *context, int id,
		       sasl_secret_t **secret)
{
	const struct spice_sasl *s = context;

	(void)conn;
	(void)id;
	*secret = s->secret;
	return SASL_OK;
}

/* The one behind the @ of the user's name, else the server's first. */
static int on_realm(void *context, int id, const char **realms,
		    const char **result)
{
	const struct spice_sasl *s = context;
	const char *at = strrchr(s->credentials->username, '@');

	(void)id;
	if (!realms || !realms[0])
		return SASL_FAIL;
	*result = realms[0];
	for (; at && *realms; realms++)
		if (!strcmp(at + 1, *realms))
			*result = *realms;
	return SASL_OK;
}

/* A type for each is in libsasl2's contract, and one for all in its structure. */
#define PROC(f) ((int (*)(void))(void *)(f))

static void list_callbacks(struct spice_sasl *s)
{
	unsigned int n = 0;

	s->callbacks[n++] =
		(sasl_callback_t){ SASL_CB_LOG, PROC(on_log), NULL };
	/* Who is nobody in particular may yet have a ticket of Kerberos. */
	if (s->credentials->username) {
		s->callbacks[n++] =
			(sasl_callback_t){ SASL_CB_AUTHNAME, PROC(on_name), s };
		s->callbacks[n++] =
			(sasl_callback_t){ SASL_CB_USER, PROC(on_name), s };
		s->callbacks[n++] =
			(sasl_callback_t){ SASL_CB_PASS, PROC(on_password), s };
		s->callbacks[n++] = (sasl_callback_t){ SASL_CB_GETREALM,
						       PROC(on_realm), s };
	}
	s->callbacks[n++] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

/* --- Life ----------------------------------------------------------------------------------- */

/* Whatever libsasl2 thinks of being asked again. */
static int init_library(void)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_LOG, PROC(on_log), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	static bool done;
	int ret = done ? SASL_OK : sasl_client_init(callbacks);

	done = ret == SASL_OK;
	return ret;
}

static int set_properties(struct spice_sasl *s)
{
	bool secured = s->credentials->secured;
	const sasl_ssf_t external = TLS_SSF;
	const sasl_security_properties_t properties = {
		.min_ssf = secured ? 0 : MIN_SSF,
		.max_ssf = secured ? 0 : MAX_SSF,
		.maxbufsize = MAX_PIECE,
		.security_flags = secured ? 0
					  : SASL_SEC_NOANONYMOUS |
						    SASL_SEC_NOPLAINTEXT,
	};
	int ret = SASL_OK;

	if (secured)
		ret = sasl_setprop(s->conn, SASL_SSF_EXTERNAL, &external);
	if (ret == SASL_OK)
		ret = sasl_setprop(s->conn, SASL_SEC_PROPS, &properties);
	return ret;
}

static int copy_password(struct spice_sasl *s)
{
	size_t len = strlen(s->credentials->password);

	s->secret = malloc(sizeof(*s->secret) + len);
	if (!s->secret)
		return -ENOMEM;
	s->secret->len = len;
	memcpy(s->secret->data, s->credentials->password, len + 1);
	return 0;
}

int spice_sasl_create(const struct spice_credentials *credentials,
		      struct spice_sasl **sasl)
{
	struct spice_sasl *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->credentials = credentials;
	s->expected = 4;
	if (copy_password(s) < 0) {
		ret = SASL_NOMEM;
		goto fail;
	}
	list_callbacks(s);
	ret = init_library();
	if (ret != SASL_OK)
		goto fail;
	/* No mechanism wants addresses; a proxy's would be wrong. */
	ret = sasl_client_new(
		"spice", credentials->host ? credentials->host : "localhost",
		NULL, NULL, s->callbacks, SASL_SUCCESS_DATA, &s->conn);
	if (ret != SASL_OK)
		goto fail;
	ret = set_properties(s);
	if (ret != SASL_OK)
		goto fail;
	*sasl = s;
	return 0;

fail:
	spice_sasl_destroy(s);
	return ret == SASL_NOMEM ? -ENOMEM : -EPROTO;
}

void spice_sasl_destroy(struct spice_sasl *s)
{
	if (!s)
		return;
	if (s->conn)
		sasl_dispose(&s->conn);
	if (s->secret) {
		explicit_bzero(s->secret->data, s->secret->len);
		free(s->secret);
	}
	free(s);
}

/* --- Steps ---------------------------------------------------------------------------------- */

static int need_name(struct spice_sasl *s)
{
	return fail(s, -EACCES,
		    "the server wants SASL: give a user by --username");
}

/* libsasl2 has gone on, to result. */
static int stepped(struct spice_sasl *s, int result)
{
	if (result != SASL_OK && result != SASL_CONTINUE)
		return s->credentials->username || result == SASL_NOMEM
			       ? fail_by(s, result)
			       : need_name(s);
	s->done = result == SASL_OK;
	return 0;
}

static void speak(struct spice_sasl *s)
{
	s->speaking = true;
	s->step = DATA_SIZE;
	s->expected = 4;
}

static int start(struct spice_sasl *s)
{
	sasl_interact_t *interact = NULL;
	int ret = stepped(s, sasl_client_start(s->conn, s->list, &interact,
					       &s->out, &s->out_len,
					       &s->mechanism));

	if (ret < 0)
		return ret;
	log_debug("SASL: %s, of %s", s->mechanism, s->list);
	speak(s);
	return 0;
}

/* The server has accepted us, and we the server. */
static int finish(struct spice_sasl *s)
{
	const void *ssf = NULL;

	if (!s->credentials->secured &&
	    (sasl_getprop(s->conn, SASL_SSF, &ssf) != SASL_OK ||
	     *(const sasl_ssf_t *)ssf < MIN_SSF))
		return fail(
			s, -EACCES,
			"without TLS SASL has to encrypt, but the server would not");
	s->step = ENDED;
	s->expected = 0;
	s->judged = false;
	return 0;
}

/* in: NULL, or what the server says, with a NUL behind it. */
static int step(struct spice_sasl *s, const char *in, size_t len, bool complete)
{
	sasl_interact_t *interact = NULL;
	int ret;

	if (s->done && !complete)
		return fail(s, -EPROTO,
			    "the server does not come to an end of SASL");
	/* The server may prove who it is with its last word. */
	if (!s->done) {
		s->out = NULL;
		s->out_len = 0;
		ret = stepped(s, sasl_client_step(s->conn, in,
						  (unsigned int)len, &interact,
						  &s->out, &s->out_len));
		if (ret < 0)
			return ret;
		if (complete && !s->done)
			return fail(
				s, -EPROTO,
				"the server ends SASL before it has proven who it is");
	}
	if (complete)
		return finish(s);
	if (++s->rounds > MAX_ROUNDS)
		return fail(s, -EPROTO,
			    "the server does not come to an end of SASL");
	speak(s);
	return 0;
}

/* --- Bytes ----------------------------------------------------------------------------------- */

static int take_size(struct spice_sasl *s, struct span in)
{
	uint32_t size = (uint32_t)span_le(&in, 4);

	if (s->step == LIST_SIZE) {
		if (!size || size > MAX_LIST)
			return fail(
				s, -EPROTO,
				"the server's list of SASL mechanisms is malformed");
		s->step = LIST;
		s->expected = size;
		return 0;
	}
	/* Behind it is a byte: whether that was all. */
	if (size >= SPICE_SASL_MAX)
		return fail(s, -EPROTO, "the server says too much in SASL");
	s->step = DATA;
	s->expected = size + 1;
	return 0;
}

static int take_data(struct spice_sasl *s, struct span in)
{
	size_t size = in.len - 1;
	const uint8_t *data = span_take(&in, size);
	bool complete = span_u8(&in);

	if (!size)
		return step(s, NULL, 0, complete);
	/* The NUL counts, but is not always there. */
	memcpy(s->in, data, size);
	s->in[size - 1] = '\0';
	return step(s, s->in, size - 1, complete);
}

int spice_sasl_input(struct spice_sasl *s, struct span in)
{
	switch (s->step) {
	case LIST_SIZE:
	case DATA_SIZE:
		return take_size(s, in);
	case LIST:
		memcpy(s->list, in.p, in.len);
		return start(s);
	case DATA:
		return take_data(s, in);
	default:
		return fail(s, -EPROTO, "SASL has ended");
	}
}

int spice_sasl_output(struct spice_sasl *s, struct span_writer *w,
		      size_t *expected)
{
	static const uint8_t nul;

	if (s->speaking && s->mechanism) {
		size_t len = strlen(s->mechanism);

		if (len > MAX_MECHANISM)
			w->bad = true;
		span_put_le(w, len, 4);
		span_put(w, s->mechanism, len);
	}
	if (s->speaking && s->out) {
		span_put_le(w, (uint64_t)s->out_len + 1, 4);
		span_put(w, s->out, s->out_len);
		span_put(w, &nul, 1);
		s->judged |= s->out_len > 0;
	} else if (s->speaking) {
		span_put_le(w, 0, 4);
	}
	s->speaking = false;
	s->mechanism = NULL;
	*expected = s->expected;
	return w->bad ? fail(s, -EPROTO, "SASL has too much to say") : 0;
}

bool spice_sasl_judged(const struct spice_sasl *s)
{
	return s->judged;
}

/* --- What follows ------------------------------------------------------------------------------ */

int spice_sasl_layer(struct spice_sasl *s, struct transport *t,
		     struct transport **layered)
{
	const void *ssf = NULL;

	if (sasl_getprop(s->conn, SASL_SSF, &ssf) != SASL_OK)
		return -EPROTO;
	if (*(const sasl_ssf_t *)ssf)
		return spice_sasl_layer_create(t, s, s->conn, layered);
	spice_sasl_destroy(s);
	*layered = t;
	return 0;
}

#else /* HAVE_SASL */

int spice_sasl_create(const struct spice_credentials *credentials,
		      struct spice_sasl **s)
{
	(void)credentials;
	(void)s;
	return -EOPNOTSUPP;
}

/* Nobody has one. */

void spice_sasl_destroy(struct spice_sasl *s)
{
	(void)s;
}

int spice_sasl_output(struct spice_sasl *s, struct span_writer *w,
		      size_t *expected)
{
	(void)s;
	(void)w;
	(void)expected;
	return -EOPNOTSUPP;
}

int spice_sasl_input(struct spice_sasl *s, struct span in)
{
	(void)s;
	(void)in;
	return -EOPNOTSUPP;
}

const char *spice_sasl_why(const struct spice_sasl *s)
{
	(void)s;
	return "";
}

bool spice_sasl_judged(const struct spice_sasl *s)
{
	(void)s;
	return false;
}

int spice_sasl_layer(struct spice_sasl *s, struct transport *t,
		     struct transport **layered)
{
	(void)s;
	(void)t;
	(void)layered;
	return -EOPNOTSUPP;
}

#endif
