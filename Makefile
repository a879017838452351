# The few commands this project is worked with; CI calls the same ones.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench unit e2e setup

# cargo-nextest runs the tests in parallel processes; a machine without it has plain `cargo test`.
CARGO_TEST := $(shell command -v cargo-nextest >/dev/null && echo 'nextest run' || echo test)

# What the demo and the browser tests start: all of it in one build, so that a crate both share is built once.
PROGRAMS := --bin web --bin secrets-init --bin log-shipper --bin backup-worker --bin demo

help: ## What can be done here
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build and start everything on this machine; Ctrl-C stops it. ARGS=--help tells what it can do
	cargo build $(PROGRAMS)
	cargo run --quiet --bin demo -- $(ARGS)

test: setup check unit e2e ## Install what the tests need, then run all of them

check: ## Formatting and lints, warnings denied
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings

unit: ## The tests written in Rust
	cargo $(CARGO_TEST) --workspace

# The sites that the tests start are the binaries of the debug build. ARGS narrows a run: make e2e ARGS='-k idle'.
e2e: setup ## The tests in a real browser
	cargo build $(PROGRAMS) --bin seed --bin provider
	.venv/bin/python -m pytest e2e $(ARGS)

setup: ## Install what the tests need
	e2e/setup

bench: ## Measure speed and memory of a release build
	bench/run $(ARGS)
