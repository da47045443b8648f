#!/bin/sh
# The flagship's cells on the live system, after everything that is known to move rules about: `probe.sh INFRA FOLDER`.
# Ends with an error when a single cell differs from the matrix.
set -eu
infra=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
export HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}" INFRA_LAB_DIR="$folder/lab"
mkdir -p "$HOME"
cd "$folder"
trap '"$infra" lab down || true' EXIT
"$infra" lab reset
rm -rf inventory templates
"$infra" init media-server-home >/dev/null
lab() { "$infra" -i inventory/media-server-home --lab "$@"; }
on() {
	guest=$1
	shift
	lab vm ssh "$guest" -- sudo "$@"
}
probe() {
	echo "== probe $1"
	# Docker may still be starting its containers: the cells are asked until they hold, three times at most.
	lab firewall probe || lab firewall probe || lab firewall probe
}
"$infra" -i inventory/media-server-home lab up
lab up --yes
probe "after up"
for guest in intranet extranet; do on "$guest" ufw reload; done
probe "after ufw reload"
for guest in intranet extranet; do on "$guest" systemctl restart docker; done
probe "after systemctl restart docker"
for guest in intranet extranet; do on "$guest" systemctl reboot || true; done
lab up --yes
probe "after a reboot of the guests"
