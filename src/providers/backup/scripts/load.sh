# infra-backup-load live|drill STACK SERVICE ENGINE NAME USER PASSWORD_FILE DUMP STAMP ROWS EXTENSIONS < assertions
# `drill` loads a dump into a throw-away container of the running one's image, without any network, looks at it and removes
# the container. `live` loads it beside the live database, looks at it, and only then puts it in the live one's place; what
# was there before is kept. STAMP makes names unique; ROWS is what the dump holds, or `-`; EXTENSIONS as in
# infra-backup-dump. Standard input: one query a line; each must answer `t`, `true` or a number that is not 0.
# Output: `loaded ITEMS ROWS ASSERTIONS KEPT`; KEPT says where the former data is, or `-`.
# Exit 71 there is no container; 72 another version; 73 it cannot be loaded; 75 what was loaded is not what was dumped;
# 76 it does not start; 77 an assertion does not hold; 78 what is there cannot be kept. After these the live database is
# untouched; after 79 it is not, and the message says where the former one is.
set -u
umask 077
LC_ALL=C
export LC_ALL
mode=$1 stack=$2 service=$3 engine=$4 name=$5 user=$6 password_file=$7 dump=$8 stamp=$9
shift 9
expected=$1 extensions=$2
fail() {
	code=$1
	shift
	echo "$*" >&2
	exit "$code"
}
[ -s "$dump" ] || fail 73 "$dump is empty, or not there"
work=$(mktemp -d) || fail 76 "cannot make a folder for work"
scratch= beside=
clean() {
	[ -z "$scratch" ] || docker rm --force --volumes "$scratch" >/dev/null 2>&1
	[ -z "$beside" ] || eval "$beside" >/dev/null 2>&1
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 129' HUP INT TERM PIPE
cat >"$work/assertions"
last() { tail -n 2 "$work/said" | tr '\n' ' '; }
containers() { docker ps "$@" --quiet --filter "label=com.docker.compose.project=$stack" --filter "label=com.docker.compose.service=$service" | head -n 1; }
# Asks again and again until it is well; a container that has ended is not waited for.
await() {
	tries=0
	until "$@" >"$work/said" 2>&1; do
		tries=$((tries + 1))
		running=$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)
		[ "$running" = true ] || fail 76 "the database does not start: $(docker logs --tail 3 "$container" 2>&1 | tr '\n' ' ')"
		[ "$tries" -lt 300 ] || fail 76 "the database does not answer: $(last)"
		sleep 1
	done
}
container=
if [ "$engine" != sqlite ]; then
	container=$(containers --all)
	[ -n "$container" ] || fail 71 "there is no container of $service in the stack $stack"
	if [ "$mode" = live ]; then
		docker start "$container" >/dev/null 2>"$work/said" || fail 76 "$service does not start: $(last)"
	else
		scratch=infra-drill-$stamp
		image=$(docker inspect --format '{{.Image}}' "$container") || fail 71 "there is no image of $service"
		# The same command line: a database's extensions are loaded by it.
		docker inspect --format '{{range .Config.Cmd}}{{println .}}{{end}}' "$container" | sed '/^$/d' >"$work/command"
		initdb=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$container" | sed -n 's/^POSTGRES_INITDB_ARGS=//p')
	fi
fi
# run OPTION...: the throw-away container, with the live one's command line.
run() {
	set -- run --detach --network none --name "$scratch" --label "infra.drill=$stack/$service" "$@" "$image"
	while IFS= read -r word; do
		set -- "$@" "$word"
	done <"$work/command"
	docker "$@" >/dev/null 2>"$work/said" || fail 76 "no throw-away container of $service starts: $(last)"
	container=$scratch
}
inside() {
	variable=$1
	shift
	docker exec -i "$container" sh -c 'f=$1 v=$2; shift 2; if [ -n "$f" ]; then export "$v=$(cat "$f")" || exit; fi; exec "$@"' sh "$password_file" "$variable" "$@"
}
items=0 rows=- held=0 kept=-
# assert COMMAND...: each query, appended to a command.
assert() {
	while IFS= read -r query; do
		[ -n "$query" ] || continue
		answer=$("$@" "$query" 2>"$work/said" </dev/null) || fail 77 "\`$query\` cannot be asked: $(last)"
		case $answer in
		t | true) ;;
		'' | 0 | *[!0-9]*) fail 77 "\`$query\` answers \`$answer\`" ;;
		esac
		held=$((held + 1))
	done <"$work/assertions"
}
same() { [ "$expected" = - ] || [ "$rows" = "$expected" ] || fail 75 "$rows rows came back, and the dump had $expected"; }
case $engine in
postgres)
	if [ "$mode" = drill ]; then
		# Nobody needs it: there is no network, and the container's own socket asks for none.
		POSTGRES_PASSWORD=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
		export POSTGRES_PASSWORD
		run --env "POSTGRES_USER=$user" --env "POSTGRES_DB=$name" --env POSTGRES_PASSWORD ${initdb:+--env "POSTGRES_INITDB_ARGS=$initdb"}
	fi
	sql() { docker exec -i "$container" psql -XAtq --no-password --set=ON_ERROR_STOP=1 --username="$user" "$@"; }
	# Over TCP: while the image sets the database up, it listens on its socket alone.
	await docker exec "$container" pg_isready --quiet --username="$user" --host=127.0.0.1
	version=$(sql --dbname=template1 -c 'SHOW server_version' 2>"$work/said") || fail 76 "cannot ask $service: $(last)"
	from=$(docker exec -i "$container" pg_restore --list <"$dump" 2>"$work/said" | sed -n 's/^;.*Dumped from database version: *//p')
	[ -n "$from" ] || fail 73 "pg_restore cannot read the dump: $(last)"
	[ "${from%%.*}" -le "${version%%.*}" ] || fail 72 "the dump is of Postgres $from, and the server is $version"
	if [ "$extensions" != - ]; then
		for extension in $(echo "$extensions" | tr , ' '); do
			has=$(sql --dbname=template1 -c "SELECT count(*) FROM pg_available_extension_versions WHERE name || '=' || version = '$extension'" 2>"$work/said")
			[ "$has" = 1 ] || fail 72 "the server has no extension $extension, which the dump needs"
		done
	fi
	new=$name
	if [ "$mode" = live ]; then
		new=${name}_infra_$stamp
		quoted=$(printf %s "$name" | sed 's/"/""/g')
		has=$(sql --dbname=template1 -c "SELECT count(*) FROM pg_database WHERE datname = '$name'" 2>"$work/said") || fail 76 "cannot ask $service: $(last)"
		options=
		if [ "$has" = 1 ]; then
			options=$(sql --dbname=template1 -c "SELECT format('OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = '$name'" 2>"$work/said") ||
				fail 76 "cannot ask $service: $(last)"
			# Settings of a database are in no dump of it.
			docker exec "$container" pg_dump --create --schema-only --section=pre-data --no-password --username="$user" --dbname="$name" 2>"$work/said" |
				grep -E "^ALTER DATABASE \"?$quoted\"? SET " >"$work/settings"
		fi
		beside="sql --dbname=template1 -c 'DROP DATABASE IF EXISTS \"$new\"' </dev/null"
		sql --dbname=template1 -c "CREATE DATABASE \"$new\" TEMPLATE template0 $options" >/dev/null 2>"$work/said" || fail 73 "cannot make a database beside $name: $(last)"
		docker exec -i "$container" pg_restore --exit-on-error --no-password --username="$user" --dbname="$new" <"$dump" >/dev/null 2>"$work/said" || fail 73 "pg_restore: $(last)"
	else
		docker exec -i "$container" pg_restore --exit-on-error --no-owner --no-privileges --no-password --username="$user" --dbname="$new" <"$dump" >/dev/null 2>"$work/said" ||
			fail 73 "pg_restore: $(last)"
	fi
	# Counted as the dump was counted.
	docker exec "$container" pg_dump --data-only --no-password --username="$user" --dbname="$new" 2>"$work/said" |
		awk '/^\\\.$/ { inside = 0 } inside { rows++ } /^COPY .* FROM stdin;$/ { inside = 1; items++ } END { print items + 0, rows + 0 }' >"$work/count"
	read -r items rows <"$work/count"
	same
	docker exec "$container" vacuumdb --quiet --analyze-only --no-password --username="$user" --dbname="$new" >/dev/null 2>&1
	assert sql --dbname="$new" -c
	if [ "$mode" = live ]; then
		swap="ALTER DATABASE \"$new\" RENAME TO \"$name\";"
		if [ "$has" = 1 ]; then
			kept=${name}_before_$stamp
			swap="ALTER DATABASE \"$name\" RENAME TO \"$kept\"; $swap"
		fi
		sql --dbname=template1 -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$name'" >/dev/null 2>&1
		# Both names change at once, or neither does.
		sql --dbname=template1 --single-transaction -c "$swap" >/dev/null 2>"$work/said" || fail 73 "cannot put the new database in the place of $name: $(last)"
		beside=
		if [ -s "${work}/settings" ]; then
			sql --dbname=template1 -f - <"$work/settings" >/dev/null 2>"$work/said" || fail 79 "$name is the restored one, and its settings are not: $(last)"
		fi
	fi
	;;
mariadb)
	if [ "$mode" = drill ]; then
		password_file=
		user=root
		run --env MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 --env MYSQL_ALLOW_EMPTY_PASSWORD=1 --env "MARIADB_DATABASE=$name" --env "MYSQL_DATABASE=$name"
	fi
	sql() { inside MYSQL_PWD mariadb --user="$user" --skip-column-names --batch "$@"; }
	await sql --protocol=TCP --host=127.0.0.1 -e 'SELECT 1' </dev/null
	new=$name
	[ "$mode" = drill ] || new=${name}_infra_$stamp
	beside="sql -e 'DROP DATABASE IF EXISTS \`$new\`' </dev/null"
	[ "$mode" = live ] || beside=
	sql -e "CREATE DATABASE IF NOT EXISTS \`$new\`" </dev/null >/dev/null 2>"$work/said" || fail 73 "cannot make a database: $(last)"
	sql "$new" <"$dump" >/dev/null 2>"$work/said" || fail 73 "mariadb: $(last)"
	sql -e "SELECT table_name FROM information_schema.tables WHERE table_schema = '$new' AND table_type = 'BASE TABLE'" </dev/null >"$work/tables" 2>"$work/said" || fail 75 "cannot look at the tables: $(last)"
	items=$(grep -c . "$work/tables") rows=0
	while IFS= read -r table; do
		count=$(sql -e "SELECT count(*) FROM \`$table\`" "$new" </dev/null 2>"$work/said") || fail 75 "cannot read $table: $(last)"
		rows=$((rows + count))
	done <"$work/tables"
	tables=$(grep -c '^CREATE TABLE ' "$dump")
	[ "$items" = "$tables" ] || fail 75 "$items tables came back, and the dump has $tables"
	assert sql "$new" -e
	if [ "$mode" = live ]; then
		kept=${dump%/*}/$name.before-$stamp.sql
		has=$(sql -e "SELECT concat('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) FROM information_schema.schemata WHERE schema_name = '$name'" </dev/null 2>"$work/said") || fail 78 "cannot ask $service: $(last)"
		if [ -n "$has" ]; then
			inside MYSQL_PWD mariadb-dump --user="$user" --single-transaction --routines --events --triggers --hex-blob "$name" </dev/null >"$kept" 2>"$work/said" || fail 78 "what is there cannot be kept: $(last)"
			tail -n 1 "$kept" | grep -q '^-- Dump completed' || fail 78 "what is there cannot be kept: its dump has no end"
		else
			kept=-
		fi
		sql -e "DROP DATABASE IF EXISTS \`$name\`; CREATE DATABASE \`$name\` $has" </dev/null >/dev/null 2>"$work/said" && sql "$name" <"$dump" >/dev/null 2>"$work/said" ||
			fail 79 "$name is not whole now: $(last); what was there is in $kept"
	fi
	;;
redis)
	# The file's server loads it, and a live one takes it over from there as a replica would: with every kind of persistence.
	if [ "$mode" = drill ]; then
		docker create --network none --name "$scratch" --label "infra.drill=$stack/$service" --entrypoint redis-server "$image" --port 6379 --bind 127.0.0.1 --dir /tmp --dbfilename infra.rdb --appendonly no --save '' >/dev/null 2>"$work/said" ||
			fail 76 "no throw-away container of $service: $(last)"
		chmod 0644 "$dump"
		docker cp "$dump" "$scratch:/tmp/infra.rdb" >/dev/null 2>"$work/said" && docker start "$scratch" >/dev/null 2>"$work/said" || fail 76 "no throw-away container of $service starts: $(last)"
		container=$scratch
		password_file=
		await docker exec "$container" sh -c 'test "$(redis-cli PING)" = PONG'
		items=$(docker exec "$container" redis-cli DBSIZE 2>"$work/said" | tr -dc 0-9)
		[ "${items:-0}" -gt 0 ] || fail 75 "no key came back: $(last)"
	else
		await inside REDISCLI_AUTH redis-cli PING </dev/null
		kept=${dump%/*}/redis.before-$stamp.rdb
		inside REDISCLI_AUTH redis-cli --rdb - </dev/null >"$kept" 2>"$work/said" || fail 78 "what is there cannot be kept: $(last)"
		[ "$(head -c 5 "$kept")" = REDIS ] || fail 78 "what is there cannot be kept"
		docker exec -i "$container" sh -c 'umask 077; mkdir "$1" && cat >"$1/infra.rdb"' sh "/tmp/infra-$stamp" <"$dump" 2>"$work/said" || fail 73 "the dump does not fit into the container: $(last)"
		beside="docker exec '$container' sh -c 'redis-cli -p 16379 SHUTDOWN NOSAVE; rm -rf \"\$1\"' sh '/tmp/infra-$stamp'"
		tries=0
		# Not detached: a server that cannot read the file ends, and says why.
		docker exec "$container" redis-server --port 16379 --bind 127.0.0.1 --dir "/tmp/infra-$stamp" --dbfilename infra.rdb --appendonly no --save '' --repl-diskless-sync yes --repl-diskless-sync-delay 0 >"$work/second" 2>&1 </dev/null &
		second=$!
		until docker exec "$container" sh -c 'test "$(redis-cli -p 16379 PING)" = PONG' >/dev/null 2>&1; do
			kill -0 "$second" 2>/dev/null || fail 73 "redis cannot read the dump: $(tail -n 3 "$work/second" | tr '\n' ' ')"
			tries=$((tries + 1))
			[ "$tries" -lt 300 ] || fail 76 "the second server does not answer: $(tail -n 3 "$work/second" | tr '\n' ' ')"
			sleep 1
		done
		items=$(docker exec "$container" redis-cli -p 16379 DBSIZE 2>"$work/said" | tr -dc 0-9)
		[ "${items:-0}" -gt 0 ] || fail 75 "no key came back: $(last)"
		inside REDISCLI_AUTH redis-cli REPLICAOF 127.0.0.1 16379 </dev/null >/dev/null 2>"$work/said" || fail 73 "it does not take the dump over: $(last)"
		tries=0
		until inside REDISCLI_AUTH redis-cli INFO replication </dev/null 2>/dev/null | grep -q '^master_link_status:up'; do
			tries=$((tries + 1))
			if [ "$tries" -ge 120 ]; then
				inside REDISCLI_AUTH redis-cli REPLICAOF NO ONE </dev/null >/dev/null 2>&1
				fail 79 "it did not take the dump over; what was there is in $kept"
			fi
			sleep 1
		done
		inside REDISCLI_AUTH redis-cli REPLICAOF NO ONE </dev/null >/dev/null 2>"$work/said" || fail 79 "it has the dump and still follows the second server: $(last)"
		now=$(inside REDISCLI_AUTH redis-cli DBSIZE </dev/null 2>"$work/said" | tr -dc 0-9)
		[ "${now:-0}" -gt 0 ] || fail 79 "no key came back: $(last); what was there is in $kept"
	fi
	;;
sqlite)
	command -v python3 >/dev/null 2>&1 || fail 73 "python3 is not installed"
	query() { python3 -c 'import sqlite3, sys
for row in sqlite3.connect("file:" + sys.argv[1] + "?mode=ro&immutable=1", uri=True).execute(sys.argv[2]): print(row[0])' "$dump" "$1"; }
	answer=$(python3 - "$dump" 2>"$work/said" <<'P'
import sqlite3, sys
from urllib.parse import quote
copy = sqlite3.connect("file:" + quote(sys.argv[1]) + "?mode=ro&immutable=1", uri=True)
verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
if verdict != "ok":
    sys.exit("integrity_check: " + verdict)
names = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")]
print(len(names), sum(copy.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0] for name in names))
P
	) || fail 73 "SQLite: $(last)"
	items=${answer% *} rows=${answer#* }
	same
	assert query
	if [ "$mode" = live ]; then
		if [ -e "$name" ]; then
			kept=$name.before-$stamp
			for end in '' -wal -shm; do
				[ ! -e "$name$end" ] || cp --archive "$name$end" "$kept$end" || fail 78 "what is there cannot be kept"
			done
		fi
		mkdir -p "${name%/*}" && cp "$dump" "$name.infra-$stamp" || fail 73 "there is no room beside $name"
		if [ -e "$name" ]; then
			chown --reference="$name" "$name.infra-$stamp" && chmod --reference="$name" "$name.infra-$stamp" || fail 73 "the new file cannot be given the owner of $name"
		fi
		sync "$name.infra-$stamp"
		# The journal of the former file goes first: beside the new one it would be written into it.
		rm -f "$name-wal" "$name-shm" && sync "${name%/*}" && mv -f "$name.infra-$stamp" "$name" || fail 79 "cannot write $name; what was there is in $kept"
	fi
	;;
*) fail 73 "no such kind of database: $engine" ;;
esac
echo "loaded ${items:-0} $rows $held $kept"
