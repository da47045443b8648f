# Loads a compiled firewall in the current network namespace. $1 = folder with the files `ipsets`, `v4` and `v6`.
# Chains and sets that are no longer named stay behind unreferenced, and do nothing.
set -eu
# A firewall bridge must not answer for the node's addresses: what a guest sends to the bridge itself would go up
# into the node without crossing the bridge, and so without meeting the guest's OUT chain.
for conf in /proc/sys/net/ipv4/conf/fwbr*; do
    [ ! -e "$conf/arp_ignore" ] || echo 8 >"$conf/arp_ignore"
done
for conf in /proc/sys/net/ipv6/conf/fwbr*; do
    [ ! -e "$conf/disable_ipv6" ] || echo 1 >"$conf/disable_ipv6"
done
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
