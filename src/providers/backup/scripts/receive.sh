# infra-backup-receive PATH SHA256: standard input becomes PATH, 0600, when it has this hash. Exit 75 when it has not.
set -u
umask 077
path=$1
mkdir -p "${path%/*}" || exit
part=$path.partial
trap 'rm -f "$part"' EXIT
trap 'exit 129' HUP INT TERM PIPE
cat >"$part" || exit
sum=$(sha256sum <"$part")
if [ "${sum%% *}" != "$2" ]; then
	echo "what arrived is not what was sent" >&2
	exit 75
fi
sync "$part"
mv -f "$part" "$path"
