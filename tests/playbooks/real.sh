#!/bin/sh
# Playbooks on real guests: `real.sh INFRA FOLDER`. The flagship is hardened, twice; then `update`, with one image that was moved to
# something that never gets well: its stack goes back to what ran before, every other one has the images of today, and the plan is empty.
set -eu
. "$(dirname "$0")/../real_lab.sh"
on() { host=$1; shift; lab vm ssh "$host" -- sudo "$@" 2>/dev/null; }
# A tag of this suite alone, in what the lab's registries serve; it can be moved.
tags="$XDG_CACHE_HOME/infra/lab/images/tags/docker.io"
moving="$tags/jellyfin/jellyfin/_tags/night-$$"
trap 'rm -f "$moving"; "$infra" lab down || true' EXIT
fresh
# By now the lab has built the image behind the tag that the flagship names.
cp "$tags/jellyfin/jellyfin/_tags/10.10.7" "$moving"
sed -i "s|jellyfin/jellyfin:10.10.7|jellyfin/jellyfin:night-$$|" templates/images.yaml
# The lab's guests share this machine's kernel, whose settings are not theirs.
sed -i -e '/name: kernel messages/,+1d' -e '/key: kernel\./d' playbooks/harden.yaml
grep -q "net.ipv4.conf.all.send_redirects" playbooks/harden.yaml && ! grep -q "key: kernel" playbooks/harden.yaml
ends 0 up --yes

say "harden, twice"
ends 0 play harden --yes
ends 0 play harden --yes
grep -q "Nothing to change" said || wrong "a second time it changed something: $(cat said)"
for host in intranet extranet; do
	on "$host" "sshd -T" | grep -qx "maxauthtries 3" || wrong "sshd on $host takes more than three guesses"
	on "$host" "fail2ban-client status sshd" | grep -q "Currently banned" || wrong "fail2ban on $host does not watch sshd"
	[ "$(on "$host" "sysctl -n net.ipv4.conf.all.send_redirects")" = 0 ] || wrong "$host sends redirects"
done
ends 0 plan --exit-code

say "update, with one image that does not get well"
image() { on "$1" "docker inspect --format '{{.Config.Image}}' $2"; }
before=$(on intranet "docker inspect --format '{{.Image}}' jellyfin-jellyfin-1")
# Another program, which has nothing at Jellyfin's address.
other=$(find "$tags/grafana/grafana" -path '*/_tags/*' -type f | head -n 1)
cp "$other" "$moving"
ends 10 play update --yes
for word in "Batch 2 of 2" "jellyfin: the images of before are locked again" "rolled back"; do
	grep -q -- "$word" said || wrong "no word of \"$word\": $(tail -n 60 said)"
done
[ "$(on intranet "docker inspect --format '{{.Image}}' jellyfin-jellyfin-1")" = "$before" ] || wrong "jellyfin does not run its image of before"
healthy() { on intranet "docker inspect --format '{{.State.Health.Status}}' jellyfin-jellyfin-1" | grep -qx healthy; }
healthy || wrong "jellyfin is not healthy"
for place in intranet:immich-immich-server intranet:immich-database intranet:monitoring-grafana intranet:monitoring-prometheus extranet:proxy-proxy extranet:openvpn-openvpn extranet:node-exporter-node-exporter; do
	seen=$(image "${place%%:*}" "${place#*:}-1") || true
	case $seen in *@sha256:*) echo "$place: $seen" ;; *) wrong "$place is not updated: \"$seen\"" ;; esac
done
ends 0 plan --exit-code
ends 0 verify
say "the image is well again, and so is the update"
cp "$tags/jellyfin/jellyfin/_tags/10.10.7" "$moving"
ends 0 play update --yes
case $(image intranet jellyfin-jellyfin-1) in *@sha256:*) ;; *) wrong "jellyfin is not updated: $(image intranet jellyfin-jellyfin-1)" ;; esac
healthy || wrong "jellyfin is not healthy after its update"
ends 0 plan --exit-code
echo "$bad wrong"
[ "$bad" = 0 ]
