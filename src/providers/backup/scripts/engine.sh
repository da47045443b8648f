# infra-backup-engine JOB PROGRAM ARGUMENT...
# Runs a backup program once, with secrets in its environment and snapshots mounted at stable paths. Standard input holds
# `env NAME=VALUE`, `file BYTES NAME` with exactly so many bytes behind it (written into a folder of its own), `mount
# SNAPSHOT PATH`, `need PATH`, `in PATH` for the directory to run in, and `end`. Whatever a dead run left mounted is
# unmounted first; at the end nothing is left. The files of a needed path are counted: `==backup files ALL OWNERS
# PATH` on standard error; OWNERS are those that infra did not make: neither dumps nor the mark of a dataset. When the
# program fails, what SSH has written into `ssh.log` beside the secret files follows on standard error.
# Exit 65 input is cut; 66 a needed path is missing; 67 a snapshot cannot be mounted; 68 the program is missing;
# 75 another run has the job; else what the program returned.
set -u
umask 077
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
job=$1
shift
run=${INFRA_BACKUP_RUN:-/run/infra/backup}/$job
mkdir -p "$run" || exit
# The lock lives as long as the last process that has it: a run whose connection was lost still counts.
exec 9>"$run/lock" || exit
if ! flock -n 9; then
	echo "another run of $job has not ended" >&2
	exit 75
fi
clean() {
	rm -rf --one-file-system "$run/secret"
	[ -d "$run/data" ] || return 0
	findmnt -lno TARGET | while IFS= read -r at; do
		case $at in
		"$run/data/"*) umount "$at" || umount -l "$at" ;;
		esac
	done
	find "$run/data" -xdev -depth -type d -exec rmdir {} + 2>/dev/null
	return 0
}
clean
trap 'clean' EXIT
trap 'exit 129' HUP INT TERM PIPE
if ! command -v "$1" >/dev/null 2>&1; then
	echo "$1 is not installed" >&2
	exit 68
fi
mkdir -p "$run/secret" || exit
INFRA_BACKUP_SECRET=$run/secret
export INFRA_BACKUP_SECRET
ended=no
while IFS= read -r line; do
	case $line in
	'env '*) export "${line#env }" ;;
	'file '*)
		rest=${line#file }
		head -c "${rest%% *}" >"$run/secret/${rest#* }" || exit
		;;
	'mount '*)
		rest=${line#mount }
		snapshot=${rest%%	*}
		at=${rest#*	}
		mkdir -p "$at" && mount -t zfs -o ro "$snapshot" "$at" >&2 || {
			echo "cannot mount $snapshot" >&2
			exit 67
		}
		;;
	'need '*)
		at=${line#need }
		if [ ! -e "$at" ]; then
			echo "$at does not exist" >&2
			exit 66
		fi
		# Whether it may be empty is decided by who knows what it held before. A dot for each file: names hold newlines.
		all=$(find "$at" \( -type f -o -type l \) -printf . | wc -c)
		owners=$(find "$at" -path "$at/.infra-dumps" -prune -o -path "$at/.infra-dataset" -o \( -type f -o -type l \) -printf . | wc -c)
		echo "==backup files $all $owners $at" >&2
		;;
	'in '*)
		at=${line#in }
		mkdir -p "$at" && cd "$at" || exit 66
		;;
	end)
		ended=yes
		break
		;;
	esac
done
if [ "$ended" != yes ]; then
	echo "the input ended early" >&2
	exit 65
fi
code=0
"$@" </dev/null || code=$?
[ "$code" = 0 ] || [ ! -s "$run/secret/ssh.log" ] || cat "$run/secret/ssh.log" >&2
exit "$code"
