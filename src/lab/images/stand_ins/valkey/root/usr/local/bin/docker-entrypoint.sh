#!/bin/sh
# Options alone are for the server; root gives up its rights.
set -e
case ${1:-} in
-* | *.conf) set -- valkey-server "$@" ;;
redis-server) shift; set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ]; then
  # Without a protected network of its own a container would otherwise refuse everybody.
  set -- "$@" --protected-mode no --bind '*' '-::*'
  if [ "$(id -u)" = 0 ]; then
    find . \! -user valkey -exec chown valkey '{}' +
    exec setpriv --reuid=valkey --regid=valkey --clear-groups -- "$@"
  fi
fi
exec "$@"
