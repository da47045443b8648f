#!/usr/bin/env bash
# run.sh INFRA FOLDER: a night of sanoid and a night of infra, side by side in one run on real OpenZFS, each on a zpool of its own
# with the same 50 datasets and 1,000 snapshots of twenty days. Both take the day's 50 and drop what is older than ten days.
# Twice, on zpools made anew: once for the time, once with every `zfs` and `zpool` counted. Needs root and the rig (tests/zfs/rig/rig.sh build).
# sanoid runs on the machine itself; infra comes over SSH as it always does, so its time has that in it.
set -euo pipefail
infra=$(realpath "$1") folder=$2 here=$(cd "$(dirname "$0")" && pwd)
rig="$here/../../tests/zfs/rig/rig.sh" port=$((20000 + $$ % 20000))
cache=$("$rig" have) || { echo "no machine with OpenZFS: run tests/zfs/rig/rig.sh build"; exit 1; }
rm -rf "$folder"
mkdir -p "$folder/inventory" "$folder/home"
folder=$(realpath "$folder")
trap '"$rig" down "$folder/guest"' EXIT
"$rig" up "$folder/guest" "$port" >/dev/null
guest() {
  ssh -F none -i "$cache/operator_ed25519" -p "$port" -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=yes \
    -o UserKnownHostsFile="$cache/known_hosts" -o HostKeyAlias=infra-zfs-rig -o ServerAliveInterval=15 root@127.0.0.1 "$@"
}
datasets=$(seq -f 'd%02g' 1 50)
{ echo "[127.0.0.1]:$port $(cut -d ' ' -f 2,3 "$cache/known_hosts")"; echo "nas $(cut -d ' ' -f 2,3 "$cache/known_hosts")"; } >"$folder/inventory/known_hosts"
cat >"$folder/inventory/system.yaml" <<YAML
version: 1
name: home
hosts:
  nas: {address: 127.0.0.1, ssh: {port: $port, identity: $cache/operator_ed25519}}
zones: {lan: {cidrs: 127.0.0.0/8}}
sets: {operators: [127.0.0.9]}
operators: operators
services: {shell: $port/tcp}
flows: [{from: operators, to: nas, allow: shell, reason: administration}]
retention: {ten: {last: 1, daily: 10}}
zfs:
  cellar:
    host: nas
    datasets:
$(for name in $datasets; do echo "      $name: {snapshots: daily, retention: ten}"; done)
YAML

stage() {
  echo "making two zpools with 50 datasets and 1,000 snapshots each" >&2
  guest sh -eu <<SH
for pool in tank cellar; do if zpool list \$pool >/dev/null 2>&1; then zpool destroy \$pool; fi; done
rm -rf /var/cache/sanoid /var/lib/sanoid
zpool create -f -O mountpoint=none tank /dev/vdg
zpool create -f -O mountpoint=none cellar /dev/vdh
systemctl stop systemd-timesyncd 2>/dev/null || true
now=\$(date +%s)
for name in $(echo $datasets); do zfs create tank/\$name; zfs create cellar/\$name; done
age=20
while [ \$age -gt 0 ]; do
  date -s "@\$((now - age * 86400))" >/dev/null
  theirs=\$(date -u +%Y-%m-%d_%H:%M:%S) ours=infra_auto_\$(date -u +%Y%m%dT%H%M%SZ)
  set --
  for name in $(echo $datasets); do set -- "\$@" "tank/\$name@autosnap_\${theirs}_daily"; done
  zfs snapshot "\$@"
  set --
  for name in $(echo $datasets); do set -- "\$@" "cellar/\$name@\$ours"; done
  zfs snapshot -o "org.infra:snapshot=home/\$ours" "\$@"
  age=\$((age - 1))
done
date -s "@\$now" >/dev/null
mkdir -p /etc/sanoid
cat >/etc/sanoid/sanoid.conf <<CONF
[tank]
use_template = night
recursive = yes
process_children_only = yes
[template_night]
frequently = 0
hourly = 0
daily = 10
weekly = 0
monthly = 0
yearly = 0
daily_hour = 0
daily_min = 0
autosnap = yes
autoprune = yes
CONF
SH
}
ours() { HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" NO_COLOR=1 \
  "$infra" -i "$folder/inventory" zfs snapshot --all --prune --max-share 100 --clock-is-right; }
theirs() { guest 'TZ=UTC sanoid --cron --verbose'; }
seconds() { local begun; begun=$(date +%s.%N); "$@" >>"$folder/run.log" 2>&1 || { tail -n 20 "$folder/run.log" >&2; return 1; }; echo "$(date +%s.%N) - $begun" | bc; }
left() { guest "zfs list -H -t snapshot -o name -r $1 | wc -l"; }
stage
before="$(left tank) and $(left cellar)"
t_theirs=$(seconds theirs)
t_ours=$(seconds ours)
after="$(left tank) and $(left cellar)"

# The same night again, with every command written down.
stage
guest sh -eu <<'SH'
for name in zfs zpool; do
  printf '#!/bin/sh\necho %s "$@" >>/run/commands\nexec /usr/sbin/%s "$@"\n' "$name" "$name" >"/usr/local/sbin/$name"
  chmod 755 "/usr/local/sbin/$name"
done
SH
commands() { guest 'rm -f /run/commands'; "$@" >>"$folder/run.log" 2>&1; guest 'wc -l </run/commands'; guest 'cut -d " " -f 1,2 /run/commands | sort | uniq -c' >&2; }
c_theirs=$(commands theirs)
c_ours=$(commands ours)
echo "snapshots before: $before; after: $after; after the counted night: $(left tank) and $(left cellar)"
echo "a night, 50 taken and some 550 dropped: sanoid $t_theirs s, infra $t_ours s, ratio $(echo "scale=1; $t_theirs / $t_ours" | bc)"
echo "commands of such a night: sanoid $c_theirs, infra $c_ours, ratio $(echo "scale=1; $c_theirs / $c_ours" | bc)"
