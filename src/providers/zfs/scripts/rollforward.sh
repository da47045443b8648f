# infra-zfs-roll-forward DATASET NAME [look]
# Makes a mounted filesystem's files those of its snapshot, in place: nothing is destroyed, newer snapshots stay.
# Output: one line for each file that differs. With `look` nothing is changed. Datasets mounted inside are left alone.
# Exit 65 not mounted; 67 the snapshot is not readable below the mount point; 68 rsync is missing.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
dataset=$1
name=$2
mounted=$(zfs get -Hp -o value mounted "$dataset") || exit
mountpoint=$(zfs get -Hp -o value mountpoint "$dataset") || exit
case $mounted,$mountpoint in
yes,/*) ;;
*)
	echo "$dataset is not mounted (mountpoint $mountpoint)" >&2
	exit 65
	;;
esac
source="$mountpoint/.zfs/snapshot/$name"
if ! [ -d "$source/." ]; then
	echo "$source is not there" >&2
	exit 67
fi
if ! command -v rsync >/dev/null 2>&1; then
	echo "rsync is not installed" >&2
	exit 68
fi
case ${3-} in
look) set -- --dry-run ;;
*) set -- ;;
esac
exec rsync "$@" -aHAXS -x --numeric-ids --delete --itemize-changes --exclude=/.zfs "$source/" "$mountpoint/"
