# Loads a compiled firewall in the current network namespace. $1 = folder with the files `ipsets`, `v4` and `v6`.
# Chains and sets that are no longer named stay behind unreferenced, and do nothing.
set -eu
ipset -exist restore <"$1/ipsets"
for family in 4 6; do
    case $family in
        4) tables=iptables ;;
        6) tables=ip6tables ;;
    esac
    "$tables-restore" -w 5 --noflush <"$1/v$family"
    for hook in INPUT OUTPUT FORWARD; do
        "$tables" -w 5 -C "$hook" -j "PVEFW-$hook" 2>/dev/null || "$tables" -w 5 -I "$hook" -j "PVEFW-$hook"
    done
done
