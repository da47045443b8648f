# infra-zfs-roll-forward DATASET NAME [look]
# Makes a mounted filesystem's files those of its snapshot, in place: nothing is destroyed, newer snapshots stay.
# Output: one line for each file that differs. With `look` nothing is changed. Datasets mounted inside are left alone.
# Exit 65 not mounted; 67 the snapshot cannot be mounted; 68 rsync is missing.
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
if ! command -v rsync >/dev/null 2>&1; then
	echo "rsync is not installed" >&2
	exit 68
fi
creation=$(zfs get -Hp -o value creation "$dataset@$name") || exit
# A mount of our own: `.zfs` may be switched off, and what lies behind it comes and goes.
place=$(mktemp -d /run/infra-rollback.XXXXXX) || exit
trap 'umount "$place/was" 2>/dev/null; rm -rf --one-file-system "$place"' EXIT
trap 'exit 129' HUP INT TERM PIPE
mkdir "$place/was"
if ! mount -t zfs "$dataset@$name" "$place/was" >&2; then
	exit 67
fi
# What is mounted inside belongs to somebody else: not followed, not removed.
findmnt -lno TARGET -R "$mountpoint" | while IFS= read -r inner; do
	case $inner in
	"$mountpoint"/*) printf '%s\n' "${inner#"$mountpoint"}" | sed 's/[][*?\\]/\\&/g' ;;
	esac
done >"$place/inner"
case ${3-} in
look) set -- --dry-run ;;
*) set -- ;;
esac
set -- "$@" -aHAXS -x --numeric-ids --itemize-changes --exclude=/.zfs --exclude=/.infra-dataset --exclude-from="$place/inner"
rsync "$@" --delete "$place/was/" "$mountpoint/" >"$place/lines" || exit
# Size and time can be alike and the content not, in a database's file for one: what was touched since is compared in full.
(cd "$mountpoint" && find . -ignore_readdir_race -xdev -type f ! -path ./.infra-dataset -newerct "@$((creation - 2))" -print0) >"$place/touched" || exit
rsync "$@" --checksum --from0 --files-from="$place/touched" --ignore-missing-args "$place/was/" "$mountpoint/" \
	>>"$place/lines" || exit
awk '{ path = substr($0, index($0, " ")) } !(path in seen) { seen[path] = 1; print }' "$place/lines"
