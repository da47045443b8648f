# facts_zfs POOL...: health of zpools and the properties of all their datasets, raw and framed by lines `==zfs WORD`.
facts_zfs() (
	PATH="$PATH:/usr/sbin:/sbin"
	LC_ALL=C
	export PATH LC_ALL
	if ! command -v zfs >/dev/null 2>&1; then
		echo '==zfs not-installed'
		exit 0
	fi
	# Standard output as it is, then the exit code with what was said on standard error, on one line.
	framed() {
		{ complaint=$("$@" 2>&1 1>&3); } 3>&1
		printf '==zfs exit %s %s\n' "$?" "$(printf %s "$complaint" | tr '\n' ' ')"
	}
	for pool in "$@"; do
		printf '==zfs pool %s\n' "$pool"
		state=$(framed zpool list -Hp -o name,health,size,free "$pool")
		printf '%s\n' "$state"
		# A suspended pool answers `zfs get` when somebody brings its disks back, perhaps never.
		case $state in
		"$pool	SUSPENDED	"*) continue ;;
		esac
		printf '==zfs datasets %s\n' "$pool"
		framed zfs get -Hp -r -t filesystem,volume -o name,property,value,source all "$pool"
	done
)
