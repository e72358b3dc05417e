# SPDX-License-Identifier: GPL-2.0-or-later
#
# ryll-bridge. `make help` lists the targets.
#
#   O=DIR        where everything is built (build)
#   V=1          show the commands
#   SASL=no      without libsasl2, even if it is there
#   SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer
#   T=...        check: run only tests whose path matches; fuzz: seconds
#   DESTDIR=, PREFIX=   for install

O ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d

CC ?= cc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wvla -Wno-missing-field-initializers
GLIB_CFLAGS := $(shell pkg-config --cflags glib-2.0 2>/dev/null | sed "s/-I/-isystem /g")
VERSION := $(shell cat .version)$(shell git describe --always --dirty --match= \
	2>/dev/null | sed 's/^/+g/')
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -pthread -I. -Iuserspace $(WARNINGS) \
	$(GLIB_CFLAGS) $(DEFINES) $(CFLAGS) $(SANITIZERS)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(SANITIZERS)

ifdef SANITIZE
O := $(O)-san
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
endif

ifndef V
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
endif

# --- What is built from what ------------------------------------------------

# Each folder of userspace/ is a layer, an archive of its own. needs_X is what
# a program that tests X links: DESIGN's "who may include whom".
LAYERS := base wire core usb image transport peer spice backend frontend fuse
needs_base := base
needs_wire := wire base
needs_core := core base
needs_usb := usb core base
needs_image := image core base
needs_transport := transport wire core base
needs_peer := peer transport wire core base
needs_spice := spice transport wire core base
needs_backend := backend peer transport usb image wire core base
needs_frontend := frontend peer transport usb wire core base
needs_fuse := fuse image core base
needs_all := fuse frontend backend spice peer transport usb image wire core base

# fuse/ is a wing of its own, with the source of a program in it.
sources = $(if $(filter fuse,$(1)),$(filter-out fuse/ryll-fuse.c,$(wildcard fuse/*.c)),$(wildcard userspace/$(1)/*.c))
objects = $(patsubst %.c,$(O)/%.o,$(1))
archive = $(O)/lib$(1).a
archives = $(foreach l,$(needs_$(1)),$(call archive,$(l)))

# Optional: SASL=no builds without.
SASL ?= $(shell pkg-config --exists libsasl2 2>/dev/null && echo yes || echo no)
ifeq ($(SASL),yes)
SASL_DEFINES := -DHAVE_SASL
SASL_LIBS := -lsasl2
endif

LIBS := -luring -lgnutls -lgcrypt -llz4 -lglib-2.0 -lnbd -lusb-1.0 -ludev $(SASL_LIBS)
FUSE_LIBS := -lfuse3 -ljansson

.PHONY: all
all: $(O)/ryll-bridge $(O)/ryll-fuse

$(O)/ryll-bridge: $(call objects,$(wildcard userspace/*.c)) $(call archives,all)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(FUSE_LIBS)

$(O)/ryll-fuse: $(O)/fuse/ryll-fuse.o $(call archives,fuse)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(FUSE_LIBS)

define layer
$(call archive,$(1)): $(call objects,$(call sources,$(1)))
	$$(call say,AR,$$(@:$$(O)/%=%))
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

# The version is in few objects only; a new commit rebuilds those.
$(O)/version: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
WITH_VERSION := $(O)/userspace/ryll-bridge.o \
	$(O)/fuse/ryll-fuse.o $(O)/userspace/frontend/redir_send.o \
	$(O)/userspace/backend/remote_redir.o
$(WITH_VERSION): $(O)/version
$(WITH_VERSION): DEFINES := -DRYLL_VERSION='"$(VERSION)"'

$(O)/userspace/spice/sasl.o $(O)/userspace/spice/sasl_layer.o \
	$(O)/tests/unit/spice-sasl.o: DEFINES := $(SASL_DEFINES)

# Parsers of untrusted bytes: no silent conversion.
$(O)/userspace/wire/%.o: WARNINGS += -Wconversion -Wsign-conversion -Werror

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$(@:$(O)/%=%))
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# --- Unit tests: tests/unit/LAYER-what.c links LAYER and what it needs -----------

UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(O)/tests/unit/%)
UNIT_LIBS = -lcmocka $(LIBS)

define unit_test
$(O)/tests/unit/$(1): $(O)/tests/unit/$(1).o $$(call archives,$(firstword $(subst -, ,$(1))))
	$$(call say,LD,$$(@:$$(O)/%=%))
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(UNIT_LIBS)
endef
$(foreach t,$(UNIT_SOURCES:tests/unit/%.c=%),$(eval $(call unit_test,$(t))))
# The oracle of the differential tests
$(O)/tests/unit/wire-usbredir-oracle $(O)/tests/unit/wire-filter-oracle: UNIT_LIBS += -lusbredirparser

# --- Fuzzing: tests/fuzz/LAYER-what.c, with libFuzzer or as a replayer --------------

FUZZ_SOURCES := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
FUZZ_NAMES := $(FUZZ_SOURCES:tests/fuzz/%.c=%)
FUZZ_REPLAYERS := $(FUZZ_NAMES:%=$(O)/tests/fuzz/%)
FUZZ_CC ?= clang

define fuzz_replayer
$(O)/tests/fuzz/$(1): $(O)/tests/fuzz/$(1).o $(O)/tests/fuzz/replay.o $$(call archives,$(firstword $(subst -, ,$(1))))
	$$(call say,LD,$$(@:$$(O)/%=%))
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)

$(O)-fuzz/$(1): $(wildcard userspace/*/*.[ch]) $(wildcard tests/lib/*.h) tests/fuzz/$(1).c
	@mkdir -p $$(@D)
	$$(call say,FUZZCC,$$@)
	$$(Q)$$(FUZZ_CC) -std=gnu11 -D_GNU_SOURCE -DRYLL_VERSION='"fuzz"' $$(SASL_DEFINES) -I. -Iuserspace $$(GLIB_CFLAGS) -g -O1 \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $$@ \
		tests/fuzz/$(1).c $$(foreach l,$$(needs_$(firstword $(subst -, ,$(1)))),$$(call sources,$$(l))) $$(LIBS)
endef
$(foreach t,$(FUZZ_NAMES),$(eval $(call fuzz_replayer,$(t))))

.PHONY: fuzz
fuzz: $(FUZZ_NAMES:%=$(O)-fuzz/%)
	$(Q)tests/fuzz/run $(O)-fuzz $(or $(T),60) $(FUZZ_NAMES)

# --- Programs that tests and benchmarks use ------------------------------------------

# LAYER-what.c links LAYER and what it needs, others wire.
TEST_PROGRAMS := $(patsubst %.c,%,$(wildcard tests/bench/*.c tests/e2e/*.c))
layer_of = $(or $(filter $(LAYERS),$(firstword $(subst -, ,$(notdir $(1))))),wire)

define test_program
$(O)/$(1): $(O)/$(1).o $$(call archives,$(call layer_of,$(1)))
	$$(call say,LD,$$(@:$$(O)/%=%))
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $(if $(filter-out wire,$(call layer_of,$(1))),$$(LIBS))
endef
$(foreach p,$(TEST_PROGRAMS),$(eval $(call test_program,$(p))))

# --- Checking ---------------------------------------------------------------------------

.PHONY: tests check check-san check-fresh bench demo
tests: all $(UNIT_TESTS) $(FUZZ_REPLAYERS) $(TEST_PROGRAMS:%=$(O)/%)

check:
	$(Q)tools/install-deps check
	$(Q)$(MAKE) --no-print-directory tests man
	$(Q)O='$(O)' tests/run '$(T)'

# Unit tests, fuzz corpora and the tests with hostile peers, under ASan, UBSan.
check-san:
	$(Q)tools/install-deps check
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 tests man
	$(Q)O='$(O)-san' tests/run '$(or $(T),unit/|fuzz/|disk-hostile|disk-sessions|fuse-f|spice-hostile|spice-auth|transport-tls|usbip-hostile)'

check-fresh:
	$(Q)tests/fresh/run

demo:
	$(Q)tools/install-deps demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O='$(O)' tests/demo

bench:
	$(Q)tools/install-deps check
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)O='$(O)' tests/bench/run '$(T)'

# Lines that the unit tests and the fuzz corpora run, a file a line.
.PHONY: cov
cov:
	$(Q)tools/install-deps check
	$(Q)$(MAKE) --no-print-directory O=$(O)-cov CFLAGS='-O0 -g --coverage' \
		LDFLAGS=--coverage tests
	$(Q)O='$(O)-cov' tests/run '^(unit|fuzz)/' | tail -n 1
	$(Q)cd $(O)-cov && for f in $$(find userspace -name '*.gcda'); do \
		gcov -n $$f 2>/dev/null | awk -v f=$${f%.gcda}.c \
		'/^File .*\.c.$$/ { own = index($$0, f) } \
		own && /^Lines/ { sub(/.*executed:/, ""); print $$0 "  " f; own = 0 }'; \
	done | sort -n

# --- Style -------------------------------------------------------------------------------

C_FILES = $(shell git ls-files '*.c' '*.h')
.PHONY: lint format
lint:
	$(Q)tools/check-layers
	$(Q)tools/check-style
format:
	$(Q)clang-format -i $(C_FILES)

# --- Manual pages, installation ------------------------------------------------------------

MAN_PAGES := $(patsubst userspace/man/%.scd,$(O)/man/%,$(wildcard userspace/man/*.scd))
.PHONY: man install clean help
man: $(MAN_PAGES)
$(O)/man/%: userspace/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN,$(@:$(O)/%=%))
	$(Q)scdoc < $< > $@

install: all man
	for program in ryll-bridge ryll-fuse; do \
		install -D -m 755 $(O)/$$program \
			$(DESTDIR)$(BINDIR)/$$program; \
	done
	for page in $(MAN_PAGES); do \
		install -D -m 644 $$page \
			$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; \
	done
	install -D -m 644 tools/packaging/70-ryll-bridge.rules \
		$(DESTDIR)$(UDEVDIR)/70-ryll-bridge.rules

clean:
	rm -rf $(O) $(O)-san $(O)-fuzz

help:
	@echo 'all          build the programs (installs nothing; see tools/install-deps)'
	@echo 'demo         install what is missing, build, show the main job in a real guest'
	@echo 'check        install what is missing, build, run every test (T=PATTERN: some)'
	@echo 'check-san    the tests that need no guest, under ASan and UBSan'
	@echo 'check-fresh  both in new Debian roots with nothing installed'
	@echo 'bench        measure against QEMU, sendfile and others (T=wire|guest|cost|fuse|real|spice)'
	@echo 'cov          the lines that unit tests and fuzz corpora run'
	@echo 'fuzz         each fuzz target for T=60 seconds'
	@echo 'lint format  check, or apply, the style'
	@echo 'man install clean'

.PHONY: FORCE
FORCE:
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(O) -name '*.d' 2>/dev/null)
