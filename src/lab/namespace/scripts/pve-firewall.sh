#!/bin/sh
# Stands in for pve-firewall on the lab's node. The lab's own process is the daemon; what it has enforced stands in a file.
case ${1-} in
    status) ;;
    *)
        echo "ERROR: unknown command 'pve-firewall ${1-}': the lab's node knows \`status\`" >&2
        exit 255
        ;;
esac
LC_ALL=C
export LC_ALL
enable=$(sed -n '/^\[OPTIONS\]/,/^\[[A-NP-Z]/s/^enable: *//p' /etc/pve/firewall/cluster.fw 2>/dev/null)
state=disabled
[ "${enable:-0}" = 0 ] || state=enabled
# An armed switch that has run out counts as off.
if [ "${enable:-0}" -gt 1 ] && [ $(($(date +%s) - enable)) -gt 60 ]; then
    state=disabled
fi
now=$(cat /etc/pve/firewall/*.fw /etc/pve/nodes/*/host.fw 2>/dev/null | sha256sum)
pending=
[ "${now%% *}" = "$(cat /var/lib/infra-lab/pve-firewall/enforced 2>/dev/null)" ] || pending=' (pending changes)'
echo "Status: $state/running$pending"
