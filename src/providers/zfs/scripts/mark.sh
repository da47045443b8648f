# infra-zfs-mark PROPERTY SYSTEM < one snapshot on each line
# Each gets the mark of the system that took it, which repeats the snapshot's own name: up to 1,000 of a zpool by one channel
# program. One that it could not mark is one `zfs set`, in ZFS's own words, as is each where programs are not to be had.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
property=$1
system=$2
shift 2
program='
args = ...
argv = args["argv"]
left = {}
for at = 3, #argv do
  id = argv[at]
  sign = string.find(id, "@", 1, true)
  if sign then
    errno = zfs.sync.set_prop(id, argv[1], argv[2] .. "/" .. string.sub(id, sign + 1))
    if errno ~= 0 then left[id] = errno end
  end
end
return left'
failed=0
flush() { # SNAPSHOT...: all of $pool
	[ "$#" -gt 0 ] || return 0
	answer=$(printf '%s\n' "$program" | zfs program -j "$pool" - "$property" "$system" "$@" 2>/dev/null) || answer=
	for one in "$@"; do
		case $answer in
		'{'*"\"$one\":"*) ;;
		'{'*) continue ;;
		esac
		zfs set "$property=$system/${one#*@}" "$one" </dev/null || failed=1
	done
}
pool=
while IFS= read -r id; do
	case $id in
	*?@?*) ;;
	*) echo "$id is no snapshot" >&2 && failed=1 && continue ;;
	esac
	own=${id%%[@/]*}
	if [ "$own" != "$pool" ] || [ "$#" -ge 1000 ]; then
		flush "$@"
		set --
		pool=$own
	fi
	set -- "$@" "$id"
done
flush "$@"
exit $failed
