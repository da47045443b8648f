# What stands on this host, in one go. See providers/host/facts.rs for the contract.
# shellcheck shell=sh
set -u
request=$(cat)
asked() { printf '%s\n' "$request" | sed -n "s/^$1 //p"; }
wants() { printf '%s\n' "$request" | grep -qx "$1"; }
section() { printf '==infra %s==\n' "$1"; }

section system
printf 'boot_id %s\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'architecture %s\n' "$(dpkg --print-architecture)"
printf 'os %s\n' "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release | tr -d '"')"

# sudo takes SSH_CONNECTION away; the process that ran sudo still has it.
process=$$
while [ "${process:-0}" -gt 1 ]; do
  came=$(tr '\0' '\n' 2>/dev/null <"/proc/$process/environ" | sed -n 's/^SSH_CONNECTION=//p')
  [ -z "$came" ] || {
    printf 'ssh %s\n' "$came"
    break
  }
  process=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status" 2>/dev/null)
done

section packages
# A name that dpkg does not know is a complaint and no line.
# shellcheck disable=SC2016
asked package | xargs -r -d '\n' dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n' -- 2>/dev/null

section paths
# One find for all: kind, mode, numeric and named owner, path, target. What is not there is a complaint and no line.
stood=$(asked path |
  xargs -r -d '\n' sh -c 'exec find "$@" -maxdepth 0 -printf "%y\t%m\t%U\t%G\t%u\t%g\t%p\t%l\n"' sh 2>/dev/null)
[ -z "$stood" ] || printf '%s\n' "$stood"

section hashes
printf '%s\n' "$stood" | awk -F '\t' '$1 == "f" { print $7 }' |
  xargs -r -d '\n' sha256sum -z -- 2>/dev/null | tr '\0' '\n'

section units
asked unit | xargs -r -d '\n' systemctl show -p Id -p LoadState -p ActiveState -p UnitFileState -- 2>/dev/null

section sysctls
asked sysctl | while IFS= read -r key; do
  file=/proc/sys/$(printf '%s' "$key" | tr . /)
  [ -r "$file" ] && printf '%s\t%s\n' "$key" "$(tr -s '\t\n' '  ' <"$file" | sed 's/ *$//')"
done

section nft
asked nft | while read -r family table; do
  nft --stateless list table "$family" "$table" 2>/dev/null | sed "s/^/$family $table\t/"
done

disks=$(asked disk)
if [ -n "$disks" ]; then
  section disks
  # blkid reads the disk itself and ends with 2 where it knows nothing, with 8 where signatures contradict each other.
  printf '%s\n' "$disks" | while IFS= read -r serial; do
    disk=$(readlink -e -- "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_$serial") || continue
    bytes=$(blockdev --getsize64 "$disk") || continue
    signs=$(blkid --probe --output export "$disk" 2>/dev/null)
    code=$?
    takes=
    case "$signs" in
    *TYPE=ext4*) takes=$(dumpe2fs -h "$disk" 2>/dev/null |
      awk -F ': *' '$1 == "Block count" { n = $2 } $1 == "Block size" { b = $2 } END { if (n && b) printf "%.0f", n * b }') ;;
    *TYPE=xfs*)
      # While it is mounted the kernel knows, and the disk lags.
      at=$(findmnt --noheadings --first-only --output TARGET --source "$disk")
      takes=$(if [ -n "$at" ]; then xfs_info "$at"; else xfs_db -r -c 'info' "$disk"; fi 2>/dev/null |
        awk '/^data / { for (i = 1; i <= NF; i++) { split($i, word, "="); if (word[1] == "bsize") b = word[2] + 0; if (word[1] == "blocks") n = word[2] + 0 } }
          END { if (n && b) printf "%.0f", n * b }') ;;
    esac
    printf '%s\t%s\tBLKID=%s\tTAKES=%s\t%s\n' "$serial" "$bytes" "$code" "$takes" "$(printf '%s' "$signs" | tr '\n' '\t')"
  done
fi

section mounts
cat /proc/self/mountinfo

if wants ufw || wants docker; then
  section ufw
  (facts_ufw)
fi
if wants docker; then
  section docker
  (facts_docker)
fi
pools=$(asked zpool)
if [ -n "$pools" ]; then
  section zfs
  # Pool names hold no spaces.
  # shellcheck disable=SC2086
  (facts_zfs $pools)
fi
if wants pve-firewall; then
  section pve-firewall
  # pmxcfs has the files of all nodes and guests on each node. One that cannot be read ends the section without `end`.
  (
    cd /etc/pve/firewall 2>/dev/null || exit
    set -- *.fw
    [ -e "$1" ] || set -- /dev/null
    # shellcheck disable=SC2016
    awk 'FNR == 1 { print "file " FILENAME } { print "\t" $0 }' "$@" 2>/dev/null && printf 'end\n'
  )
fi
texts=$(asked text)
if [ -n "$texts" ]; then
  section texts
  printf '%s\n' "$texts" | while IFS= read -r path; do
    # A text that cannot be read to its end is no line.
    [ -f "$path" ] && coded=$(base64 -w 0 <"$path") && printf '%s\t%s\n' "$path" "$coded"
  done
fi
users=$(asked user)
if [ -n "$users" ]; then
  section users
  printf '%s\n' "$users" | while IFS= read -r name; do
    entry=$(getent passwd "$name") || continue
    printf '%s\t%s\t%s\n' "$name" "$(printf '%s' "$entry" | cut -d : -f 6,7 | tr : '\t')" "$(id -Gn -- "$name")"
  done
fi
probes=$(asked probe)
if [ -n "$probes" ]; then
  section probes
  # Words are parted by tabs; nothing in them means anything to the shell.
  printf '%s\n' "$probes" | while IFS= read -r words; do
    (
      set -f
      IFS='	'
      # shellcheck disable=SC2086
      set -- $words
      exec "$@" >/dev/null 2>&1 </dev/null
    )
    printf '%s\n' "$?"
  done
fi
if wants upgrades; then
  section upgrades
  apt-get -s -o Debug::NoLocking=true --with-new-pkgs upgrade 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
fi
section end
