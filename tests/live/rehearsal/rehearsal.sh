#!/usr/bin/env bash
# rehearsal.sh INFRA FOLDER: the live suite against the lab, from its operator's network and without `--lab`: pinned TLS and host
# keys, a key file, an API token, just as against a Proxmox that somebody gives up for it. Needs root and the lab's packages.
set -euo pipefail
infra=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../../.." && pwd)
mkdir -p "$2/home"
folder=$(realpath "$2")
cd "$root"
suite=$(cargo test --locked --test live --no-run --message-format=json |
	jq -r 'select(.profile.test? and .target.name == "live") | .executable')
cd "$folder"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export HOME="$folder/home" INFRA_LAB_DIR="$folder/lab"
system=$here/system
trap '"$infra" lab down' EXIT
"$infra" lab reset
"$infra" -i "$system" lab up --kind namespace

state() { jq -er "$1" "$folder/lab/state.json"; }
state '.known_hosts[]' >known_hosts
cp "$(state .operator_key)" key && chmod 600 key
state .operator_public_key >key.pub
export INFRA_LIVE_OK_TO_DESTROY=scratch INFRA_LIVE_NODE=pve INFRA_LIVE_ADDRESS=192.168.1.10 \
	INFRA_LIVE_FINGERPRINT="$(state .fingerprint | sed 's/../&:/g; s/:$//')" \
	INFRA_LIVE_TOKEN_ID="$(state .token_id)" INFRA_LIVE_TOKEN="$(state .token_secret)" \
	INFRA_LIVE_KNOWN_HOSTS="$folder/known_hosts" INFRA_LIVE_KEY="$folder/key" INFRA_LIVE_OPERATOR=192.168.1.50 \
	INFRA_LIVE_NETWORK=192.168.1.0/24 INFRA_LIVE_GATEWAY=192.168.1.1 INFRA_LIVE_NAMESERVER=192.168.1.1 \
	INFRA_LIVE_GUEST=192.168.1.20 INFRA_LIVE_IMAGE="$(state '.images["debian-13"][0]')" \
	INFRA_LIVE_CHECKSUM="sha256:$(state '.images["debian-13"][1]')"
ip netns exec "$(basename "$(state .operator_netns)")" "$suite" --nocapture
