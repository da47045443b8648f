# infra-zfs-create DATASET MOUNTPOINT [-o PROPERTY=VALUE]...
# MOUNTPOINT is the path where the dataset will be mounted, `inherit` to work it out, or `-` for nowhere.
# Exit 0 created; 64 the mount point is a directory with something in it; else what `zfs create` says.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
dataset=$1
mountpoint=$2
shift 2
if [ "$mountpoint" = inherit ]; then
	above=$(zfs get -Hp -o value mountpoint "${dataset%/*}") || exit
	case $above in
	/) mountpoint="/${dataset##*/}" ;;
	/*) mountpoint="$above/${dataset##*/}" ;;
	*) mountpoint=- ;;
	esac
fi
# ZFS mounts over a directory that has something in it without a word, and hides what was there.
if [ "$mountpoint" != - ] && [ -d "$mountpoint" ] && [ -n "$(ls -A -- "$mountpoint")" ]; then
	echo "$mountpoint is not empty" >&2
	exit 64
fi
exec zfs create "$@" "$dataset"
