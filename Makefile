# Every target does its own set-up. What is downloaded or built is kept outside the checkout, in $XDG_CACHE_HOME/ffu.
SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ffu
FFU := target/debug/ffu
DEMO_SERIES := 2024.1 2024.2 2025.1 2025.2 2026.1
TEST_SERIES := rocky stein train victoria wallaby 2024.1 2024.2 2025.1
export CARGO_TERM_COLOR ?= auto

.PHONY: help setup build demo test check lab-guests marathon faults truth bench-watch bench-config bench-window bench-rollback bench-dump bench-growth fuzz catalogs screenshots config-table locks heads reference clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Install what the other targets need: MariaDB, uv and virtualenv in a venv of their own
	@scripts/setup

build: setup ## Build ffu
	@cargo build --quiet --bin ffu

demo: build ## Fast-forward a real lab cloud 2024.1 → 2026.1, and roll a second one back (about 15 minutes cold)
	@scripts/interpreters 3.11 3.12
	@scripts/demo

test: build ## Run every test, the real chains and the kill tests included
	@scripts/setup --tests --browser --qemu
	@scripts/interpreters 3.7 3.8 3.11 3.12
	@$(FFU) env build $(TEST_SERIES)
	@cargo nextest run --workspace --profile $(or $(NEXTEST_PROFILE),default)

check: ## Formatting and lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --quiet -- -D warnings

marathon: build ## Pike → 2026.2, all eighteen hops, unattended (an hour or two); writes docs/marathon/
	@scripts/interpreters 3.7 3.8 3.9 3.10 3.11 3.12 3.13
	@scripts/marathon

faults: build ## Every fault, then resume and rollback (20 minutes and more); writes docs/faults.md: make faults [PARTS="resume outside rollback warm accept extraction"] [MORE=1]
	@scripts/interpreters 3.7 3.11
	@$(FFU) env build rocky stein train 2024.1 2024.2
	@MORE="$(MORE)" scripts/faults $(PARTS)

truth: setup ## Outages made at known times beside what the watch found (root, five minutes); writes docs/watch-truth.md
	@scripts/truth

lab-guests: setup ## The tests of the lab's data plane alone, over Open vSwitch and with a QEMU guest, too (as root, three minutes)
	@scripts/setup --tests --qemu
	@cargo nextest run --package ffu-lab --package ffu -E 'binary(/^dataplane/) | binary(qemu)'

bench-config: setup ## ffu config against oslo-config-validator: CPU, files per second, memory, growth
	@scripts/interpreters 3.12
	@bench/config.sh

bench-watch: setup ## ffu watch beside fping: CPU, memory, probes really sent (as root): make bench-watch [TARGETS="1000 10000"]
	@cargo build --quiet --release --bin ffu
	@bench/watch.sh $(or $(TARGETS),1000 10000)

fuzz: ## Fuzz what reads bytes from outside (needs nightly Rust): make fuzz [SECONDS_EACH=60] [TARGETS="ini merge"]
	@scripts/fuzz

bench-window: setup ## The window by hand, with ffu run --cold, with ffu run, and its floor (about 25 minutes; CHAIN="train … 2026.1")
	@scripts/interpreters 3.7 3.8 3.9 3.10 3.11 3.12
	@cargo build --quiet --release --bin ffu
	@bench/window.sh $(or $(CHAIN),train ussuri victoria wallaby xena yoga zed 2023.1 2023.2 2024.1 2024.2 2025.1 2025.2 2026.1)

bench-rollback: setup ## The way back by copy and rename against mariadb-dump | gzip and loading it (SIZES="512M 1536M 5G")
	@scripts/interpreters 3.11 3.12
	@cargo build --quiet --release --bin ffu
	@bench/rollback.sh $(or $(SIZES),512M 1536M 5G)

bench-dump: setup ## The fallback of the way back: mariadb-dump in lanes against mydumper, and ffu's own dump in the clear and encrypted (SIZE=2G)
	@scripts/interpreters 3.11 3.12
	@cargo build --quiet --release --bin ffu
	@bench/dump.sh $(or $(SIZE),2G)

bench-growth: setup ## The window and the memory against rows, beside the statements alone; writes docs/images/growth.svg (20 minutes and 45 GB for SIZES="1000 10000 100000 1000000")
	@scripts/interpreters 3.11 3.12
	@cargo build --quiet --release --bin ffu
	@bench/growth.sh $(or $(SIZES),1000 10000 100000 1000000)

screenshots: ## Make the pictures of the live page and the report in docs/images again
	@scripts/screenshots

config-table: build ## Write docs/config-carry.md: what becomes of option names between any two series
	@scripts/config-table

locks: ## Make the lock files again: make locks [SERIES="train 2024.1"] [CONSTRAINTS=DIR]
	@scripts/setup-tools
	@CONSTRAINTS="$(CONSTRAINTS)" scripts/locks $(SERIES)

catalogs: build ## Dump the options and policy of every service again: make catalogs [SERIES=…] [SERVICES=…] [CONSTRAINTS=DIR]
	@CONSTRAINTS="$(CONSTRAINTS)" SERVICES="$(SERVICES)" scripts/catalogs $(SERIES)

heads: ## Read the schema heads again from the hop environments (all of them must be built)
	@scripts/heads --envs $(CACHE)/envs

reference: build ## Make docs/reference from the program
	@scripts/reference

clean: ## Remove what cargo built; the caches stay
	@cargo clean
