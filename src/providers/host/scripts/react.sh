# Carries out what a change asks for, in order. See providers/host/units.rs for the contract.
# shellcheck shell=sh
set -u
fail() {
  printf 'failed %s\n%s\n' "$1" "$said"
  [ -z "${2-}" ] || journalctl -u "$2" -n 12 --no-pager -o cat 2>/dev/null
  exit 1
}
while [ $# -gt 0 ]; do
  verb=$1
  shift
  case $verb in
    daemon-reload)
      said=$(systemctl daemon-reload 2>&1 </dev/null) || fail daemon-reload
      ;;
    sysctl)
      said=$(/usr/lib/systemd/systemd-sysctl 2>&1 </dev/null) || fail sysctl
      ;;
    unmask | reload | restart)
      action=$verb
      [ "$verb" != reload ] || action=reload-or-restart
      said=$(systemctl "$action" -- "$1" 2>&1 </dev/null) || fail "$verb $1" "$1"
      shift
      ;;
    run)
      count=$1
      shift
      words='' index=0
      while [ "$index" -lt "$count" ]; do
        index=$((index + 1))
        words="$words \"\${$index}\""
      done
      said=$(eval "$words" 2>&1 </dev/null) || fail "run $1"
      shift "$count"
      ;;
    *)
      said="unknown reaction" && fail "$verb"
      ;;
  esac
done
