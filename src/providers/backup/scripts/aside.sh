# infra-backup-aside PATH STAMP [back]
# Makes room for what comes back on a host that has no snapshots: PATH is renamed to PATH.infra-before-STAMP, or, where it
# is a mount point, everything in it goes into PATH/.infra-before-STAMP. With `back` that is undone, and what has come back
# meanwhile is removed. Output: where the former files are; `-` where there were none.
# Exit 65 something is at the other name already, or a mount lies in PATH, which nobody could move; 66 it cannot be moved.
# After these everything is where it was, unless the message says what is left at the other name.
set -u
LC_ALL=C
export LC_ALL
path=$1
inner=$path/.infra-before-$2
beside=$path.infra-before-$2
fetch() { find "$inner" -mindepth 1 -maxdepth 1 -exec mv -t "$path" -- {} + && rmdir "$inner"; }
if [ "${3-}" = back ]; then
	if [ -d "$inner" ]; then
		find "$path" -xdev -mindepth 1 -maxdepth 1 ! -name "${inner##*/}" -exec rm -rf --one-file-system {} + || exit
		fetch
		exit
	fi
	[ -e "$beside" ] || [ -L "$beside" ] || exit 0
	rm -rf --one-file-system "$path" && mv -T -- "$beside" "$path"
	exit
fi
if [ ! -e "$path" ] && [ ! -L "$path" ]; then
	echo -
	exit 0
fi
for other in "$inner" "$beside"; do
	if [ -e "$other" ] || [ -L "$other" ]; then
		echo "$other exists already" >&2
		exit 65
	fi
done
# Behind a link nothing moves: the link itself is renamed.
if [ ! -L "$path" ] || mountpoint -q "$path"; then
	below=$(top=$(realpath -- "$path") awk 'BEGIN { top = ENVIRON["top"]; if (top != "/") top = top "/" }
		{ at = $5; gsub(/\\040/, " ", at); gsub(/\\011/, "\t", at); gsub(/\\134/, "\\", at) }
		index(at, top) == 1 && at != top { print at; exit }' /proc/self/mountinfo) || exit
	if [ -n "$below" ]; then
		echo "$below is mounted in $path, and nobody moves a mount: bring back what lies beside it, part by part" >&2
		exit 65
	fi
fi
if mountpoint -q "$path"; then
	if [ -z "$(find "$path" -mindepth 1 -maxdepth 1 -print -quit)" ]; then
		echo -
		exit 0
	fi
	mkdir -m 0700 "$inner" || exit
	if ! find "$path" -xdev -mindepth 1 -maxdepth 1 ! -name "${inner##*/}" -exec mv -t "$inner" -- {} +; then
		fetch || echo "some of it is in $inner now" >&2
		exit 66
	fi
	echo "$inner"
else
	mv -T -- "$path" "$beside" || exit 66
	echo "$beside"
fi
