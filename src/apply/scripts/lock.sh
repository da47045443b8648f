# infra-lock ACTION FOLDER TOKEN MAX_AGE ; the holder's description (one line of JSON) on stdin for `take`.
# Prints `taken`, `held AGE DESCRIPTION`, `released` or `lost`. mkdir is atomic, so exactly one of two callers wins.
set -eu
action=$1 folder=$2 token=$3 max_age=$4
age() { echo $(($(date +%s) - $(stat -c %Y "$folder/beat" 2>/dev/null || stat -c %Y "$folder" 2>/dev/null || date +%s))); }
mine() { [ "$(cat "$folder/token" 2>/dev/null)" = "$token" ]; }
take() {
  mkdir "$folder" 2>/dev/null || return 1
  printf '%s' "$token" >"$folder/token"
  printf '%s' "$description" >"$folder/holder"
  : >"$folder/beat"
  echo taken
}
case $action in
take)
  mkdir -p "$(dirname "$folder")"
  description=$(cat)
  take && exit 0
  if [ "$(age)" -ge "$max_age" ]; then
    # Renaming decides which of two callers removes a stale lock.
    mv "$folder" "$folder.stale.$$" 2>/dev/null && rm -rf "$folder.stale.$$"
    take && exit 0
  fi
  printf 'held %s %s\n' "$(age)" "$(cat "$folder/holder" 2>/dev/null || true)"
  ;;
break)
  # TOKEN is the dead holder's: it is removed only if it is still the one that holds.
  mine && mv "$folder" "$folder.stale.$$" 2>/dev/null && rm -rf "$folder.stale.$$"
  echo released
  ;;
beat) if mine; then : >"$folder/beat"; echo taken; else echo lost; fi ;;
release) if mine; then rm -rf "$folder"; echo released; else echo lost; fi ;;
*) echo "unknown action: $action" >&2; exit 2 ;;
esac
