# The servers, their dumps, and the way back: run by databases.sh in a Debian of its own.
set -u
export PATH=/opt/night:/usr/lib/postgresql/17/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
chmod 755 /opt/night/docker
ip link set lo up
work=/tmp/work
mkdir -p $work
bad=0
# same NAME EXPECTED ACTUAL
same() {
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		echo "WRONG $1: expected \"$2\", got \"$3\"" >&2
		bad=$((bad + 1))
	fi
}
dump() { sh -c "$(cat /opt/night/dump.sh)" infra-backup-dump stack "$@" 2>&1 || echo "exit $?"; }
load() { sh -c "$(cat /opt/night/load.sh)" infra-backup-load live stack "$@" 2>&1 || echo "exit $?"; }
# fails NAME EXIT WORD TEXT
fails() {
	case $4 in
	*"$3"*"exit $2") echo "ok $1" ;;
	*)
		echo "WRONG $1: expected \"$3\" and exit $2, got \"$4\"" >&2
		bad=$((bad + 1))
		;;
	esac
}
await() {
	for _ in $(seq 120); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.5
	done
	echo "WRONG: $* never succeeds" >&2
	exit 1
}

# --- Postgres: the name and the settings are awkward on purpose.
mkdir /tmp/pg
chown postgres /tmp/pg
su postgres -c "initdb -D /tmp/pg -A trust -U app >/dev/null && echo \"unix_socket_directories = '/tmp'\" >>/tmp/pg/postgresql.conf && pg_ctl -D /tmp/pg -w start -l /tmp/pg/log >/dev/null" || exit
export PGHOST=/tmp
sql() { psql -XAtq -U app "$@"; }
sql template1 -c 'CREATE DATABASE "app db"' -c "ALTER DATABASE \"app db\" SET search_path TO '\$user', public, x"
sql 'app db' -c 'CREATE EXTENSION pg_trgm' -c 'CREATE TABLE public.t AS SELECT g AS id, md5(g::text) AS w FROM generate_series(1, 100000) g' \
	-c 'CREATE TABLE public.u (a text)' -c "INSERT INTO public.u VALUES (E'line\nbreak')"
facts=$(dump database postgres 'app db' app '' $work/pg/d)
same "postgres: what is dumped" "dump 2 100001 pg_trgm=1.6" "$(echo "$facts" | awk '{ print $1, $2, $3, $6 }')"
sql 'app db' -c 'DELETE FROM public.t WHERE id < 90000' -c 'DROP TABLE public.u' -c 'CREATE TABLE public.newer (a int)'
asked='SELECT count(*) = 100000 FROM public.t\nSELECT count(*) FROM public.u\n'
printf "$asked" | load database postgres 'app db' app '' $work/pg/d t1 100001 pg_trgm=1.6 >$work/said
same "postgres: what comes back" "loaded 2 100001 2 app db_before_t1" "$(cat $work/said)"
same "postgres: its rows" 100000 "$(sql 'app db' -c 'SELECT count(*) FROM public.t')"
same "postgres: its settings" '"$user", public, x' "$(sql 'app db' -c 'SHOW search_path')"
same "postgres: what was there is kept" 10001 "$(sql 'app db_before_t1' -c 'SELECT count(*) FROM public.t')"
head -c 100000 $work/pg/d >$work/pg/cut
fails "postgres: fewer rows than were dumped" 75 "rows came back" "$(load database postgres 'app db' app '' $work/pg/d t2 100002 - </dev/null)"
fails "postgres: an assertion that does not hold" 77 'answers `0`' "$(echo 'SELECT count(*) FROM public.t WHERE id < 0' | load database postgres 'app db' app '' $work/pg/d t3 - -)"
fails "postgres: an extension that is not there" 72 "no extension vector=0.8.0" "$(load database postgres 'app db' app '' $work/pg/d t4 - vector=0.8.0 </dev/null)"
fails "postgres: a dump that is cut off" 73 "end of file" "$(load database postgres 'app db' app '' $work/pg/cut t5 - - </dev/null)"
same "postgres: none of these touched anything" "app db,app db_before_t1 100000" "$(sql template1 -c "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE 'app%'") $(sql 'app db' -c 'SELECT count(*) FROM public.t')"
sql template1 -c 'DROP DATABASE "app db"'
same "postgres: a database that is gone" "loaded 2 100001 0 -" "$(load database postgres 'app db' app '' $work/pg/d t6 100001 - </dev/null)"
su postgres -c 'pg_ctl -D /tmp/pg -m fast stop >/dev/null'

# --- MariaDB
mkdir /tmp/my
chown mysql /tmp/my
mariadb-install-db --no-defaults --user=mysql --datadir=/tmp/my --auth-root-authentication-method=normal >/dev/null 2>&1 || exit
setsid mariadbd --no-defaults --user=mysql --datadir=/tmp/my --socket=/tmp/my/s --pid-file=/tmp/my/pid --port=13306 --bind-address=127.0.0.1 >/tmp/my/log 2>&1 &
printf '[client]\nsocket=/tmp/my/s\nport=13306\n' >/root/.my.cnf
await mariadb -e 'SELECT 1'
mariadb -e "SET PASSWORD FOR root@localhost = PASSWORD('pw')"
printf pw >$work/pw
my() { MYSQL_PWD=pw mariadb -N "$@"; }
my -e "GRANT ALL ON *.* TO root@127.0.0.1 IDENTIFIED BY 'pw' WITH GRANT OPTION"
my -e "CREATE DATABASE cloud CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE cloud; CREATE TABLE t (id int primary key, w text); INSERT INTO t SELECT seq, md5(seq) FROM seq_1_to_5000; CREATE TABLE u (a blob)"
same "mariadb: what is dumped" "dump 2 -" "$(dump db mariadb cloud root $work/pw $work/my/d | awk '{ print $1, $2, $3 }')"
my cloud -e 'DELETE FROM t WHERE id > 10; CREATE TABLE newer (a int)'
echo 'SELECT count(*) FROM t' | load db mariadb cloud root $work/pw $work/my/d t1 - - >$work/said
same "mariadb: what comes back" "loaded 2 5000 1 $work/my/cloud.before-t1.sql" "$(cat $work/said)"
same "mariadb: its tables and their order of letters" "t u utf8mb4_bin" "$(my -e "SHOW TABLES IN cloud; SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'cloud'" | tr '\n' ' ' | sed 's/ $//')"
same "mariadb: what was there is kept" 1 "$(grep -c 'CREATE TABLE `newer`' $work/my/cloud.before-t1.sql)"
head -c 20000 $work/my/d >$work/my/cut
fails "mariadb: a dump that is cut off" 73 "error in your SQL syntax" "$(load db mariadb cloud root $work/pw $work/my/cut t2 - - </dev/null)"
same "mariadb: that touched nothing" "5000 0" "$(my -e 'SELECT count(*) FROM cloud.t') $(my -e 'SHOW DATABASES' | grep -c cloud_infra)"
kill "$(cat /tmp/my/pid)"

# --- Redis with a password and an append-only file
mkdir /tmp/rd
setsid redis-server --port 6379 --bind 127.0.0.1 --dir /tmp/rd --appendonly yes --requirepass pw >/tmp/rd/log 2>&1 &
rd() { REDISCLI_AUTH=pw redis-cli "$@"; }
await sh -c 'REDISCLI_AUTH=pw redis-cli PING | grep -q PONG'
rd MSET a 1 b 2 c 3 >/dev/null
same "redis: what is dumped" "dump 3" "$(dump cache redis '' '' $work/pw $work/rd/d | awk '{ print $1, $2 }')"
rd DEL a b >/dev/null
rd SET newer 1 >/dev/null
same "redis: what comes back" "loaded 3 - 0 $work/rd/redis.before-t1.rdb" "$(load cache redis '' '' $work/pw $work/rd/d t1 - - </dev/null)"
same "redis: its keys" "a b c" "$(rd KEYS '*' | sort | tr '\n' ' ' | sed 's/ $//')"
same "redis: it follows nobody" "role:master" "$(rd INFO replication | tr -d '\r' | grep ^role)"
head -c 100 $work/rd/d >$work/rd/cut
fails "redis: a dump that is cut off" 73 "redis cannot read the dump" "$(load cache redis '' '' $work/pw $work/rd/cut t2 - - </dev/null)"
same "redis: that touched nothing" "a b c" "$(rd KEYS '*' | sort | tr '\n' ' ' | sed 's/ $//')"
rd SHUTDOWN NOSAVE

# --- SQLite with a write-ahead log and an owner
lite() { python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
for s in sys.argv[2:]: print(*[r[0] for r in c.execute(s).fetchall()])
c.commit()' $work/app.db "$@"; }
lite 'PRAGMA journal_mode = WAL' 'CREATE TABLE t AS WITH RECURSIVE g(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM g WHERE a < 1000) SELECT a FROM g' >/dev/null
chown 1000:1000 $work/app.db
same "sqlite: what is dumped" "dump 1 1000" "$(dump app sqlite $work/app.db '' '' $work/sq/d | awk '{ print $1, $2, $3 }')"
lite 'DELETE FROM t' >/dev/null
same "sqlite: what comes back" "loaded 1 1000 1 $work/app.db.before-t1" "$(echo 'SELECT count(*) FROM t' | load app sqlite $work/app.db '' '' $work/sq/d t1 1000 -)"
same "sqlite: its rows and its owner" "1000 1000:1000" "$(lite 'SELECT count(*) FROM t') $(stat -c %u:%g $work/app.db)"
head -c 5000 $work/sq/d >$work/sq/cut
fails "sqlite: a dump that is cut off" 73 "SQLite" "$(load app sqlite $work/app.db '' '' $work/sq/cut t2 - - </dev/null)"
same "sqlite: that touched nothing" 1000 "$(lite 'SELECT count(*) FROM t')"
echo "$bad wrong"
[ "$bad" = 0 ]
