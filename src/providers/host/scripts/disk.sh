# infra-disk make|grow SERIAL KIND UUID AT
# `make` makes a filesystem on a disk that is provably empty, and on nothing else; one with this very UUID is taken as it
# is. `grow` lets a mounted one take all of its disk. Nothing is ever wiped, and nothing forced.
# Exit 0 done; 70 refused before anything was written; else what the tool says.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
refuse() {
  echo "$*" >&2
  exit 70
}
verb=$1
serial=$2
kind=$3
uuid=$4
at=$5
link=/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_$serial
# A disk that was attached a moment ago has its name when udev is done with it.
tries=0
until [ -b "$link" ] || [ "$tries" -ge 20 ]; do
  udevadm settle --timeout=5 >/dev/null 2>&1
  [ -b "$link" ] || sleep 0.5
  tries=$((tries + 1))
done
[ -b "$link" ] || refuse "this machine has no disk with the serial number $serial ($link)"
disk=$(readlink -e -- "$link") || refuse "$link leads nowhere"
sign() { blkid --probe --match-tag "$1" --output value "$disk" 2>/dev/null; }
is_ours() { [ "$(sign UUID)" = "$uuid" ] && [ "$(sign TYPE)" = "$kind" ]; }
if [ "$verb" = grow ]; then
  is_ours || refuse "$link has no $kind with the UUID $uuid"
  rescan=/sys/class/block/${disk##*/}/device/rescan
  [ -w "$rescan" ] && echo 1 >"$rescan"
  [ "$(findmnt --noheadings --output TARGET --source "$disk" --mountpoint "$at")" = "$at" ] ||
    refuse "$link is not mounted at $at"
  case $kind in
  ext4) exec resize2fs "$disk" ;;
  xfs) exec xfs_growfs "$at" ;;
  *) refuse "nothing here lets $kind grow" ;;
  esac
fi
[ "$verb" = make ] || refuse "$verb is nothing that could be done to a disk"
is_ours && exit 0
[ "$(lsblk -dno TYPE "$disk")" != part ] || refuse "$link is a part of a disk"
[ "$(lsblk -no NAME "$disk" | wc -l)" = 1 ] || refuse "$link is in use: $(lsblk -lno NAME,TYPE,FSTYPE,MOUNTPOINTS "$disk" | sed "/^$(lsblk -dno NAME "$disk") /d" | tr -s ' \n' ' ')"
findmnt -n -S "$disk" >/dev/null && refuse "$link is mounted"
signs=$(wipefs --no-act --noheadings --output TYPE "$disk") || refuse "$link cannot be read"
[ -z "$signs" ] || refuse "$link holds something: $(printf %s "$signs" | tr '\n' ' ')"
bytes=$(blockdev --getsize64 "$disk") || refuse "$link has no size"
mib=$((bytes / 1048576))
[ "$mib" -ge 64 ] || refuse "$link is smaller than 64 MiB"
blank() { # OFFSET BYTES
  cmp -s -n "$2" -i "$1:0" "$disk" /dev/zero
}
blank 0 16777216 || refuse "$link is not empty: there is something in its first 16 MiB"
blank $((bytes - 16777216)) 16777216 || refuse "$link is not empty: there is something in its last 16 MiB"
step=1
while [ $step -lt 256 ]; do
  blank $((mib * step / 256 * 1048576)) 1048576 ||
    refuse "$link is not empty: there is something at $((mib * step / 256)) MiB"
  step=$((step + 1))
done
case $kind in
ext4) mkfs.ext4 -q -U "$uuid" "$disk" ;;
xfs) mkfs.xfs -q -m uuid="$uuid" "$disk" ;;
*) refuse "nothing here makes $kind" ;;
esac </dev/null || exit
# The unit that mounts it finds it by its UUID.
udevadm settle --timeout=30 >/dev/null 2>&1
exit 0
