# infra-zfs-transfer COUNT SEND... RECEIVE...: `zfs SEND... | zfs RECEIVE...` on one host. COUNT words belong to the first.
# Output: `==zfs send CODE` and `==zfs receive CODE`; what both say goes to standard error.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
count=$1
shift
# The words of `receive` become the positional parameters of a function behind the pipe, those of `send` of one before it.
first() {
	count=$1
	shift
	# Takes the words after the first COUNT away, from the end.
	while [ "$#" -gt "$count" ]; do
		rotate=$#
		while [ "$rotate" -gt 1 ]; do
			set -- "$@" "$1"
			shift
			rotate=$((rotate - 1))
		done
		shift
	done
	zfs "$@"
}
{
	{
		first "$count" "$@" 3>&- 4>&-
		echo "==zfs send $?" >&3
	} | {
		shift "$count"
		zfs "$@" 3>&- 4>&- >&2
		echo "==zfs receive $?" >&3
	}
} 3>&1
