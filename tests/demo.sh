#!/bin/sh
# The main job, as a newcomer runs it: `demo.sh INFRA FOLDER [KIND]`. The lab, the inventory and every key live below
# FOLDER. KIND is `namespace` or `scripted`; without it the lab takes real guests where this machine can, and says why
# when it cannot. Ends with an error unless everything comes up, no check fails and the second plan is empty.
set -eu
infra=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
kind=${3:-}
export HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export INFRA_LAB_DIR="$folder/lab"
if [ "$(id -u)" = 0 ]; then
	# Guest images are large: they are shared by everything that root runs.
	export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}"
else
	export XDG_CACHE_HOME="$folder/cache"
fi
mkdir -p "$HOME"
cd "$folder"
begun=$(date +%s)
trap '"$infra" lab down || true' EXIT
"$infra" lab reset
rm -rf "$folder/inventory" "$folder/templates"
echo "== infra init media-server-home"
"$infra" init media-server-home >/dev/null
echo "== infra lab up"
"$infra" -i inventory/media-server-home lab up ${kind:+--kind "$kind"}
echo "== infra --lab up"
"$infra" -i inventory/media-server-home --lab up --yes
echo "== infra --lab status"
"$infra" -i inventory/media-server-home --lab status
echo "== infra --lab plan: a second run changes nothing"
"$infra" -i inventory/media-server-home --lab plan --exit-code
echo "The demo took $(($(date +%s) - begun)) s."
