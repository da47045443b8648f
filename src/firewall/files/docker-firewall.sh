#!/bin/sh
# Loads infra's chain behind Docker's own hook for user rules. The chain is replaced in one go, in both families.
# DOCKER-USER is made here when Docker has not done so yet: Docker uses the one it finds and never empties it.
set -eu
for family in 4 6; do
    case $family in
        4) tables=iptables ;;
        6) tables=ip6tables ;;
    esac
    "$tables-restore" -w 10 --noflush <"/etc/infra/docker-firewall.v$family"
    "$tables" -w 10 -N DOCKER-USER 2>/dev/null || true
    first=$("$tables" -w 10 -S DOCKER-USER | sed -n 2p)
    if [ "$first" != "-A DOCKER-USER -j INFRA-DOCKER" ]; then
        "$tables" -w 10 -I DOCKER-USER 1 -j INFRA-DOCKER
    fi
done
