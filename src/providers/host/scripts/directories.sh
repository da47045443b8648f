# Makes directories with owner and mode. See providers/host/write.rs for the contract.
# shellcheck shell=sh
set -u
umask 022
path=
fail() {
  printf 'make %s: %s\n' "$path" "$1" >&2
  exit 1
}
made=0
while IFS=' ' read -r mode owner group; do
  IFS= read -r path || fail 'the request ends here'
  said=$(mkdir -p -- "$path" 2>&1) || fail "$said"
  said=$(chown -- "$owner:$group" "$path" 2>&1) || fail "$said"
  said=$(chmod -- "$mode" "$path" 2>&1) || fail "$said"
  made=$((made + 1))
done
printf 'made %s\n' "$made"
