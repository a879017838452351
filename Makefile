# The few commands this project is worked with; CI calls the same ones.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench build unit e2e packages setup install uninstall dist

# What is set on make's command line is meant for this file. make would hand it down to every make below, also to that of a
# build script: OpenSSL's installs itself below DESTDIR, where its crate does not look. What compilers are to know belongs in
# the environment, which goes on as it is.
unexport $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
unexport ARGS MAKEFLAGS MFLAGS MAKEOVERRIDES GNUMAKEFLAGS
# make exports this one whatever it is told.
CARGO := env -u MAKELEVEL cargo

# cargo-nextest runs the tests in parallel processes, more than there are cores since many wait for something; a machine without
# it has plain `cargo test`.
CARGO_TEST := $(shell command -v cargo-nextest >/dev/null && echo nextest run --test-threads $$((2 * $$(nproc))) || echo test)

# What the demo and the browser tests start: all of it in one build, so that a crate both share is built once.
PROGRAMS := --bin web --bin secrets-init --bin log-shipper --bin backup-worker --bin demo

help: ## What can be done here
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build and start everything on this machine; Ctrl-C stops it. ARGS=--help tells what it can do
	$(CARGO) build $(PROGRAMS)
	$(CARGO) run --quiet --bin demo -- $(ARGS)

test: ## Install what the tests need, run all of them, and tell what took how long
	dev/e2e/run_parts.py packages setup+build check unit e2e

check: setup ## Formatting, lints, dependencies, scripts, secrets: warnings denied
	$(CARGO) fmt --all -- --check
	dev/checks/run
	$(CARGO) clippy --workspace --all-targets -- -D warnings

build: ## Compile programs and tests, each crate once for all that is run below
	$(CARGO) build --workspace --all-targets

unit: ## The tests written in Rust
	$(CARGO) $(CARGO_TEST) --workspace

# The sites that the tests start are the binaries of the debug build. ARGS narrows a run: make e2e ARGS='-k idle'.
# Most tests wait for something, so more modules run at once than there are cores.
e2e: setup build ## The tests in a real browser
	.venv/bin/python -m pytest dev/e2e --numprocesses=4 --no-loadscope-reorder --junitxml=target/e2e-report.xml $(ARGS)

setup: ## Install what the tests need
	dev/e2e/setup

packages: ## Those of Debian alone
	dev/e2e/setup packages

bench: ## Measure a release build, beside others
	$(CARGO) build --release --locked $(addprefix --bin ,$(RELEASED) seed)
	$(CARGO) build --release --locked --package wardpost-store --example raw_rates
	$(CARGO) build --release --locked --package wardpost-web --example fixed_reply
	dev/bench/setup
	target/bench/tools/venv/bin/python dev/bench/run.py $(ARGS)

# ---- For an operator ---------------------------------------------------------------------------------------------------
PREFIX ?= /usr/local
# The folder of programs to install; without it, a release is built.
BINARIES ?= target/release
# Nor are these handed down where they come from the environment. (Named any earlier, they would count as set.)
unexport DESTDIR PREFIX BINARIES
RELEASED := web secrets-init log-shipper backup-worker
LIBRARY := $(DESTDIR)$(PREFIX)/lib
UNITS := $(notdir $(wildcard systemd/units/*.service systemd/units/*.socket systemd/units/*.target systemd/units/*.timer))
HARDENING := wardpost-.service.d/10-hardening.conf
GENERATOR := wardpost-credentials-generator
# The files name /usr/local.
PLACE := sed 's|/usr/local/|$(PREFIX)/|g'

install: ## Install programs and systemd units under PREFIX (/usr/local), below DESTDIR; BINARIES=target/debug needs no release
ifeq ($(BINARIES),target/release)
# One by one: built together, each would have the features that any of them asks for.
	for program in $(RELEASED); do $(CARGO) build --release --locked --package wardpost-$$program || exit; done
endif
	install -d $(LIBRARY)/wardpost $(LIBRARY)/systemd/system/wardpost-.service.d $(LIBRARY)/sysusers.d $(LIBRARY)/tmpfiles.d
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/wardpost/adr $(DESTDIR)/etc/wardpost
	install -m 755 $(RELEASED:%=$(BINARIES)/%) $(LIBRARY)/wardpost
	cd systemd/units && for unit in $(UNITS) $(HARDENING); do \
	  $(PLACE) $$unit | install -m 644 /dev/stdin $(LIBRARY)/systemd/system/$$unit || exit; done
	install -m 755 systemd/refuse-database-key $(LIBRARY)/wardpost
	install -D -m 755 systemd/$(GENERATOR) $(LIBRARY)/systemd/system-generators/$(GENERATOR)
	$(PLACE) systemd/wardpost | install -m 755 /dev/stdin $(DESTDIR)$(PREFIX)/bin/wardpost
	install -m 644 systemd/wardpost.sysusers $(LIBRARY)/sysusers.d/wardpost.conf
	install -m 644 systemd/wardpost.tmpfiles $(LIBRARY)/tmpfiles.d/wardpost.conf
	install -m 644 README.md CHANGELOG.md docs/*.md docs/alerts.yaml systemd/wardpost.env compose/edge/nginx.conf $(DESTDIR)$(PREFIX)/share/doc/wardpost
	install -m 644 docs/adr/*.md $(DESTDIR)$(PREFIX)/share/doc/wardpost/adr
# An upgrade keeps the operator's own.
	test -e $(DESTDIR)/etc/wardpost/wardpost.env || install -m 640 systemd/wardpost.env $(DESTDIR)/etc/wardpost
ifeq ($(DESTDIR),)
	systemd-sysusers wardpost.conf
	systemd-tmpfiles --create wardpost.conf
	systemctl daemon-reload
endif

uninstall: ## Remove what install has put in place; settings and data stay
ifeq ($(DESTDIR),)
	-systemctl disable --now wardpost.target
endif
	rm -rf $(LIBRARY)/wardpost $(DESTDIR)$(PREFIX)/bin/wardpost $(DESTDIR)$(PREFIX)/share/doc/wardpost
	rm -f $(addprefix $(LIBRARY)/systemd/system/,$(UNITS) $(HARDENING))
	rm -f $(LIBRARY)/systemd/system-generators/$(GENERATOR)
	rm -f $(LIBRARY)/sysusers.d/wardpost.conf $(LIBRARY)/tmpfiles.d/wardpost.conf

dist: ## The files of a release, in target/dist; BINARIES=target/debug tries the packages without a release build
	env -u MAKELEVEL $(if $(filter-out target/release,$(BINARIES)),BINARIES='$(BINARIES)') dev/dist/release $(RELEASED)
