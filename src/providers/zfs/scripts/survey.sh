# infra-zfs-survey MARK POOL|DATASET...: clock, version, health of zpools, and one list of all that is in them, framed by lines
# `==zfs WORD`; of a dataset in a zpool that dataset alone, with its snapshots and bookmarks. JSON where this ZFS speaks it (2.3
# and later), else columns parted by tabs. MARK is a user property.
# The JSON list has a kilobyte for each snapshot, nearly all of it the same: it travels as gzip in base64 (`things-jz`).
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
# `zpool status` shows local times without their zone.
TZ=UTC0
export PATH LC_ALL TZ
mark=$1
shift
printf '==zfs clock %s\n' "$(date +%s)"
if ! command -v zfs >/dev/null 2>&1; then
	echo '==zfs not-installed'
	exit 0
fi
version=$(zfs version -j 2>/dev/null)
case $version in
'{'*) json=-j version=$(printf %s "$version" | sed -n 's/.*"userland": *"zfs-\([^"]*\)".*/\1/p') ;;
*) json= version=$(zfs version 2>/dev/null | sed -n '1s/^zfs-//p') ;;
esac
printf '==zfs version %s\n' "$version"
# Standard output as it is, then the exit code with what was said on standard error, on one line.
framed() {
	{ complaint=$("$@" 2>&1 1>&3); } 3>&1
	printf '\n==zfs exit %s %s\n' "$?" "$(printf %s "$complaint" | tr '\n' ' ')"
}
# As `framed`, what it wrote packed.
packed() {
	{ answer=$({ { "$@" 2>&4; echo "code $?" >&4; } | gzip -1 | base64 -w 0 >&3; } 4>&1); } 3>&1
	printf '\n==zfs exit %s %s\n' "${answer##*code }" "$(printf %s "${answer%code *}" | tr '\n' ' ')"
}
things=things$json list=framed
if [ -n "$json" ] && command -v gzip >/dev/null 2>&1 && command -v base64 >/dev/null 2>&1; then
	things=things-jz list=packed
fi
for what in "$@"; do
	pool=${what%%/*}
	case $what in
	*/*) depth='-d 1' ;;
	*) depth=-r ;;
	esac
	printf '==zfs pool %s\n' "$pool"
	state=$(framed zpool list -Hp -o name,health,size,alloc,free,cap,frag "$pool")
	printf '%s\n' "$state"
	printf '==zfs status%s %s\n' "$json" "$pool"
	framed zpool status $json -p "$pool"
	# A suspended pool answers `zfs list` when somebody brings its disks back, perhaps never.
	case $state in
	"$pool	SUSPENDED	"*) continue ;;
	esac
	printf '==zfs %s %s\n' "$things" "$what"
	$list zfs list ${json:--H} -p $depth -t filesystem,volume,snapshot,bookmark \
		-o "name,type,guid,createtxg,creation,used,userrefs,clones,origin,mounted,keystatus,$mark" "$what"
done
echo '==zfs end'
