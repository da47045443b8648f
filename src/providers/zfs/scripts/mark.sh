# infra-zfs-mark PROPERTY SYSTEM < one snapshot on each line
# Each gets the mark of the system that took it, which repeats the snapshot's own name.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
failed=0
while IFS= read -r snapshot; do
	zfs set "$1=$2/${snapshot#*@}" "$snapshot" </dev/null || failed=1
done
exit $failed
