# Enables, disables, starts and stops units, in order. See providers/host/units.rs for the contract.
# shellcheck shell=sh
set -u
while [ $# -ge 2 ]; do
  verb=$1 unit=$2
  shift 2
  said=$(systemctl "$verb" -- "$unit" 2>&1 </dev/null) || {
    printf 'failed %s %s\n%s\n' "$verb" "$unit" "$said"
    journalctl -u "$unit" -n 12 --no-pager -o cat 2>/dev/null
    exit 1
  }
done
