# Sets kernel settings in the running kernel: pairs of key and value. See providers/host/units.rs for the contract.
# shellcheck shell=sh
set -u
while [ $# -ge 2 ]; do
  file=/proc/sys/$(printf '%s' "$1" | tr . /)
  said=$(printf '%s\n' "$2" 2>&1 >"$file") || {
    printf 'failed sysctl %s\n%s\n' "$1" "${said:-it cannot be written}"
    exit 1
  }
  shift 2
done
