#!/bin/sh
# Loads infra's rules for published container ports: behind DOCKER-USER, or before Docker's own chains where Docker uses
# its nftables backend. Everything of ours is replaced in one go, in both families; nothing of anybody else is touched.
set -eu
daemon=${INFRA_DOCKER_DAEMON:-/etc/docker/daemon.json}

nftables_backend() {
    tr -d ' \n\t' <"$daemon" 2>/dev/null | grep -q '"firewall-backend":"nftables"'
}

# Whether our jump stands before everything in DOCKER-USER that could let a packet pass it by. Bans may stand before it:
# what fail2ban and CrowdSec put there drops packets or hands them back.
leads() {
    "$1" -w 10 -S DOCKER-USER | while read -r flag _ rule; do
        [ "$flag" = -A ] || continue
        case " $rule" in
            " -j INFRA-DOCKER") echo yes && break ;;
            *" -j DROP"* | *" -j REJECT"* | *" -j f2b-"* | *" -j crowdsec"* | *" -j CROWDSEC"* | *" -j LOG"*) ;;
            *) break ;;
        esac
    done | grep -q yes
}

if nftables_backend; then
    nft -f "/etc/infra/docker-firewall.nft"
    exit
fi
if command -v nft >/dev/null 2>&1; then
    for family in ip ip6; do
        nft delete table "$family" infra-docker 2>/dev/null || true
    done
fi
for family in 4 6; do
    case $family in
        4) tables=iptables ;;
        6) tables=ip6tables ;;
    esac
    "$tables-restore" -w 10 --noflush <"/etc/infra/docker-firewall.v$family"
    # DOCKER-USER is made here when Docker has not done so yet: Docker uses the one it finds and never empties it.
    "$tables" -w 10 -N DOCKER-USER 2>/dev/null || true
    leads "$tables" && continue
    "$tables" -w 10 -I DOCKER-USER 1 -j INFRA-DOCKER
    # The jumps that came too late to matter.
    "$tables" -w 10 -S DOCKER-USER | grep -n -x -e '-A DOCKER-USER -j INFRA-DOCKER' | cut -d: -f1 | sort -rn |
        while read -r line; do
            # The first line names the chain, the second is ours.
            [ "$line" -le 2 ] || "$tables" -w 10 -D DOCKER-USER $((line - 1))
        done
done
