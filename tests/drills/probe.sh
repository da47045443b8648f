#!/bin/sh
# The flagship's cells on the live system, after everything that is known to move rules about: `probe.sh INFRA FOLDER`.
# Ends with an error when a single cell differs from the matrix.
set -eu
. "$(dirname "$0")/../real_lab.sh"
trap '"$infra" lab down || true' EXIT
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
fresh
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
