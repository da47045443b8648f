# Enables, disables, starts and stops units, in order. See providers/host/units.rs for the contract.
# shellcheck shell=sh
set -u
while [ $# -ge 2 ]; do
  verb=$1 unit=$2
  shift 2
  if [ "$verb" = enable ]; then
    # To enable what is enabled takes a second or more where a unit has an init script as well.
    case $(systemctl is-enabled -- "$unit" 2>/dev/null) in
      enabled | static | indirect | alias | generated) continue ;;
      masked*) systemctl unmask -- "$unit" >/dev/null 2>&1 </dev/null ;;
    esac
  fi
  said=$(systemctl "$verb" -- "$unit" 2>&1 </dev/null) || {
    printf 'failed %s %s\n%s\n' "$verb" "$unit" "$said"
    journalctl -u "$unit" -n 12 --no-pager -o cat 2>/dev/null
    exit 1
  }
done
