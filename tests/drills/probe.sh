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

echo "== a ban of fail2ban reaches containers, and ours leaves it alone"
on extranet sh <<'JAIL'
cat >/etc/fail2ban/jail.d/containers.local <<'CONF'
[containers]
enabled = true
filter = sshd
action = iptables-allports[name=containers, chain=DOCKER-USER, blocktype=DROP]
CONF
fail2ban-client reload >/dev/null
fail2ban-client set containers banip 192.168.1.50 >/dev/null
JAIL
banned() {
	# Every published port is closed for who is banned, and for nobody else: TCP 80 and 443.
	lab firewall probe >"$folder/banned" && { echo "no cell differs: the ban does not reach containers" >&2; exit 1; }
	grep -q 'here -> extranet .* 443/tcp: expected open .* seen closed' "$folder/banned"
	! grep 'expected .* seen ' "$folder/banned" | grep -v 'here -> extranet .* seen closed\|not judged'
}
banned
on extranet systemctl restart infra-docker-firewall.service
lab firewall plan --exit-code
banned
on extranet fail2ban-client set containers unbanip 192.168.1.50
probe "after the ban"
on extranet sh <<'JAIL'
rm /etc/fail2ban/jail.d/containers.local
fail2ban-client reload
JAIL
lab firewall plan --exit-code
