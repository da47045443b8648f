# infra-backup-dump STACK SERVICE ENGINE NAME USER PASSWORD_FILE PATH
# Dumps a database inside its own container into PATH, which is 0600 and appears only when it is whole and was read back.
# Output: `dump ITEMS ROWS BYTES SHA256 EXTENSIONS VERSION`; ROWS is `-` where they are not counted, EXTENSIONS a list such
# as `vector=0.8.0,cube=1.5` or `-`.
# Exit 71 no container runs; 72 server and tool are of different versions; 73 the dump failed; 74 it is empty; 75 it cannot
# be read back; 76 it cannot be written.
set -u
umask 077
LC_ALL=C
export LC_ALL
stack=$1 service=$2 engine=$3 name=$4 user=$5 password_file=$6 path=$7
fail() {
	code=$1
	shift
	echo "$*" >&2
	exit "$code"
}
folder=${path%/*}
mkdir -p "$folder" || fail 76 "cannot make $folder"
part=$path.partial
work=$(mktemp -d) || fail 76 "cannot make a folder for work"
trap 'rm -f "$part"; rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM PIPE
: >"$part" || fail 76 "cannot write $part"
container=
if [ "$engine" != sqlite ]; then
	container=$(docker ps --quiet --filter "label=com.docker.compose.project=$stack" --filter "label=com.docker.compose.service=$service" | head -n 1)
	[ -n "$container" ] || fail 71 "no container of $service in the stack $stack runs"
fi
# A password is read inside the container, into the environment of the tool: never an argument, never on this host.
inside() {
	variable=$1
	shift
	docker exec "$container" sh -c 'f=$1 v=$2; shift 2; if [ -n "$f" ]; then export "$v=$(cat "$f")" || exit; fi; exec "$@"' sh "$password_file" "$variable" "$@"
}
items=0 rows=- extensions=- version=
case $engine in
postgres)
	version=$(docker exec "$container" psql -XAtq --no-password --username="$user" --dbname="$name" -c 'SHOW server_version' 2>"$work/said") ||
		fail 73 "cannot ask $name: $(tail -n 2 "$work/said")"
	extensions=$(docker exec "$container" psql -XAtq --no-password --username="$user" --dbname="$name" \
		-c "SELECT string_agg(extname || '=' || extversion, ',' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'" 2>"$work/said") ||
		fail 73 "cannot ask $name: $(tail -n 2 "$work/said")"
	extensions=${extensions:--}
	tool=$(docker exec "$container" pg_dump --version | sed 's/.*) //')
	[ "${version%%.*}" = "${tool%%[. ]*}" ] || fail 72 "the server is $version and its pg_dump is $tool"
	docker exec "$container" pg_dump --format=custom --no-password --username="$user" --dbname="$name" >"$part" 2>"$work/said" ||
		fail 73 "pg_dump: $(tail -n 2 "$work/said")"
	[ -s "$part" ] || fail 74 "pg_dump wrote nothing"
	docker exec -i "$container" pg_restore --list <"$part" >"$work/list" 2>"$work/said" ||
		fail 75 "pg_restore --list: $(tail -n 2 "$work/said")"
	items=$(grep -c ' TABLE DATA ' "$work/list")
	[ "$items" -gt 0 ] || fail 74 "the dump holds no table"
	# Every byte is read back; the rows are counted on the way. A dump that is cut off ends within a line.
	rows=$({ docker exec -i "$container" pg_restore --data-only --file=- <"$part" 2>"$work/said" || printf '\n==failed\n'; } |
		awk '/^==failed$/ { bad = 1 } /^\\\.$/ { inside = 0 } inside { rows++ } /^COPY .* FROM stdin;$/ { inside = 1 } END { print bad ? "bad" : rows + 0 }')
	[ "$rows" != bad ] || fail 75 "pg_restore cannot read the dump: $(tail -n 2 "$work/said")"
	;;
mariadb)
	version=$(inside MYSQL_PWD mariadb --user="$user" --skip-column-names --batch -e 'SELECT VERSION()' "$name" 2>"$work/said") ||
		fail 73 "cannot ask $name: $(tail -n 2 "$work/said")"
	inside MYSQL_PWD mariadb-dump --user="$user" --single-transaction --routines --events --triggers --hex-blob "$name" >"$part" 2>"$work/said" ||
		fail 73 "mariadb-dump: $(tail -n 2 "$work/said")"
	[ -s "$part" ] || fail 74 "mariadb-dump wrote nothing"
	tail -n 1 "$part" | grep -q '^-- Dump completed' || fail 75 "the dump has no end"
	items=$(grep -c '^CREATE TABLE ' "$part")
	[ "$items" -gt 0 ] || fail 74 "the dump holds no table"
	;;
redis)
	version=$(inside REDISCLI_AUTH redis-cli INFO server 2>"$work/said" | sed -n 's/^redis_version://p' | tr -d '\r')
	[ -n "$version" ] || fail 73 "cannot ask redis: $(tail -n 2 "$work/said")"
	items=$(inside REDISCLI_AUTH redis-cli DBSIZE | tr -dc 0-9)
	inside REDISCLI_AUTH redis-cli --rdb - >"$part" 2>"$work/said" || fail 73 "redis-cli: $(tail -n 2 "$work/said")"
	[ -s "$part" ] || fail 74 "redis-cli wrote nothing"
	[ "$(head -c 5 "$part")" = REDIS ] || fail 75 "the dump is not one of redis"
	;;
sqlite)
	# SQLite has no server: whoever opens the file takes part in its locks, so its own copy is of one moment.
	[ -f "$name" ] || fail 71 "$name does not exist"
	command -v python3 >/dev/null 2>&1 || fail 73 "python3 is not installed"
	answer=$(python3 - "$name" "$part" 2>"$work/said" <<'P'
import sqlite3, sys
from urllib.parse import quote
source = sqlite3.connect("file:" + quote(sys.argv[1]) + "?mode=ro", uri=True, timeout=60)
copy = sqlite3.connect(sys.argv[2])
source.backup(copy)
verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
if verdict != "ok":
    sys.exit("integrity_check: " + verdict)
names = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")]
rows = sum(copy.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0] for name in names)
copy.execute("PRAGMA journal_mode = DELETE")
copy.close()
print(len(names), rows, sqlite3.sqlite_version)
P
	) || fail 73 "SQLite: $(tail -n 1 "$work/said")"
	# shellcheck disable=SC2086 # three words
	set -- $answer
	items=$1 rows=$2 version=$3
	[ "$items" -gt 0 ] || fail 74 "$name holds no table"
	;;
*) fail 73 "no such kind of database: $engine" ;;
esac
sync "$part"
sum=$(sha256sum <"$part") || fail 76 "cannot read $part"
bytes=$(wc -c <"$part")
mv -f "$part" "$path" || fail 76 "cannot write $path"
echo "dump $items $rows $((bytes)) ${sum%% *} $extensions $version"
