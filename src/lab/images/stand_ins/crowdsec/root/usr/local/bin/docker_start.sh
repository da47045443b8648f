#!/bin/bash
# As the public image starts: fills its folders, registers itself and its bouncers, installs collections, runs the agent.
set -euo pipefail
hub=/var/lib/crowdsec/hub
etc=/etc/crowdsec

mkdir -p "$etc" /var/lib/crowdsec/data
cp -an /staging/etc/crowdsec/. "$etc/" 2>/dev/null || true
cp -an /staging/var/lib/crowdsec/data/. /var/lib/crowdsec/data/
sed -i -e 's/daemonize: true/daemonize: false/' -e 's/log_media: file/log_media: stdout/' -e 's/listen_uri: .*/listen_uri: 0.0.0.0:8080/' \
  -e 's/listen_addr: .*/listen_addr: 0.0.0.0/' "$etc/config.yaml"
# There is no CrowdSec in the lab's Internet.
[ "${DISABLE_ONLINE_API:-false}" = true ] || echo "the lab has no Central API: as with DISABLE_ONLINE_API=true" >&2
sed -i '/online_client:/,/credentials_path:/d' "$etc/config.yaml"

[ -s "$etc/local_api_credentials.yaml" ] || {
  echo "url: http://127.0.0.1:8080" >"$etc/local_api_credentials.yaml"
  cscli --error machines add localhost --auto --force
}

# What the list KEY of a collection names.
named() {
  awk -v key="$2:" '$0 ~ /^[a-z]/ { inside = ($1 == key) } inside && $1 == "-" { print $2 }' "$1"
}
link() {
  mkdir -p "$2"
  ln -sf "$1" "$2/"
}
install_collection() {
  local file=$hub/collections/$1.yaml item stage found
  [ -f "$file" ] || { echo "can't find '$1' in collections" >&2; exit 1; }
  link "$file" "$etc/collections"
  for item in $(named "$file" scenarios); do link "$hub/scenarios/$item.yaml" "$etc/scenarios"; done
  for stage in parsers postoverflows; do
    for item in $(named "$file" "$stage"); do
      found=$(find "$hub/$stage/" -path "*/$item.yaml" | head -n 1)
      [ -z "$found" ] || link "$found" "$etc/$stage/$(basename "$(dirname "$(dirname "$found")")")"
    done
  done
  for item in $(named "$file" collections); do install_collection "$item"; done
}
for collection in crowdsecurity/linux ${COLLECTIONS:-}; do install_collection "$collection"; done

register() {
  if cscli --error bouncers list -o raw | cut -d , -f 1 | grep -qx "$1"; then return; fi
  cscli --error bouncers add "$1" -k "$2" >/dev/null
}
for secret in /run/secrets/bouncer_key_*; do
  [ ! -r "$secret" ] || register "${secret##*/bouncer_key_}" "$(cat "$secret")"
done
for name in $(compgen -e | grep '^BOUNCER_KEY_' || true); do register "${name#BOUNCER_KEY_}" "${!name}"; done
exec crowdsec -c "$etc/config.yaml"
