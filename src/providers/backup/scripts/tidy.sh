# infra-backup-tidy PATH < for each path in it, deepest first: its length in bytes on a line, then the path
# Removes files and empty directories. What is mounted inside, and a directory that holds something, stays.
set -u
LC_ALL=C
export LC_ALL
cd "$1" || exit
while IFS= read -r length; do
	[ "$length" -gt 0 ] 2>/dev/null || break
	name=$(head -c "$length"; echo .)
	name=./${name%.}
	if [ -d "$name" ] && [ ! -L "$name" ]; then
		rmdir -- "$name" 2>/dev/null
	else
		rm -f -- "$name" || exit
	fi
done
exit 0
