# infra-lock ACTION FOLDER TOKEN MAX_AGE ; the holder's description (one line of JSON) on stdin for `take`.
# Prints `taken` (with the description of a dead holder whose lock was replaced), `held AGE DESCRIPTION`, `released` or `lost`. Callers come one at a time: flock of util-linux, which every
# Debian has, so that a lock that was just taken is never taken for the stale one that was there before.
set -eu
action=$1 folder=$2 token=$3 max_age=$4
description=
[ "$action" != take ] || description=$(cat)
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.turn"
flock -w 30 9
age() { echo $(($(date +%s) - $(stat -c %Y "$folder/beat" 2>/dev/null || stat -c %Y "$folder"))); }
mine() { [ "$(cat "$folder/token" 2>/dev/null)" = "$token" ]; }
case $action in
take)
  if [ -d "$folder" ] && [ "$(age)" -lt "$max_age" ]; then
    printf 'held %s %s\n' "$(age)" "$(cat "$folder/holder" 2>/dev/null || true)"
    exit 0
  fi
  dead=$(cat "$folder/holder" 2>/dev/null || true)
  rm -rf "$folder"
  mkdir "$folder"
  printf '%s' "$description" >"$folder/holder"
  printf '%s' "$token" >"$folder/token"
  : >"$folder/beat"
  printf 'taken %s\n' "$dead"
  ;;
break)
  # TOKEN is the dead holder's: it is removed only if it is still the one that holds.
  if mine; then rm -rf "$folder"; fi
  echo released
  ;;
beat) if mine; then : >"$folder/beat"; echo taken; else echo lost; fi ;;
release) if mine; then rm -rf "$folder"; echo released; else echo lost; fi ;;
*) echo "unknown action: $action" >&2; exit 2 ;;
esac
