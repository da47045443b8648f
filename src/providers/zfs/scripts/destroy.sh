# infra-zfs-destroy < lines `DATASET@NAME[,NAME...]`
# Each line is one `zfs destroy`, of snapshots only and without any flag: all of its names or none. For each line, in
# order: `==zfs exit CODE WORDS`, line breaks in the words as tabs.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
while IFS= read -r snapshots; do
	case $snapshots in
	*%*) echo '==zfs exit 2 a range is never destroyed' && continue ;;
	*?@?*) ;;
	*) echo '==zfs exit 2 this is no snapshot' && continue ;;
	esac
	complaint=$(zfs destroy "$snapshots" 2>&1 </dev/null)
	printf '==zfs exit %s %s\n' "$?" "$(printf %s "$complaint" | tr '\n' '\t')"
done
echo '==zfs end'
