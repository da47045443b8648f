# infra-zpool-create POOL WORD...: WORD is `mirror`, `raidz1` to `raidz3`, or the name of a disk in /dev/disk/by-id.
# Makes a zpool of disks that are provably empty, and of nothing else. Nothing is ever wiped, and nothing forced.
# Exit 0 made; 70 refused before anything was written; else what `zpool create` says.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
refuse() {
	echo "$*" >&2
	exit 70
}
pool=$1
shift
if zpool list -H -o name "$pool" >/dev/null 2>&1; then
	refuse "a zpool $pool is here already"
fi
# Exported, or last used by another machine: its disks hold everything that it ever held.
zpool import 2>/dev/null | awk -v name="$pool" '$1 == "pool:" && $2 == name { found = 1 } END { exit !found }' &&
	refuse "a zpool $pool can be imported here: zpool import $pool"
blank() { # DISK OFFSET BYTES
	cmp -s -n "$3" -i "$2:0" "$1" /dev/zero
}
# A disk that a process has open, a loop device lies on, or a guest of this node is given, is somebody's though it is empty.
users() { # DISK
	find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | cut -d / -f 3 | sort -u | while read -r process; do
		printf 'process %s (%s) ' "$process" "$(cat "/proc/$process/comm" 2>/dev/null)"
	done
	losetup --noheadings --output NAME --associated "$1" 2>/dev/null | tr '\n' ' '
	for file in /etc/pve/qemu-server/*.conf /etc/pve/lxc/*.conf; do
		[ -e "$file" ] || continue
		grep -oE '/dev/[^,[:space:]]+' "$file" | while IFS= read -r path; do
			[ "$(readlink -f -- "$path")" = "$1" ] && printf '%s ' "$file" && break
		done
	done
}
# Whoever looks at disks that have just been plugged in is nobody's user of them.
command -v udevadm >/dev/null 2>&1 && udevadm settle --timeout=30
seen=' '
count=$#
for word; do
	case $word in
	mirror | raidz1 | raidz2 | raidz3)
		set -- "$@" "$word"
		continue
		;;
	*/* | .*) refuse "$word is no name in /dev/disk/by-id" ;;
	esac
	link=/dev/disk/by-id/$word
	[ -b "$link" ] || refuse "$link is no disk of this host"
	disk=$(readlink -f -- "$link")
	case $seen in
	*" $disk "*) refuse "$link is a second name of $disk" ;;
	esac
	seen="$seen$disk "
	[ "$(lsblk -dno TYPE "$disk")" = disk ] || refuse "$link is a part of a disk, or no disk at all"
	[ "$(lsblk -no NAME "$disk" | wc -l)" = 1 ] || refuse "$link is in use: $(lsblk -lno NAME,TYPE,FSTYPE,MOUNTPOINTS "$disk" | sed "/^$(lsblk -dno NAME "$disk") /d" | tr -s ' \n' ' ')"
	findmnt -n -S "$disk" >/dev/null && refuse "$link is mounted"
	holders=$(users "$disk")
	[ -z "$holders" ] || refuse "$link is in use: $holders"
	signs=$(wipefs --no-act --noheadings --output TYPE "$disk") || refuse "$link cannot be read"
	[ -z "$signs" ] || refuse "$link holds something: $(printf %s "$signs" | tr '\n' ' ')"
	bytes=$(blockdev --getsize64 "$disk") || refuse "$link has no size"
	mib=$((bytes / 1048576))
	[ "$mib" -ge 64 ] || refuse "$link is smaller than 64 MiB"
	blank "$disk" 0 16777216 || refuse "$link is not empty: there is something in its first 16 MiB"
	blank "$disk" $((bytes - 16777216)) 16777216 || refuse "$link is not empty: there is something in its last 16 MiB"
	step=1
	while [ $step -lt 256 ]; do
		blank "$disk" $((mib * step / 256 * 1048576)) 1048576 ||
			refuse "$link is not empty: there is something at $((mib * step / 256)) MiB"
		step=$((step + 1))
	done
	set -- "$@" "$link"
done
shift "$count"
# Samples find at once what fills a disk. That there is nothing at all is proven by reading all of it, all disks side by side.
found=$(mktemp) || exit
trap 'rm -f "$found"' EXIT
for link; do
	[ -b "$link" ] || continue
	{
		bytes=$(blockdev --getsize64 "$link")
		differs=$({ dd if="$link" bs=4M iflag=direct status=none | cmp -n "$bytes" - /dev/zero; } 2>&1) ||
			printf '%s is not empty, or cannot be read: %s\n' "$link" "$differs" >>"$found"
	} &
done
wait
[ -s "$found" ] && refuse "$(tr '\n' ' ' <"$found")"
zpool create -o ashift=12 -O mountpoint=none "$pool" "$@"
