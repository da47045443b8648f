#!/bin/sh
# The main job, as a newcomer runs it: `demo.sh INFRA FOLDER`. The lab, the inventory and every key live below FOLDER.
# Ends with an error unless everything comes up, every check holds and the second plan is empty.
set -eu
infra=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
export HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}" INFRA_LAB_DIR="$folder/lab"
if [ "$(id -u)" != 0 ]; then
	echo "The demo's guests are real Debian systems in namespaces, which needs root: run it as root, for example with sudo." >&2
	exit 1
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
"$infra" -i inventory/media-server-home lab up
echo "== infra --lab up"
"$infra" -i inventory/media-server-home --lab up --yes
echo "== infra --lab status"
"$infra" -i inventory/media-server-home --lab status
echo "== infra --lab plan: a second run changes nothing"
"$infra" -i inventory/media-server-home --lab plan --exit-code
echo "The demo took $(($(date +%s) - begun)) s."
