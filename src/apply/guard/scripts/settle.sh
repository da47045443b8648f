# Waits until the node enforces what its files say: `pve-firewall status` compares the two.
command -v pve-firewall >/dev/null 2>&1 || { sleep 11; exit; }
tries=0
while [ $tries -lt 120 ]; do
    case $(pve-firewall status 2>/dev/null) in
        *'pending changes'*) ;;
        Status:*) exit 0 ;;
    esac
    sleep 0.25
    tries=$((tries + 1))
done
pve-firewall status >&2
exit 1
