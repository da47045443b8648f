#!/bin/sh
# headers.sh COMMAND...: runs COMMAND with what the cargo feature `libzetta` needs to be built and to start. Where this machine
# has no libzfs_core to build against, it comes from Debian's contrib into the cache (root needed, once); nothing is installed.
set -eu
if ! pkg-config --exists libzfs_core; then
  # shellcheck source=/dev/null
  . /etc/os-release
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/infra/zfs-headers/${VERSION_CODENAME:?}
  if [ ! -e "$cache/complete" ]; then
    rm -rf "$cache"
    mkdir -p "$cache/lib"
    echo "headers: fetching libzfs_core of $VERSION_CODENAME" >&2
    mmdebstrap --mode=root --variant=extract --components=main,contrib --include=libzfslinux-dev \
      "$VERSION_CODENAME" "$cache/root" >"$cache/log" 2>&1 || { tail -n 20 "$cache/log" >&2; exit 1; }
    for name in libzfs_core libnvpair libzfs libuutil; do
      # Debian's own links lead to where the packages would be installed.
      file=$(find "$cache/root" -name "$name.so.*" -type f | head -n 1)
      cp "$file" "$cache/lib/"
      file=${file##*/}
      soname=${file%.*.*}
      ln -s "$file" "$cache/lib/$soname"
      ln -s "$soname" "$cache/lib/$name.so"
    done
    rm -rf "$cache/root"
    touch "$cache/complete"
  fi
  LIBZFS_CORE_LIBDIR=$cache/lib
  LD_LIBRARY_PATH=$cache/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LIBZFS_CORE_LIBDIR LD_LIBRARY_PATH
fi
exec "$@"
