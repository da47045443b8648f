# infra-backup-compare BACK LIVE MOMENT [PATTERN...]
# Compares files that came back with the live ones that nobody has touched since MOMENT (seconds since 1970): every such
# file must be there, and its content alike. PATTERN is what the job leaves out. Datasets mounted inside are left alone.
# Output: `compared FILES ALIKE CHANGED` (files that came back; those that were compared; those that changed since), then
# `missing PATH` and `differs PATH`, at most ten of each.
set -u
LC_ALL=C
export LC_ALL
back=$1 live=$2 moment=$3
shift 3
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM PIPE
(cd "$back" && find . -type f -print0 | sort -z) >"$work/back" || exit
rotate=$#
while [ "$rotate" -gt 0 ]; do
	set -- "$@" -path "*/${1%/}" -prune -o
	shift
	rotate=$((rotate - 1))
done
(cd "$live" && find . -ignore_readdir_race -xdev -path ./.zfs -prune -o "$@" -type f ! -newerct "@$moment" -print0 | sort -z) >"$work/live" || exit
comm -z -12 "$work/back" "$work/live" >"$work/both"
comm -z -13 "$work/back" "$work/live" >"$work/missing"
(cd "$back" && xargs -0 -r sha256sum -- <"$work/both") >"$work/sums.back" || exit
# Gone or changed while it was read: not of this comparison.
(cd "$live" && xargs -0 -r sha256sum -- <"$work/both") >"$work/sums.live" 2>/dev/null
sort "$work/sums.back" >"$work/a"
sort "$work/sums.live" >"$work/b"
comm -13 "$work/a" "$work/b" >"$work/suspects"
differ=0
: >"$work/differs"
while IFS= read -r line; do
	name=${line#*  }
	if [ -n "$(cd "$live" && find "$name" -maxdepth 0 ! -newerct "@$moment" 2>/dev/null)" ]; then
		differ=$((differ + 1))
		printf 'differs %s\n' "$name" >>"$work/differs"
	fi
done <"$work/suspects"
alike=$(comm -12 "$work/a" "$work/b" | wc -l)
total=$(tr -dc '\0' <"$work/back" | wc -c)
echo "compared $total $alike $((total - alike - differ))"
tr '\0\n' '\n?' <"$work/missing" | head -n 10 | sed 's/^/missing /'
head -n 10 "$work/differs"
