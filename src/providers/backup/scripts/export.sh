# infra-backup-export PATH STACK SERVICE ARGUMENT...: the output of a command in a container, or
# infra-backup-export PATH - PATH...: a tar of paths of this host.
# PATH is 0600 and appears only when it is whole. Output: `dump ITEMS - BYTES SHA256 - -`.
# Exit 71 no container runs, or a path is missing; 73 it failed; 74 it is empty; 75 it cannot be read back; 76 it cannot be
# written.
set -u
umask 077
LC_ALL=C
export LC_ALL
path=$1 stack=$2
shift 2
fail() {
	code=$1
	shift
	echo "$*" >&2
	exit "$code"
}
folder=${path%/*}
mkdir -p "$folder" || fail 76 "cannot make $folder"
part=$path.partial
said=$(mktemp) || fail 76 "cannot make a file for work"
trap 'rm -f "$part" "$said"' EXIT
trap 'exit 129' HUP INT TERM PIPE
: >"$part" || fail 76 "cannot write $part"
items=1
if [ "$stack" = - ]; then
	rotate=$#
	while [ "$rotate" -gt 0 ]; do
		[ -e "$1" ] || fail 71 "$1 does not exist"
		set -- "$@" "${1#/}"
		shift
		rotate=$((rotate - 1))
	done
	tries=1
	while :; do
		code=0
		tar --create --file="$part" --directory=/ --numeric-owner --acls --xattrs --one-file-system -- "$@" 2>"$said" || code=$?
		# 1: a file changed while it was read.
		[ "$code" = 1 ] && [ "$tries" -lt 3 ] || break
		tries=$((tries + 1))
	done
	[ "$code" = 0 ] || fail 73 "tar: $(tail -n 2 "$said")"
	items=$(tar --list --file="$part" 2>"$said" | grep -vc '/$')
	[ "$items" -gt 0 ] || fail 74 "there is no file in it"
else
	service=$1
	shift
	container=$(docker ps --quiet --filter "label=com.docker.compose.project=$stack" --filter "label=com.docker.compose.service=$service" | head -n 1)
	[ -n "$container" ] || fail 71 "no container of $service in the stack $stack runs"
	docker exec "$container" "$@" >"$part" 2>"$said" || fail 73 "the command failed: $(tail -n 2 "$said")"
	[ -s "$part" ] || fail 74 "the command wrote nothing"
fi
sync "$part"
sum=$(sha256sum <"$part") || fail 76 "cannot read $part"
bytes=$(wc -c <"$part")
mv -f "$part" "$path" || fail 76 "cannot write $path"
echo "dump $items - $((bytes)) ${sum%% *} - -"
