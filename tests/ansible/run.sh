#!/usr/bin/env bash
# run.sh INFRA FOLDER: the flagship's guests in the lab, and the real ansible-playbook with `infra inventory --ansible` as its
# inventory, twice: the second run changes nothing, and neither did what it did disturb infra's plan. Needs root.
set -euo pipefail
infra=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2/home"
folder=$(realpath "$2")
command -v ansible-playbook >/dev/null || {
	apt-get update -q && apt-get install -y -q --no-install-recommends ansible-core
}
cd "$folder"
export HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" INFRA_LAB_DIR="$folder/lab"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}" ANSIBLE_HOME="$folder/ansible" LC_ALL=C.UTF-8
system=$folder/inventory/media-server-home
trap '"$infra" -i "$system" lab down' EXIT
"$infra" lab reset
rm -rf inventory templates
"$infra" init media-server-home >/dev/null
"$infra" -i "$system" lab up --kind namespace
"$infra" -i "$system" --lab up --yes --no-verify

cat >hosts.sh <<SCRIPT
#!/bin/sh
exec "$infra" -i "$system" --lab --lab-dir "$folder/lab" --quiet inventory --ansible "\$@"
SCRIPT
chmod +x hosts.sh
network=$(basename "$(sed -n 's/.*"operator_netns": *"\([^"]*\)".*/\1/p' lab/state.json)")
play() { ip netns exec "$network" ansible-playbook -i hosts.sh "$here/playbook.yaml" | tee "$1"; }
play first.log
play second.log
if grep -E 'changed=[1-9]|unreachable=[1-9]|failed=[1-9]' second.log; then
	echo "the second run changed something or failed" >&2
	exit 1
fi
[ "$(grep -c 'ok=' second.log)" = 3 ]
"$infra" -i "$system" --lab plan --exit-code
echo "ansible-playbook ran on three hosts, twice; infra's plan is empty."
