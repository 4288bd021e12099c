# Two commands do everything on a fresh machine: `make run` and `make test`. The rest are their parts.

PORT ?= 8000
FIXTURES ?=
CONNECTS ?= 1000000
CARGO ?= cargo
# One profile for everything, so that a fresh machine compiles the dependencies once (see Cargo.toml).
BUILD = --release --locked --workspace
# rustfmt does not follow the modules that the list of features declares.
FEATURES_FORMAT = --edition 2024 --config-path . crates/features/src/*/mod.rs
export CAMPANILE_BIN = $(CURDIR)/target/release/campanile

.DEFAULT_GOAL := help
.PHONY: help run build test check fmt deny test-with-servers acceptance storm fuzz deb try-deb
# The steps of one goal share cargo's lock and the servers: never two at once.
.NOTPARALLEL:

help: ## shows this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1	\2/' | expand -t 22

run: ## builds the release binary and starts it with a demo school on SQLite (PORT=8000)
	$(CARGO) build --release --locked --package campanile
	exec target/release/campanile serve --dev --listen 127.0.0.1:$(PORT)

build:
	$(CARGO) build $(BUILD) --all-targets

test: ## installs what the tests need, runs every test of every language on both stores, stops what it started
	@rm -f target/stages.txt
	@scripts/stage --quiet "what the tests need" scripts/install-test-needs
	@scripts/stage "format, lints, house rules, licences" $(MAKE) --no-print-directory check
	@scripts/stage "build" $(MAKE) --no-print-directory build
	@scripts/with-postgres $(MAKE) --no-print-directory test-with-servers

# Under scripts/with-postgres only.
test-with-servers:
	@scripts/stage "Rust tests" $(CARGO) test $(BUILD)
	@scripts/stage "Python clients" scripts/run-python-tests
	@scripts/stage "short acceptance run" scripts/short-acceptance

check: ## format, clippy, the house rules, licences and bans
	$(CARGO) fmt --all --check
	rustfmt --check $(FEATURES_FORMAT)
	$(CARGO) clippy $(BUILD) --all-targets --quiet -- -D warnings
	$(CARGO) run --release --locked --quiet --package xtask -- tidy
	@$(MAKE) --no-print-directory deny

fmt: ## formats the Rust sources
	$(CARGO) fmt --all
	rustfmt $(FEATURES_FORMAT)

# Advisories are left out: their database comes over the network, and a test must not depend on the day it runs.
deny: ## licences, banned crates and sources by deny.toml
	@test -x .campanile/cargo/bin/cargo-deny || { echo "cargo-deny is missing: scripts/install-test-needs installs it"; exit 1; }
	PATH="$(CURDIR)/.campanile/cargo/bin:$$PATH" $(CARGO) deny --locked --log-level error check licenses bans sources

acceptance: build ## the whole run on real data, on both stores, into docs/acceptance.md (FIXTURES=folder)
	@test -n "$(FIXTURES)" || { echo "say where the data sets are: make acceptance FIXTURES=folder"; exit 2; }
	scripts/install-test-needs
	scripts/with-postgres scripts/full-acceptance "$(FIXTURES)"

storm: build ## a million connects and disconnects; memory must come back to where it was (CONNECTS=1000000)
	target/release/campanile-bench storm --total $(CONNECTS)

fuzz: ## fuzzes what parses bytes from strangers, on nightly (FUZZ_SECONDS=60 a target)
	scripts/fuzz

deb: ## the Debian package, from a stripped release build, into target/packages/
	scripts/package

try-deb: deb ## installs the package on this Debian, starts it, upgrades it and removes it again (root)
	scripts/package "$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)+upgrade"
	scripts/try-package
