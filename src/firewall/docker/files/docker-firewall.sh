#!/bin/sh
# Loads infra's rules for published container ports and for what containers send: behind DOCKER-USER, or before Docker's
# own chains where Docker uses its nftables backend. Everything of ours is replaced in one go, in both families; nothing of
# anybody else is touched.
set -eu
daemon=${INFRA_DOCKER_DAEMON:-/etc/docker/daemon.json}

nftables_backend() {
    tr -d ' \n\t' <"$daemon" 2>/dev/null | grep -q '"firewall-backend":"nftables"'
}

# Whether the jump from chain $2 to chain $3 stands before everything there that could let a packet pass it by. Bans may
# stand before it: what fail2ban and CrowdSec put there drops packets or hands them back; UFW's chains ask its own rules;
# Docker's isolation of networks, which a restart of Docker 26 puts first, drops packets or hands them back.
leads() {
    "$1" -w 10 -S "$2" | while read -r flag _ rule; do
        [ "$flag" = -A ] || continue
        case " $rule" in
            " -j $3") echo yes && break ;;
            *" -j DROP"* | *" -j REJECT"* | *" -j f2b-"* | *" -j crowdsec"* | *" -j CROWDSEC"* | *" -j LOG"*) ;;
            " -j ufw-"* | " -j ufw6-"* | " -j DOCKER-ISOLATION-STAGE-1") ;;
            *) break ;;
        esac
    done | grep -q yes
}

# Puts that jump first, and takes away those that came too late to matter.
lead() {
    leads "$1" "$2" "$3" && return
    "$1" -w 10 -I "$2" 1 -j "$3"
    "$1" -w 10 -S "$2" | grep -n -x -e "-A $2 -j $3" | cut -d: -f1 | sort -rn |
        while read -r line; do
            # The first line names the chain, the second is the new one.
            [ "$line" -le 2 ] || "$1" -w 10 -D "$2" $((line - 1))
        done
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
    lead "$tables" DOCKER-USER INFRA-DOCKER
    # Docker's own doing, which somebody may have undone.
    lead "$tables" FORWARD DOCKER-USER
done
