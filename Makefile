# The one entrance. `make` lists what there is.
.DEFAULT_GOAL := help
IS_ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(IS_ROOT),,sudo)
INFRA := target/debug/infra
DEMO := target/demo
BUILD_PACKAGES := build-essential pkg-config libssl-dev zlib1g-dev
LAB_PACKAGES := mmdebstrap systemd-container iproute2 iptables nftables ipset conntrack wireguard-go wireguard-tools btrfs-progs e2fsprogs openssh-client openssh-server curl libarchive-tools
# The slow suites, each a target `nightly-<suite>`, in the order in which all of them run.
SUITES := demo drift days kills budget faults firewall drills systems restore timers playbooks live ansible cgroup2 zfs
export CARGO_TERM_COLOR ?= auto

.PHONY: help deps lab-deps build demo check test check-libzetta nightly bench bench-ansible bench-sanoid $(SUITES:%=nightly-%)

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

deps: ## Install the Debian packages that building needs
	@command -v cc >/dev/null && command -v pkg-config >/dev/null && pkg-config --exists libssl zlib || \
	  { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends $(BUILD_PACKAGES); }

lab-deps: ## Install the Debian packages that real guests in namespaces need; without root they are left out
	@if [ -z "$(IS_ROOT)" ]; then echo "Not root: the lab's guests will be scripted ones, and suites with real guests are skipped."; \
	else dpkg-query -W $(LAB_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update -q && apt-get install -y -q --no-install-recommends $(LAB_PACKAGES); } || \
	  echo "Some packages could not be installed: the lab's guests may have to be scripted ones."; fi

build: deps ## Build the program
	cargo build --locked

demo: build lab-deps ## Bring the flagship up in the lab, then a second plan that is empty; KIND=scripted for guests in memory
	@sh tests/demo.sh $(INFRA) $(DEMO) $(KIND)

check: deps ## Formatting, lints, and licences where cargo-deny is installed
	cargo fmt --all -- --check
	cargo clippy --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	  else echo "cargo-deny is not installed: bans, licences and sources are not checked"; fi

test: deps lab-deps ## All tests
	cargo test --locked

check-libzetta: deps ## Lints and unit tests with the feature libzetta; libzfs_core of this machine, else Debian's, into the cache
	tests/zfs/rig/headers.sh cargo clippy --locked $(LIBZETTA) --lib --bins --test zfs -- -D warnings
	tests/zfs/rig/headers.sh cargo test --locked $(LIBZETTA) --lib zfs

NIGHTS := INFRA_NIGHTLY=1 cargo test --locked --test nights -- --nocapture --test-threads=1
nightly: build lab-deps ## The slow suites on real machines, and a report in Markdown; SUITE=name runs one of them
	@sh tests/nightly.sh target/nightly-report "$(SUITES)" $(filter-out all,$(SUITE))
nightly-demo:
	sh tests/demo.sh $(INFRA) target/nightly
nightly-drift nightly-days nightly-budget:
	$(NIGHTS) $(@:nightly-%=%)::
# `kill -9` at every kind of step: on scripted hosts that have more than the flagship, then on real guests.
nightly-kills:
	INFRA_KILLS=all cargo test --locked --test days crash:: -- --nocapture
	$(NIGHTS) kills::
# Every kind of write of `up` interrupted in every way; `make test` runs a sample of it. Optimised: most of it is work, not waiting.
nightly-faults:
	INFRA_FAULTS=all cargo test --locked --profile bench --test cluster faults -- --nocapture
nightly-firewall:
	INFRA_MATRICES=500 cargo test --locked --test firewall proof:: -- --nocapture
nightly-drills:
	INFRA_DRILLS=all cargo test --locked --test drills -- --nocapture
	sh tests/drills/probe.sh $(INFRA) target/nightly-probe
# The reference systems up from nothing, and every mistake in them red.
nightly-systems:
	INFRA_SYSTEMS=1 cargo test --locked --test systems real:: -- --nocapture --test-threads=1
# Backups with the real restic and borg: what comes back is equal, whatever is broken loses no good backup, and a system
# that is lost comes back as a whole.
nightly-restore:
	sh tests/backup/databases.sh target/nightly-databases
	sh tests/backup/night.sh $(INFRA) target/nightly-restore
	sh tests/backup/disaster.sh $(INFRA) target/nightly-disaster
# Nights under a real systemd, on the node that runs them.
nightly-timers:
	sh tests/timers/systemd.sh $(INFRA) target/nightly-timers
# Playbooks on real guests: hardened, updated, and an update that goes wrong.
nightly-playbooks:
	sh tests/playbooks/real.sh $(INFRA) target/nightly-playbooks
# The suite for a real Proxmox, rehearsed in the lab.
nightly-live:
	tests/live/rehearsal/rehearsal.sh $(INFRA) target/rehearsal
# A playbook that ansible-playbook runs on real guests, with infra's inventory.
nightly-ansible:
	tests/ansible/run.sh $(INFRA) target/nightly-ansible
# The main job on a Debian with cgroup v2 alone, in a machine under QEMU.
nightly-cgroup2:
	sh tests/cgroup2/machine.sh $(INFRA) target/nightly-cgroup2
# Real OpenZFS in a QEMU guest: built when it is not in the cache, then the whole suite on it, with both engines.
nightly-zfs: check-libzetta
	tests/zfs/rig/rig.sh build
	INFRA_NIGHTLY=zfs cargo test --locked --test zfs -- --nocapture
	INFRA_NIGHTLY=zfs tests/zfs/rig/headers.sh cargo test --locked $(LIBZETTA) --test zfs lzc:: -- --nocapture
# Apart from what everybody else builds: with the feature the program starts only where libzfs_core is.
LIBZETTA := --features libzetta --target-dir target/libzetta

bench-ansible: build lab-deps ## The flagship with nothing to do, against Ansible; needs root and ansible-playbook (see the script)
	benches/ansible/run.sh $(INFRA) target/bench-ansible

bench-sanoid: build ## A night of sanoid and one of infra on real OpenZFS; needs root and the rig (tests/zfs/rig/rig.sh build)
	benches/sanoid/run.sh $(INFRA) target/bench-sanoid

bench: deps ## Measure what the documents claim; fails where a limit is missed
	cargo bench --locked --bench retention --bench firewall --bench cluster --bench stacks
