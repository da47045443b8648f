# infra-zfs-directories DATASET < lines `UID GID MODE PATH`, PATH relative to the mount point, `.` for itself
# Exit 0 with a line `changed PATH` for each directory that was made or whose owner or mode was set; 65 the dataset
# is not mounted; 66 PATH leads out of it through a symbolic link, or is no directory; else failed.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
dataset=$1
mounted=$(zfs get -Hp -o value mounted "$dataset") || exit
mountpoint=$(zfs get -Hp -o value mountpoint "$dataset") || exit
case $mounted,$mountpoint in
yes,/*) ;;
*)
	echo "$dataset is not mounted (mountpoint $mountpoint)" >&2
	exit 65
	;;
esac
root=$(readlink -f -- "$mountpoint") || exit
# By this file whoever is given a mount of it, in a guest or a container, knows that the dataset is behind it.
marker=$root/.infra-dataset
if [ -L "$marker" ] || [ "$(cat "$marker" 2>/dev/null)" != "$dataset" ]; then
	rm -f -- "$marker" && printf '%s\n' "$dataset" >"$marker" && chmod 0444 "$marker" || exit
	echo 'changed .infra-dataset'
fi
while read -r uid gid mode path; do
	directory="$root/$path"
	[ "$path" = . ] && directory=$root
	# A symbolic link inside, made by a container, must not lead us out of the dataset.
	if [ "$(readlink -m -- "$directory")" != "$directory" ]; then
		echo "$directory is reached through a symbolic link" >&2
		exit 66
	fi
	if [ -d "$directory" ]; then
		made=
	else
		mkdir -p -- "$directory" || exit
		made=yes
	fi
	if [ -n "$made" ] || [ "$(stat -c '%u %g %a' -- "$directory")" != "$uid $gid $mode" ]; then
		chown -h -- "$uid:$gid" "$directory" && chmod -- "$mode" "$directory" || exit
		printf 'changed %s\n' "$path"
	fi
done
