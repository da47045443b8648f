# infra-backup-aside PATH STAMP [back]
# Makes room for what comes back on a host that has no snapshots: PATH is renamed to PATH.infra-before-STAMP, or, where it
# is a mount point, everything in it goes into PATH/.infra-before-STAMP. With `back` that is undone, and what has come back
# meanwhile is removed. Output: where the former files are; `-` where there were none.
# Exit 65 something is at the other name already.
set -u
LC_ALL=C
export LC_ALL
path=$1
inner=$path/.infra-before-$2
beside=$path.infra-before-$2
if [ "${3-}" = back ]; then
	if [ -d "$inner" ]; then
		find "$path" -xdev -mindepth 1 -maxdepth 1 ! -name "${inner##*/}" -exec rm -rf --one-file-system {} + || exit
		find "$inner" -mindepth 1 -maxdepth 1 -exec mv -t "$path" -- {} + || exit
		rmdir "$inner"
		exit
	fi
	[ -e "$beside" ] || exit 0
	rm -rf --one-file-system "$path" && mv -T -- "$beside" "$path"
	exit
fi
if [ ! -e "$path" ] && [ ! -L "$path" ]; then
	echo -
	exit 0
fi
for other in "$inner" "$beside"; do
	if [ -e "$other" ]; then
		echo "$other exists already" >&2
		exit 65
	fi
done
if mountpoint -q "$path"; then
	if [ -z "$(find "$path" -mindepth 1 -maxdepth 1 -print -quit)" ]; then
		echo -
		exit 0
	fi
	mkdir -m 0700 "$inner" || exit
	find "$path" -xdev -mindepth 1 -maxdepth 1 ! -name "${inner##*/}" -exec mv -t "$inner" -- {} + || exit
	echo "$inner"
else
	mv -T -- "$path" "$beside" || exit
	echo "$beside"
fi
