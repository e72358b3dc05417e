// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A SPICE server that says what a script tells it to say, and checks what the
 * client answers: for clients that shall be flooded or lied to.
 *
 *	spice-server PORT|unix:PATH SCRIPT [TICKET]
 *
 * Listens on loopback. A script has a section for each connection it tells about:
 *
 *	[main]			the main channel, each time
 *	[main @1]		the first connection of it only; comes before [main]
 *	[usbredir]		any usbredir channel
 *	[usbredir 1 @2]		that with the id 1, the second time
 *	[any]			what has no other
 *
 * and in it a statement a line; # begins a comment. What a client says first, its
 * link message, has been read then.
 *
 *	link-caps COMMON CHANNEL	capabilities (hex); b 1 if it does not say so
 *	link			answer the link
 *	link-error N		the same with an error
 *	auth			read the ticket, answer 0, or 7 if it is wrong
 *	auth-result N		read the ticket, answer N
 *
 * If a section does not begin with one of these or with `raw`, link and auth come
 * before it by themselves.
 *
 *	init N			MAIN_INIT; N usbredir channels, told when asked
 *	hello			usbredir's hello, then wait for the client's
 *	ack WINDOW		SET_ACK; from here ACKs are checked
 *	flood COUNT SIZE DATA	so many VMC messages, of SIZE bytes each, from DATA,
 *				which is repeated; never more than two windows ahead
 *	acks			until all messages are acknowledged, but for a window
 *	send TYPE DATA		a message
 *	lie TYPE SIZE DATA	a message of which the header says another SIZE
 *	raw DATA		bytes
 *	wait TYPE		until the client has sent such a message
 *	vmc-at-least N		until it has sent so many bytes of VMC data
 *	deaf			read nothing more
 *	listen			read again
 *	sleep MS
 *	close, reset		the connection, in order or not
 *	gone			until the client has closed it, 10 s at most
 *
 * At the end of a section the connection stays open. DATA is words, in a row:
 *
 *	00ff10			bytes
 *	"text"			those of a text (without blanks)
 *	u8:N u16:N u32:N u64:N	little endian
 *	zero:N, fill:XX:N, random:N
 *
 * Lines on stdout: "LINK main 0", "DONE main 0 @1", "GONE main 0 @1". What is wrong
 * with the client is a line "FAIL ..."; SIGTERM then ends it with status 1.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <gcrypt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_SECTIONS 64
#define MAX_LINES 256
#define MAX_MESSAGE (64u << 20)
#define PATIENCE 10000 /* ms */
#define CHANNEL_MAIN 1
#define CHANNEL_USBREDIR 9
#define CAP_AUTH_SELECTION 1u
#define CAP_MINI_HEADER 8u
#define TICKET_SIZE 128

/* Client to server, and back where they differ. */
enum {
	C_ACK_SYNC = 1,
	C_ACK = 2,
	S_SET_ACK = 3,
	C_ATTACH_CHANNELS = 104,
	S_INIT = 103,
	S_CHANNELS_LIST = 104,
	VMC_DATA = 101,
};

struct section {
	int type; /* 0: any */
	int id;	  /* -1: any */
	int nth;  /* 0: any */
	size_t lines;
	char *line[MAX_LINES];
};

struct bytes {
	uint8_t *p;
	size_t n;
};

struct connection {
	int fd;
	int type;
	int id;
	int nth;
	bool mini;
	uint32_t client_caps;
	uint32_t common_caps;
	uint32_t channel_caps;
	uint64_t serial;
	uint32_t channels;
	/* What the reader shares */
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool deaf;
	bool closed;
	uint64_t seen[256]; /* messages of each type */
	uint64_t vmc_bytes;
	uint32_t window;
	uint32_t generation; /* of the last SET_ACK */
	uint32_t synced;     /* of the last ACK_SYNC */
	uint64_t sent;	     /* messages since SET_ACK */
	uint64_t acks;
};

static struct section sections[MAX_SECTIONS];
static size_t section_count;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static int times[16][256];
static gcry_sexp_t secret_key;
static uint8_t public_key[162] = {
	0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
	0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x81,
	0x8d, 0x00, 0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00,
};
static const char *ticket;
static _Atomic bool failed;

static const char *type_name(int type)
{
	return type == CHANNEL_MAIN	  ? "main"
	       : type == CHANNEL_USBREDIR ? "usbredir"
					  : "other";
}

static void say(const char *what, const struct connection *c)
{
	printf("%s %s %d @%d\n", what, type_name(c->type), c->id, c->nth);
	fflush(stdout);
}

__attribute__((format(printf, 2, 3))) static void
fail(const struct connection *c, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("FAIL %s %d @%d: %s\n", type_name(c->type), c->id, c->nth, text);
	fflush(stdout);
	failed = true;
}

static _Noreturn void wrong_script(const char *line)
{
	fprintf(stderr, "spice-server: the script is wrong: %s\n", line);
	exit(2);
}

static void put(uint8_t *p, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *p, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint32_t)p[i] << (8 * i);
	return value;
}

/* ---- data in a script --------------------------------------------------- */

static void append(struct bytes *b, const void *p, size_t n)
{
	b->p = realloc(b->p, b->n + n + 1);
	if (p)
		memcpy(b->p + b->n, p, n);
	else
		memset(b->p + b->n, 0, n);
	b->n += n;
}

static void append_word(struct bytes *b, const char *word)
{
	size_t length = strlen(word), at = b->n;
	unsigned int bits, fill;
	unsigned long long n;
	uint8_t little[8];

	if (sscanf(word, "u%u:%lli", &bits, (long long *)&n) == 2 &&
	    bits % 8 == 0 && bits <= 64) {
		put(little, n, bits / 8);
		append(b, little, bits / 8);
	} else if (sscanf(word, "zero:%llu", &n) == 1) {
		append(b, NULL, n);
	} else if (sscanf(word, "fill:%x:%llu", &fill, &n) == 2) {
		append(b, NULL, n);
		memset(b->p + at, (int)fill, n);
	} else if (sscanf(word, "random:%llu", &n) == 1) {
		append(b, NULL, n);
		gcry_create_nonce(b->p + at, n);
	} else if (word[0] == '"' && length > 1 && word[length - 1] == '"') {
		append(b, word + 1, length - 2);
	} else {
		for (; *word; word += 2) {
			unsigned int byte;
			uint8_t one;

			if (!isxdigit(word[0]) || !isxdigit(word[1]) ||
			    sscanf(word, "%2x", &byte) != 1)
				wrong_script(word);
			one = (uint8_t)byte;
			append(b, &one, 1);
		}
	}
}

static struct bytes data_of(char *words)
{
	struct bytes b = { .p = malloc(1) };
	char *state = NULL, *word;

	for (word = strtok_r(words, " \t", &state); word;
	     word = strtok_r(NULL, " \t", &state))
		append_word(&b, word);
	return b;
}

/* ---- the connection ----------------------------------------------------- */

static bool read_all(int fd, void *buf, size_t n)
{
	uint8_t *p = buf;

	while (n) {
		ssize_t got = recv(fd, p, n, 0);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static bool write_all(struct connection *c, const void *buf, size_t n)
{
	const uint8_t *p = buf;

	while (n) {
		ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Of one message; returns its length. */
static size_t header(struct connection *c, uint8_t *p, unsigned int type,
		     size_t size)
{
	if (c->mini) {
		put(p, type, 2);
		put(p + 2, size, 4);
		return 6;
	}
	put(p, ++c->serial, 8);
	put(p + 8, type, 2);
	put(p + 10, size, 4);
	put(p + 14, 0, 4);
	return 18;
}

static void send_lie(struct connection *c, unsigned int type, size_t size,
		     const void *data, size_t n)
{
	uint8_t *message = malloc(n + 18);
	size_t head;

	pthread_mutex_lock(&write_lock);
	head = header(c, message, type, size);
	memcpy(message + head, data, n);
	/* Before it is on its way: the answer may be quick. */
	pthread_mutex_lock(&c->lock);
	if (c->window && type != S_SET_ACK)
		c->sent++;
	pthread_mutex_unlock(&c->lock);
	write_all(c, message, head + n);
	pthread_mutex_unlock(&write_lock);
	free(message);
}

static void send_message(struct connection *c, unsigned int type,
			 const void *data, size_t n)
{
	send_lie(c, type, n, data, n);
}

static void channels_list(struct connection *c)
{
	struct bytes b = { .p = malloc(1) };
	uint8_t word[4];

	put(word, c->channels + 1, 4);
	append(&b, word, 4);
	append(&b, "\x01", 2);
	for (uint32_t i = 0; i < c->channels; i++) {
		uint8_t one[2] = { CHANNEL_USBREDIR, (uint8_t)i };

		append(&b, one, 2);
	}
	send_message(c, S_CHANNELS_LIST, b.p, b.n);
	free(b.p);
}

/* A message has come; with the lock. */
static void arrived(struct connection *c, unsigned int type, const uint8_t *p,
		    size_t n)
{
	if (type < 256)
		c->seen[type]++;
	switch (type) {
	case C_ACK_SYNC:
		/* One for each, in order */
		if (n != 4 || get(p, 4) != ++c->synced ||
		    c->synced > c->generation)
			fail(c, "ACK_SYNC for generation %u, not %u",
			     n == 4 ? get(p, 4) : 0, c->synced);
		break;
	case C_ACK:
		if (n)
			fail(c, "an ACK of %zu bytes", n);
		if (!c->synced)
			fail(c, "an ACK before ACK_SYNC");
		/* Those on the way when the window changed do not count. */
		if (c->synced != c->generation)
			break;
		c->acks++;
		if (!c->window)
			fail(c, "an ACK, but there is no window");
		else if (c->acks * c->window > c->sent)
			fail(c, "ACK %llu after %llu messages of window %u",
			     (unsigned long long)c->acks,
			     (unsigned long long)c->sent, c->window);
		break;
	case VMC_DATA:
		if (c->type == CHANNEL_USBREDIR)
			c->vmc_bytes += n;
		break;
	}
}

static void *reader(void *arg)
{
	struct connection *c = arg;
	uint8_t *body = malloc(1);
	size_t head = c->mini ? 6 : 18;

	for (;;) {
		uint8_t h[18];
		unsigned int type;
		uint32_t size;

		if (!read_all(c->fd, h, head))
			break;
		type = get(h + (c->mini ? 0 : 8), 2);
		size = get(h + (c->mini ? 2 : 10), 4);
		if (size > MAX_MESSAGE) {
			fail(c, "a message of %u bytes", size);
			break;
		}
		body = realloc(body, size + 1);
		if (!read_all(c->fd, body, size))
			break;
		pthread_mutex_lock(&c->lock);
		arrived(c, type, body, size);
		pthread_cond_broadcast(&c->news);
		while (c->deaf)
			pthread_cond_wait(&c->news, &c->lock);
		pthread_mutex_unlock(&c->lock);
		if (type == C_ATTACH_CHANNELS && c->type == CHANNEL_MAIN)
			channels_list(c);
	}
	free(body);
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
	say("GONE", c);
	return NULL;
}

/* With the lock; false after PATIENCE. */
static bool wait_news(struct connection *c, const struct timespec *until)
{
	return !pthread_cond_timedwait(&c->news, &c->lock, until);
}

static struct timespec patience(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE / 1000;
	return t;
}

static void wait_seen(struct connection *c, unsigned int type, uint64_t bytes)
{
	struct timespec until = patience();

	pthread_mutex_lock(&c->lock);
	while (type ? !c->seen[type & 255] : c->vmc_bytes < bytes) {
		if (c->closed || !wait_news(c, &until)) {
			if (type)
				fail(c, "no message of type %u", type);
			else
				fail(c, "%llu bytes, not %llu",
				     (unsigned long long)c->vmc_bytes,
				     (unsigned long long)bytes);
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

static void wait_gone(struct connection *c)
{
	struct timespec until = patience();

	pthread_mutex_lock(&c->lock);
	while (!c->closed) {
		if (!wait_news(c, &until)) {
			fail(c, "the client is still there");
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- link and auth ------------------------------------------------------- */

static void link_reply(struct connection *c, uint32_t error)
{
	uint8_t reply[16 + 178 + 8];

	memcpy(reply, "REDQ", 4);
	put(reply + 4, 2, 4);
	put(reply + 8, 2, 4);
	put(reply + 12, 186, 4);
	put(reply + 16, error, 4);
	memcpy(reply + 20, public_key, 162);
	put(reply + 182, 1, 4);
	put(reply + 186, 1, 4);
	put(reply + 190, 178, 4);
	put(reply + 194, c->common_caps, 4);
	put(reply + 198, c->channel_caps, 4);
	write_all(c, reply, sizeof(reply));
	c->mini = c->common_caps & c->client_caps & CAP_MINI_HEADER;
}

static bool ticket_is_right(const uint8_t *encrypted)
{
	gcry_sexp_t data = NULL, plain = NULL;
	const char *text;
	size_t n = 0;
	bool right;

	if (gcry_sexp_build(
		    &data, NULL,
		    "(enc-val (flags oaep)(hash-algo sha1)(rsa (a %b)))",
		    TICKET_SIZE, encrypted) ||
	    gcry_pk_decrypt(&plain, data, secret_key)) {
		gcry_sexp_release(data);
		return false;
	}
	text = gcry_sexp_nth_data(plain, 1, &n);
	if (!text)
		text = gcry_sexp_nth_data(plain, 0, &n);
	/* The NUL is sent, too. */
	right = text && n && !text[n - 1] && (!ticket || !strcmp(text, ticket));
	gcry_sexp_release(data);
	gcry_sexp_release(plain);
	return right;
}

static bool auth(struct connection *c, int result)
{
	uint8_t mechanism[4], encrypted[TICKET_SIZE], reply[4];

	if ((c->common_caps & c->client_caps & CAP_AUTH_SELECTION) &&
	    (!read_all(c->fd, mechanism, 4) || get(mechanism, 4) != 1)) {
		fail(c, "it does not choose a ticket");
		return false;
	}
	if (!read_all(c->fd, encrypted, sizeof(encrypted))) {
		fail(c, "no ticket");
		return false;
	}
	if (result < 0)
		result = ticket_is_right(encrypted) ? 0 : 7;
	put(reply, (uint64_t)result, 4);
	return write_all(c, reply, 4) && !result;
}

static bool read_link(struct connection *c)
{
	uint8_t head[16], body[4096];
	uint32_t size, caps, n;

	if (!read_all(c->fd, head, 16) || memcmp(head, "REDQ", 4))
		return false;
	size = get(head + 12, 4);
	if (size < 18 || size > sizeof(body) || !read_all(c->fd, body, size))
		return false;
	c->type = body[4];
	c->id = body[5];
	n = get(body + 6, 4);
	caps = get(body + 14, 4);
	if (n && caps <= size - 4)
		c->client_caps = get(body + caps, 4);
	return true;
}

/* ---- statements ---------------------------------------------------------- */

static void do_init(struct connection *c, uint32_t channels)
{
	uint8_t init[32] = { 0 };

	c->channels = channels;
	put(init, 0x12345678, 4);
	put(init + 8, 1, 4);
	put(init + 12, 1, 4);
	put(init + 20, 10, 4);
	send_message(c, S_INIT, init, sizeof(init));
}

static void do_hello(struct connection *c)
{
	uint8_t hello[12 + 64 + 4] = { 0 };

	put(hello + 4, 68, 4);
	strcpy((char *)hello + 12, "spice-server of the tests");
	put(hello + 76, 0xfe, 4);
	send_message(c, VMC_DATA, hello, sizeof(hello));
	wait_seen(c, VMC_DATA, 0);
}

static void do_ack(struct connection *c, uint32_t window)
{
	uint8_t body[8];

	pthread_mutex_lock(&c->lock);
	c->window = window;
	c->generation++;
	c->acks = 0;
	c->sent = 0;
	pthread_mutex_unlock(&c->lock);
	put(body, c->generation, 4);
	put(body + 4, window, 4);
	send_message(c, S_SET_ACK, body, sizeof(body));
}

/* Until the last ACK that there must be */
static void wait_acks(struct connection *c)
{
	struct timespec until = patience();

	pthread_mutex_lock(&c->lock);
	while (c->window && c->acks < c->sent / c->window) {
		if (c->closed || !wait_news(c, &until)) {
			fail(c, "%llu messages, %llu ACKs",
			     (unsigned long long)c->sent,
			     (unsigned long long)c->acks);
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

static void do_flood(struct connection *c, uint64_t count, size_t size,
		     const struct bytes *data)
{
	size_t message = size + 18, room = (256u << 10) / message + 1;
	uint8_t *buf = malloc(room * message);
	size_t at = 0;
	bool good = true;

	while (count && good && data->n) {
		struct timespec until = patience();
		uint64_t n = room < count ? room : count;
		uint8_t *p = buf;

		pthread_mutex_lock(&c->lock);
		/* As spice-server does: two windows ahead, then silence. */
		while (c->window &&
		       c->sent - c->acks * c->window >= 2 * c->window) {
			if (c->closed || !wait_news(c, &until)) {
				fail(c, "%llu messages, but only %llu ACKs",
				     (unsigned long long)c->sent,
				     (unsigned long long)c->acks);
				good = false;
				break;
			}
		}
		if (c->window &&
		    n > 2 * c->window - (c->sent - c->acks * c->window))
			n = 2 * c->window - (c->sent - c->acks * c->window);
		c->sent += n;
		good = good && !c->closed;
		pthread_mutex_unlock(&c->lock);
		if (!good)
			break;
		count -= n;
		for (; n; n--) {
			p += header(c, p, VMC_DATA, size);
			for (size_t i = 0; i < size; i++, p++) {
				*p = data->p[at++];
				if (at == data->n)
					at = 0;
			}
		}
		good = write_all(c, buf, (size_t)(p - buf));
	}
	free(buf);
	if (!good && !c->closed)
		fail(c, "the flood was not taken");
	if (good)
		wait_acks(c);
}

static void set_deaf(struct connection *c, bool deaf)
{
	pthread_mutex_lock(&c->lock);
	c->deaf = deaf;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

/* A statement that needs the session; false ends the section. */
static bool run_line(struct connection *c, const char *line)
{
	unsigned long long n, m;
	struct bytes data;
	int at = 0;
	char *rest;

	if (sscanf(line, "init %llu", &n) == 1) {
		do_init(c, (uint32_t)n);
	} else if (!strcmp(line, "hello")) {
		do_hello(c);
	} else if (sscanf(line, "ack %llu", &n) == 1) {
		do_ack(c, (uint32_t)n);
	} else if (!strcmp(line, "acks")) {
		wait_acks(c);
	} else if (sscanf(line, "wait %llu", &n) == 1) {
		wait_seen(c, (unsigned int)n, 0);
	} else if (sscanf(line, "vmc-at-least %llu", &n) == 1) {
		wait_seen(c, 0, n);
	} else if (sscanf(line, "sleep %llu", &n) == 1) {
		usleep((useconds_t)n * 1000);
	} else if (!strcmp(line, "deaf") || !strcmp(line, "listen")) {
		set_deaf(c, line[0] == 'd');
	} else if (!strcmp(line, "gone")) {
		wait_gone(c);
	} else if (!strcmp(line, "close") || !strcmp(line, "reset")) {
		struct linger hard = { .l_onoff = 1 };

		if (line[0] == 'r')
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard,
				   sizeof(hard));
		shutdown(c->fd, line[0] == 'r' ? SHUT_RD : SHUT_RDWR);
		if (line[0] == 'r') {
			int null = socket(AF_UNIX, SOCK_STREAM, 0);

			/* The number stays ours; the connection ends now. */
			dup2(null, c->fd);
			close(null);
		}
		return false;
	} else if (sscanf(line, "flood %llu %llu %n", &n, &m, &at) == 2 && at) {
		rest = strdup(line + at);
		data = data_of(rest);
		do_flood(c, n, m, &data);
		free(data.p);
		free(rest);
	} else if ((sscanf(line, "lie %llu %llu%n", &n, &m, &at) == 2 ||
		    sscanf(line, "send %llu%n", &n, &at) == 1) &&
		   at) {
		rest = strdup(line + at);
		data = data_of(rest);
		if (line[0] == 's')
			m = data.n;
		send_lie(c, (unsigned int)n, m, data.p, data.n);
		free(data.p);
		free(rest);
	} else if (!strncmp(line, "raw ", 4)) {
		rest = strdup(line + 4);
		data = data_of(rest);
		write_all(c, data.p, data.n);
		free(data.p);
		free(rest);
	} else {
		wrong_script(line);
	}
	return true;
}

static struct section *section_for(struct connection *c)
{
	struct section *best = NULL;
	int best_rank = -1;

	for (size_t i = 0; i < section_count; i++) {
		struct section *s = &sections[i];
		int rank = (s->nth ? 4 : 0) + (s->id >= 0 ? 2 : 0) +
			   (s->type ? 1 : 0);

		if ((s->type && s->type != c->type) ||
		    (s->id >= 0 && s->id != c->id) ||
		    (s->nth && s->nth != c->nth) || rank <= best_rank)
			continue;
		best = s;
		best_rank = rank;
	}
	return best;
}

/* Link statements; true when the session has begun. *at: those done. */
static bool begin(struct connection *c, struct section *s, size_t *at)
{
	bool linked = false, authorized = false;
	unsigned int n, m;

	for (; *at < s->lines; (*at)++) {
		const char *line = s->line[*at];

		if (sscanf(line, "link-caps %x %x", &n, &m) == 2) {
			c->common_caps = n;
			c->channel_caps = m;
		} else if (sscanf(line, "link-error %u", &n) == 1) {
			link_reply(c, n);
			linked = true;
			authorized = true; /* or will not be */
		} else if (!strcmp(line, "link")) {
			link_reply(c, 0);
			linked = true;
		} else if (sscanf(line, "auth-result %u", &n) == 1) {
			authorized = true;
			auth(c, (int)n);
		} else if (!strcmp(line, "auth")) {
			if (!auth(c, -1))
				return false;
			authorized = true;
		} else {
			break;
		}
	}
	/* Bytes in place of a reply */
	if (!linked && *at < s->lines && !strncmp(s->line[*at], "raw ", 4))
		return true;
	if (!linked)
		link_reply(c, 0);
	return authorized || auth(c, -1);
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct section *s;
	pthread_t thread;
	size_t at = 0;

	if (!read_link(c)) {
		printf("GONE before a link\n");
		fflush(stdout);
		close(c->fd);
		return NULL;
	}
	pthread_mutex_lock(&write_lock);
	c->nth = ++times[c->type & 15][c->id];
	pthread_mutex_unlock(&write_lock);
	say("LINK", c);
	s = section_for(c);
	if (!s || !begin(c, s, &at)) {
		say("REFUSED", c);
		close(c->fd);
		return NULL;
	}
	/* Connections are few: what one has lives as long as the process. */
	if (pthread_create(&thread, NULL, reader, c))
		return NULL;
	for (; at < s->lines; at++)
		if (!run_line(c, s->line[at]))
			break;
	say("DONE", c);
	return NULL;
}

/* ---- start ---------------------------------------------------------------- */

static void read_script(const char *path)
{
	FILE *file = fopen(path, "r");
	struct section *s = NULL;
	char line[65536];

	if (!file) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), file)) {
		char *p = line + strspn(line, " \t");
		size_t n = strcspn(p, "#\n");
		char name[16];

		while (n && isspace(p[n - 1]))
			n--;
		p[n] = 0;
		if (!n)
			continue;
		if (p[0] == '[') {
			char *nth = strchr(p, '@');
			int id = -1;

			if (section_count == MAX_SECTIONS ||
			    sscanf(p, "[%15[a-z] %d", name, &id) < 1)
				wrong_script(p);
			s = &sections[section_count++];
			s->id = id;
			s->nth = nth ? atoi(nth + 1) : 0;
			s->type = !strcmp(name, "main")	      ? CHANNEL_MAIN
				  : !strcmp(name, "usbredir") ? CHANNEL_USBREDIR
							      : 0;
			if (!s->type && strcmp(name, "any"))
				wrong_script(p);
		} else if (!s || s->lines == MAX_LINES) {
			wrong_script(p);
		} else {
			s->line[s->lines++] = strdup(p);
		}
	}
	fclose(file);
}

static void make_key(void)
{
	gcry_sexp_t parameters = NULL, pair = NULL, n;
	const char *data;
	size_t size;

	gcry_check_version(NULL);
	gcry_control(GCRYCTL_ENABLE_QUICK_RANDOM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (gcry_sexp_build(
		    &parameters, NULL,
		    "(genkey (rsa (nbits 4:1024)(rsa-use-e 5:65537)))") ||
	    gcry_pk_genkey(&pair, parameters)) {
		fprintf(stderr, "spice-server: no key\n");
		exit(1);
	}
	secret_key = gcry_sexp_find_token(pair, "private-key", 0);
	n = gcry_sexp_find_token(secret_key, "n", 0);
	data = gcry_sexp_nth_data(n, 1, &size);
	if (size > 128) {
		data += size - 128;
		size = 128;
	}
	memcpy(public_key + 29 + 128 - size, data, size);
	memcpy(public_key + 157, "\x02\x03\x01\x00\x01", 5);
	gcry_sexp_release(n);
	gcry_sexp_release(pair);
	gcry_sexp_release(parameters);
}

static int listen_at(const char *where)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(where)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool local = !strncmp(where, "unix:", 5);
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	int one = 1;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s",
		 local ? where + 5 : "");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, local ? (struct sockaddr *)&un : (struct sockaddr *)&in,
		 local ? sizeof(un) : sizeof(in)) ||
	    listen(fd, 64)) {
		perror(where);
		exit(1);
	}
	return fd;
}

static void *wait_for_term(void *arg)
{
	int got;

	sigwait(arg, &got);
	_exit(failed);
}

int main(int argc, char **argv)
{
	static sigset_t set;
	pthread_t thread;
	int one = 1;
	int fd;

	if (argc < 3 || argc > 4) {
		fprintf(stderr,
			"usage: spice-server PORT|unix:PATH SCRIPT [TICKET]\n");
		return 2;
	}
	read_script(argv[2]);
	ticket = argc > 3 ? argv[3] : NULL;
	make_key();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, wait_for_term, &set))
		return 1;
	fd = listen_at(argv[1]);
	printf("LISTENING\n");
	fflush(stdout);
	for (;;) {
		struct connection *c = calloc(1, sizeof(*c));

		c->fd = accept(fd, NULL, NULL);
		if (c->fd < 0)
			return 1;
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->common_caps = 0x0b;
		c->channel_caps = 0;
		pthread_mutex_init(&c->lock, NULL);
		pthread_cond_init(&c->news, NULL);
		if (pthread_create(&thread, NULL, serve, c))
			return 1;
		pthread_detach(thread);
	}
}
