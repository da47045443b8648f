#!/usr/bin/env bash
# run.sh INFRA FOLDER: the flagship in the lab with real guests, then nothing to do, then one line of one stack changed: `infra up`
# against Ansible with the same desired state, in one run. Needs root, the lab's packages, and `ansible-playbook` with `proxmoxer` and `requests` beside it
# (`pip install ansible proxmoxer requests`; ANSIBLE_BIN names the folder when it is not in PATH).
set -euo pipefail
infra=$(realpath "$1") folder=$2 here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder/home"
cd "$folder"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" XDG_STATE_HOME="$PWD/state" XDG_CONFIG_HOME="$PWD/config"
export HOME="$PWD/home" PATH="${ANSIBLE_BIN:+$ANSIBLE_BIN:}$PATH" ANSIBLE_CONFIG="$here/ansible.cfg"
system=inventory/media-server-home
[ -d "$system" ] || "$infra" init media-server-home >/dev/null

export INFRA_LAB_DIR="$PWD/lab"
trap '"$infra" -i $system lab down' EXIT
"$infra" -i $system lab up
# The whole desired state stands in the plan of a lab in which nothing has been made.
"$infra" -i $system --lab --json plan >plan.json
"$infra" -i $system --lab up --yes >up.log
mkdir -p desired
python3 "$here/translate.py" plan.json lab/state.json desired
network=$(basename "$(python3 -c 'import json; print(json.load(open("lab/state.json"))["operator_netns"])')")

seconds() { local begun; begun=$(date +%s.%N); "$@" >>run.log 2>&1; echo "$(date +%s.%N) - $begun" | bc; }
best() { for _ in 1 2 3; do seconds "$@"; done | sort -n | head -n 1; }
playbook=(ip netns exec "$network" ansible-playbook -i desired/hosts.json "$here/playbook.yaml")
# Once without being counted: connections are made, and what the modules write differently is written.
"${playbook[@]}" >ansible.log
ours=$(best "$infra" -i $system --lab up --yes --no-verify)
theirs=$(best "${playbook[@]}")
"$infra" -i $system --lab plan --exit-code
ratio() { echo "$1: infra up $2 s, ansible-playbook $3 s, ratio $(echo "scale=1; $3 / $2" | bc)"; }
ratio "nothing to do" "$ours" "$theirs"
# One line of a compose file, which makes a container anew; each side has a value that the other has not written.
line() { sed -i "s/max-file: \"[0-9]*\"/max-file: \"$1\"/" "$2" && grep -q "max-file: \"$1\"" "$2"; }
line 4 templates/node-exporter/compose.yaml
ours=$(seconds "$infra" -i $system --lab up --yes --no-verify)
"$infra" -i $system --lab plan --exit-code
line 5 desired/files/extranet/node-exporter/compose.yaml
theirs=$(seconds "${playbook[@]}")
runs=$("$infra" -i $system --lab vm ssh extranet -- sudo docker inspect --format "'{{index .HostConfig.LogConfig.Config \"max-file\"}}'" node-exporter-node-exporter-1)
[ "$runs" = 5 ] || { echo "Ansible did not change the container: $runs" >&2; exit 1; }
ratio "one line" "$ours" "$theirs"
