# Writes whole files atomically. See providers/host/write.rs for the contract.
# shellcheck shell=sh
set -u
umask 077
path=
fresh=
fail() {
  [ -z "$fresh" ] || rm -f -- "$fresh"
  printf 'write %s: %s\n' "$path" "$1" >&2
  exit 1
}
written=0
while IFS=' ' read -r mode owner group size; do
  IFS= read -r path || fail 'the request ends here'
  folder=${path%/*}
  [ -d "${folder:-/}" ] || said=$(umask 022 && mkdir -p -- "$folder" 2>&1) || fail "$said"
  fresh=$(mktemp -- "$folder/.infra.XXXXXXXXXX" 2>&1) || { said=$fresh fresh=; fail "$said"; }
  said=$(head -c "$size" 2>&1 >"$fresh") || fail "$said"
  [ "$(stat -c %s -- "$fresh")" = "$size" ] || fail 'the content ends early'
  said=$(chown -- "$owner:$group" "$fresh" 2>&1) || fail "$said"
  said=$(chmod -- "$mode" "$fresh" 2>&1) || fail "$said"
  said=$(sync -- "$fresh" 2>&1) || fail "$said"
  said=$(mv -fT -- "$fresh" "$path" 2>&1) || fail "$said"
  fresh=
  said=$(sync -- "${folder:-/}" 2>&1) || fail "$said"
  written=$((written + 1))
done
printf 'written %s\n' "$written"
