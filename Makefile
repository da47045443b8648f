# The one entrance. `make` lists what there is.
.DEFAULT_GOAL := help
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
export CARGO_TERM_COLOR ?= auto

.PHONY: help deps check test

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

deps: ## Install the Debian packages that building needs
	@command -v pkg-config >/dev/null && pkg-config --exists libssl zlib && command -v cc >/dev/null || \
	  { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends build-essential pkg-config libssl-dev zlib1g-dev; }

check: deps ## Formatting, lints, and licences where cargo-deny is installed
	cargo fmt --all -- --check
	cargo clippy --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: bans, licences and sources not checked"; fi

test: deps ## All tests
	cargo test --locked
