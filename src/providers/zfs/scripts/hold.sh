# infra-zfs-hold hold|release TAG < one snapshot on each line
# Output: `changed SNAPSHOT` lines. A tag that is there already, or gone already, is fine.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
verb=$1
tag=$2
failed=0
while IFS= read -r snapshot; do
	if complaint=$(zfs "$verb" "$tag" "$snapshot" 2>&1 </dev/null); then
		printf 'changed %s\n' "$snapshot"
		continue
	fi
	case $verb,$complaint in
	hold,*'tag already exists'* | release,*'no such tag'*) ;;
	*)
		printf '%s\n' "$complaint" >&2
		failed=1
		;;
	esac
done
exit $failed
