# infra-zfs-snapshot NAME [-o PROPERTY=VALUE]... < one dataset on each line
# One `zfs snapshot` for all of them: within a zpool they are of one moment, all or none.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
name=$1
shift
while IFS= read -r dataset; do
	set -- "$@" "$dataset@$name"
done
exec zfs snapshot "$@"
