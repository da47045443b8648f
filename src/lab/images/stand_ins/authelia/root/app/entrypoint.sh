#!/bin/sh
# As the image does: a command that is none of Authelia's runs as it is; root gives up its rights for PUID and PGID.
set -eu
umask "${UMASK:-022}"
case ${1:-} in
'' | -*) set -- authelia "$@" ;;
authelia) ;;
*) exec "$@" ;;
esac
if [ "$(id -u)" = 0 ]; then
  chown -R "${PUID:-0}:${PGID:-0}" /config 2>/dev/null || true
  exec setpriv --reuid="${PUID:-0}" --regid="${PGID:-0}" --clear-groups -- "$@"
fi
exec "$@"
