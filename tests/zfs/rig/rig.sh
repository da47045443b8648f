#!/bin/sh
# A QEMU guest with real OpenZFS 2.3: built once, kept as a saved machine, resumed in seconds.
#
#   rig.sh have                 exit 0 when the cache holds a machine of this recipe; prints its folder
#   rig.sh build                builds it where it is absent (about 8 minutes on two idle cores, root needed)
#   rig.sh up FOLDER PORT       resumes a copy of it in FOLDER, sshd on 127.0.0.1:PORT and 127.0.0.2:PORT; prints the emulator's pid
#   rig.sh down FOLDER          ends it and forgets FOLDER
#
# The emulator, the kernel and OpenZFS all come from one Debian release inside the cache, so a saved machine fits
# whatever emulator the machine itself has or has not. Disks of the guest: vda its system, vdb empty (where a real
# one has its cloud-init seed), vdc to vdf 1 GiB each as in tests/zfs/recorded-2.3.9.jsonl, vdg and vdh 4 GiB to scratch.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/infra/zfs-rig
# KVM only when asked for: a nested one may be there and not work.
accel=${INFRA_ZFS_RIG_ACCEL:-tcg,thread=multi,tb-size=256}
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/zfs/rig/recipe.sh
. "$here/recipe.sh"
key=$({ cat "$here/recipe.sh"; echo "$accel"; } | sha256sum | cut -c 1-12)
folder=$cache/$key
say() { echo "rig: $*" >&2; }

guest() { # PORT COMMAND...
  port=$1
  shift
  ssh -F none -i "$folder/operator_ed25519" -p "$port" -o BatchMode=yes -o ConnectTimeout=60 -o LogLevel=ERROR \
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$folder/known_hosts" -o HostKeyAlias=infra-zfs-rig \
    root@127.0.0.1 "$@"
}

await() { # PORT PID SECONDS
  end=$(($(date +%s) + $3))
  until guest "$1" true 2>/dev/null; do
    kill -0 "$2" 2>/dev/null || { say "the emulator has ended"; return 1; }
    [ "$(date +%s)" -lt "$end" ] || { say "no answer in $3 s"; return 1; }
    sleep 0.2
  done
}

build() {
  [ ! -e "$folder/complete" ] || return 0
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  [ ! -e "$folder/complete" ] || return 0
  rm -rf "$cache"/draft.*
  draft=$cache/draft.$$
  mkdir "$draft"
  say "building a machine with OpenZFS in $folder (some minutes, once)"
  bootstrap "$draft" tools qemu-system-x86,qemu-utils
  system "$draft"
  module "$draft" "$cache"
  disk "$draft"
  say "first boot"
  save "$draft"
  rm -rf "$draft/root"
  folder=$cache/$key
  for old in "$cache"/[0-9a-f]???????????; do rm -rf "$old"; done
  mv "$draft" "$folder"
  touch "$folder/complete"
}

up() { # FOLDER PORT
  mkdir -p "$1"
  cp --sparse=always --reflink=auto "$folder"/disks/*.qcow2 "$1/"
  (emulate "$1" -netdev "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:$2-:22,hostfwd=tcp:127.0.0.2:$2-:22" -monitor none -loadvm ready \
    </dev/null >"$1/emulator.log" 2>&1 9>&- 8>&-) &
  emulator=$!
  echo "$emulator" >"$1/pid"
  await "$2" "$emulator" 180 || { cat "$1/emulator.log" >&2; exit 1; }
  # The saved machine still has the clock of the day when it was saved.
  guest "$2" "date -u -s @$(date +%s)" >/dev/null
  echo "$emulator"
}

down() { # FOLDER
  if [ -e "$1/pid" ]; then
    emulator=$(cat "$1/pid")
    # The shell that started it replaced itself by the emulator: the id is that of the emulator.
    if grep -q infra-zfs-rig "/proc/$emulator/cmdline" 2>/dev/null; then
      kill "$emulator"
      while kill -0 "$emulator" 2>/dev/null; do sleep 0.1; done
    fi
  fi
  rm -rf "$1"
}

case ${1:-} in
  have) [ -e "$folder/complete" ] && echo "$folder" ;;
  # Not behind `&&`, which would let every failure in it pass.
  build)
    build
    echo "$folder"
    ;;
  up) up "$2" "$3" ;;
  down) down "$2" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
