# infra-zfs-destroy < lines `DATASET@NAME[,NAME...]`
# Destroys snapshots only, and without any flag. First all of a zpool by one channel program, up to 1,000 at a time, which tells
# for each why it stayed. A line of which something stayed is one `zfs destroy`: all of its names or none, in ZFS's own words,
# as is every line where programs are not to be had. For each line, in order: `==zfs exit CODE WORDS`, line breaks as tabs.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
program='
args = ...
stayed = {}
for _, name in ipairs(args["argv"]) do
  if string.find(name, "@", 1, true) then
    errno = zfs.sync.destroy(name)
    if errno ~= 0 then stayed[name] = errno end
  end
end
return stayed'
ids() { # LINE: each of its snapshots on a line
	printf '%s\n' "${1#*@}" | tr ',' '\n' | while IFS= read -r name; do printf '%s@%s\n' "${1%%@*}" "$name"; done
}
command_of() { # LINE
	case $1 in
	*%*) echo '==zfs exit 2 a range is never destroyed' && return ;;
	*?@?*) ;;
	*) echo '==zfs exit 2 this is no snapshot' && return ;;
	esac
	complaint=$(zfs destroy "$1" 2>&1 </dev/null)
	printf '==zfs exit %s %s\n' "$?" "$(printf %s "$complaint" | tr '\n' '\t')"
}
stayed() { # LINE
	ids "$1" | {
		while IFS= read -r id; do
			case $answer in *"\"$id\":"*) exit 0 ;; esac
		done
		exit 1
	}
}
flush() { # SNAPSHOT...: those of $lines, all in $pool
	[ "$#" -gt 0 ] || return 0
	answer=$(printf '%s\n' "$program" | zfs program -j "$pool" - "$@" 2>/dev/null) || answer=
	printf '%s' "$lines" | while IFS= read -r line; do
		case $answer in
		'{'*) stayed "$line" || { echo '==zfs exit 0 ' && continue; } ;;
		esac
		command_of "$line"
	done
	lines=
}
lines=
pool=
set --
while IFS= read -r line; do
	case $line in
	*%* | *@*@* | @* | *@) fits=no ;;
	*@*) fits=yes ;;
	*) fits=no ;;
	esac
	own=${line%%[@/]*}
	if [ "$fits" = no ] || [ "$own" != "$pool" ] || [ "$#" -ge 1000 ]; then
		flush "$@"
		set --
		pool=$own
	fi
	if [ "$fits" = no ]; then
		command_of "$line"
		continue
	fi
	lines="$lines$line
"
	names=${line#*@},
	while [ -n "$names" ]; do
		set -- "$@" "${line%%@*}@${names%%,*}"
		names=${names#*,}
	done
done
flush "$@"
echo '==zfs end'
