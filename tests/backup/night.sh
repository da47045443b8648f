#!/bin/sh
# Backups of the flagship on real guests with the real restic: `night.sh INFRA FOLDER`. A Postgres with a million rows and
# ten thousand files come back equal, and whatever is broken ends in a message, an exit code that is not 0, and every good
# backup still there.
set -eu
here=$(realpath "$(dirname "$0")")
. "$(dirname "$0")/../real_lab.sh"
if [ -z "${INFRA_NIGHT_KEEP-}" ]; then
	trap '"$infra" lab down || true' EXIT
	fresh
	lab up --yes
fi
count=0

say "a million rows, ten thousand files"
intranet "sh -c 'mkdir -p /mnt/tank/photos/immich/night && cd /mnt/tank/photos/immich/night && seq 10000 | awk \"{ f = \\\"f\\\" \\\$1; print \\\"photo\\\", \\\$1 > f; close(f) }\"'"
intranet "sh -c 'echo film >/mnt/tank/media/film'"
lab stack exec immich database psql -q -U immich -d immich -c "DROP TABLE IF EXISTS night; CREATE TABLE night AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 1000000) g" >/dev/null
# The pool's own dataset is in no inventory, and in no backup: the coverage says so all the time.
uncovered() { lab zfs coverage 2>/dev/null | sed -n 's/^.* dataset \(.*\) has no backup: .*/\1/p' | sort | tr '\n' ' '; }
without=$(uncovered)
[ "$without" = "tank tank/appdata tank/media tank/photos " ] || wrong "before the first run the coverage misses \"$without\""
lab backup run || wrong "the first run ended with $?"
without=$(uncovered)
[ "$without" = "tank " ] || wrong "after it the coverage misses \"$without\""
lab backup check --read 100% || wrong "check ended with $?"
lab backup list

say "what comes back is equal"
password=$(lab backup keys --export 2>/dev/null | sed -n 's/^Password: *//p' | head -n 1)
restic() { node "RESTIC_PASSWORD='$password' RESTIC_REPOSITORY=/mnt/tank/backups/restic restic --no-cache $*"; }
node "rm -rf /var/tmp/night && mkdir /var/tmp/night"
restic "restore 'latest:/run/infra/backup/library/data/tank/photos/@' --tag infra:media-server-home/library --target /var/tmp/night/photos" >/dev/null
sums="sh -c 'cd \$0 && find . -type f ! -path \"./.infra-dumps/*\" ! -name .immich -print0 | sort -z | xargs -0 sha256sum | sha256sum'"
live=$(node "$sums /mnt/tank/photos")
back=$(node "$sums /var/tmp/night/photos")
[ -n "$live" ] && [ "$live" = "$back" ] || wrong "files differ: $live, $back"
files=$(node "find /var/tmp/night/photos/immich/night -type f | wc -l")
[ "$files" = 10000 ] || wrong "$files files came back"
image=$(intranet "docker inspect --format '{{.Image}}' immich-database-1")
intranet "docker rm -f infra-night" >/dev/null 2>&1 || true
intranet "docker run -d --network none --name infra-night -e POSTGRES_PASSWORD=night -e POSTGRES_USER=immich -e POSTGRES_DB=immich $image" >/dev/null
restic "dump latest:/run/infra/backup/library/data/tank/photos/@ /.infra-dumps/immich/database.immich.pgdump --tag infra:media-server-home/library" >dump
intranet "sh -c 'until docker exec infra-night pg_isready -q -U immich -d immich -h 127.0.0.1; do sleep 1; done'"
lab vm ssh intranet -- sudo docker exec -i infra-night pg_restore -U immich -d immich --no-owner <dump || wrong "pg_restore ended with $?"
question="SELECT count(*), md5(string_agg(word, '' ORDER BY id)) FROM night"
rows=$(intranet "docker exec infra-night psql -XAtq -U immich -d immich -c \"$question\"")
lives=$(intranet "docker exec immich-database-1 psql -XAtq -U immich -d immich -c \"$question\"")
echo "restored: $rows"
[ "$rows" = "$lives" ] && [ "${rows%%|*}" = 1000000 ] || wrong "rows differ: $lives, $rows"
intranet "docker rm -f infra-night" >/dev/null
node "rm -rf /var/tmp/night"

good() { lab backup list --json 2>/dev/null | sed -n 's/^ *"id": "\(.*\)",*$/\1/p' | sort; }
# fault NAME WORD INJECT MEND COMMAND...: the command must fail with a word in its message, and lose nothing.
fault() {
	name=$1 word=$2 inject=$3 mend=$4
	shift 4
	count=$((count + 1))
	before=$(good)
	# A disk that is filled up makes this fail, and it is no business of `set -e`.
	eval "$inject" >/dev/null 2>&1 || true
	code=0
	lab "$@" >said 2>&1 || code=$?
	eval "$mend" >/dev/null 2>&1 || true
	[ "$code" != 0 ] || wrong "$name: exit 0"
	grep -qi -- "$word" said || wrong "$name: no word of \"$word\" in: $(cat said)"
	after=$(good)
	[ -n "$before" ] && [ "$before" = "$after" ] || wrong "$name: the good backups changed"
	echo "$count $name: exit $code: $(grep -m 1 -i -- "$word" said | cut -c 1-160)"
}
database="immich-database-1"
# A pg_dump of our own in the container; the real one stays behind it.
with_dump() { intranet "docker exec $database sh -c 'd=\$(command -v pg_dump); [ -e \$d.real ] || mv \$d \$d.real; printf \"%s\\n\" \"#!/bin/sh\" \"case \\\$1 in --version) exec \$d.real --version ;; esac\" \"$1\" >\$d; chmod 755 \$d'"; }
real_dump() { intranet "docker exec $database sh -c 'd=\$(command -v pg_dump); mv \$d.real \$d'"; }
repository=/mnt/tank/backups/restic

fault "a dump fails" "pg_dump" 'with_dump "echo half; exit 1"' real_dump backup run appdata
fault "a dump is empty" "wrote nothing" 'with_dump "exit 0"' real_dump backup run appdata
fault "a dump is cut off" "pg_restore" 'with_dump "pg_dump.real \\\"\\\$@\\\" | head -c 100000"' real_dump backup run appdata
fault "another version" "its pg_dump is 16" 'intranet "docker exec $database sh -c '"'"'d=\$(command -v pg_dump); mv \$d \$d.real; printf \"%s\\n\" \"#!/bin/sh\" \"echo pg_dump \\(PostgreSQL\\) 16.2\" >\$d; chmod 755 \$d'"'"'"' real_dump backup run appdata
fault "the container is missing" "no container of database" 'intranet "docker stop $database"' 'intranet "docker start $database"; sleep 5' backup run appdata
fault "no room for a dump" "no space left" 'intranet "mount -t tmpfs -o size=64k night /mnt/tank/appdata/.infra-dumps"' 'intranet "umount /mnt/tank/appdata/.infra-dumps"' backup run appdata
fault "no room for the copy" "no space left" 'node "mount -t tmpfs -o size=4k night $repository/snapshots; head -c 8192 /dev/zero >$repository/snapshots/x"' 'node "umount $repository/snapshots"' backup run library
fault "the repository is gone" "there is none at" 'node "mv $repository $repository.away"' 'node "mv $repository.away $repository"' backup run appdata
fault "the password does not fit" "password does not fit" 'node "mv $repository/keys $repository/keys.away; mkdir $repository/keys; RESTIC_PASSWORD=other RESTIC_REPOSITORY=/var/tmp/other restic init -q; cp /var/tmp/other/keys/* $repository/keys/"' 'node "rm -rf $repository/keys /var/tmp/other; mv $repository/keys.away $repository/keys"' backup run appdata
fault "the repository is locked" "locked" 'node "sh -c '"'"'RESTIC_PASSWORD=$password RESTIC_REPOSITORY=$repository setsid restic check --read-data >/dev/null 2>&1 </dev/null & echo \$! >/run/night.pid; until ls $repository/locks | grep -q .; do sleep 0.1; done; kill -STOP \$(cat /run/night.pid)'"'"'"' 'node "sh -c '"'"'kill -CONT \$(cat /run/night.pid); kill \$(cat /run/night.pid)'"'"'"; restic unlock' backup run appdata
fault "a host is cut off" "extranet" 'extranet "sh -c \"systemd-run --on-active=150 systemctl start ssh.socket ssh.service; systemctl stop ssh.socket ssh.service\""' 'until extranet true; do sleep 2; done' backup run appdata
fault "a path is missing" "does not exist" 'extranet "mv /srv/proxy/letsencrypt /srv/proxy/away"' 'extranet "mv /srv/proxy/away /srv/proxy/letsencrypt"' backup run appdata
fault "a dataset is empty all at once" "held files last time" 'intranet "mv /mnt/tank/media/film /var/tmp/film"' 'intranet "mv /var/tmp/film /mnt/tank/media/film"' backup run library
fault "restic is missing" "not installed" 'node "mv /usr/bin/restic /usr/bin/restic.away"' 'node "mv /usr/bin/restic.away /usr/bin/restic"' backup run appdata
fault "a pack is damaged" "damaged" 'node "sh -c '"'"'p=\$(find $repository/data -type f -size +20k | head -n 1); echo \$p >/run/night.pack; cp \$p /var/tmp/pack; chmod u+w \$p; printf xxxx | dd of=\$p bs=1 seek=500 conv=notrunc'"'"'"' 'node "sh -c '"'"'cp /var/tmp/pack \$(cat /run/night.pack)'"'"'"' backup check appdata --read 100%
fault "another run has the job" "has not ended" 'node "sh -c '"'"'mkdir -p /run/infra/backup/appdata; setsid flock /run/infra/backup/appdata/lock sleep 600 >/dev/null 2>&1 </dev/null & echo \$! >/run/night.pid; sleep 1'"'"'"' 'node "sh -c '"'"'pkill -P \$(cat /run/night.pid); kill \$(cat /run/night.pid)'"'"'"' backup run appdata

say "a drill proves every job, without touching what lives"
before=$(node "$sums /mnt/tank/photos")
# On the eve of its day a drill is due already.
sed -i "s/drill: monthly 1 05:00/drill: weekly $(date -u -d '+3 days' +%a | tr '[:upper:]' '[:lower:]') 05:00/" inventory/media-server-home/storage.yaml
lab nightly --job drill >said 2>&1 || wrong "the night's drills ended with $?: $(cat said)"
for job in appdata library; do grep -q "$job: .* came back" said || wrong "no drill of $job in the night: $(cat said)"; done
lab nightly --job drill | grep -q "No drill is due" || wrong "a drill is due again at once"
lab backup drill --json >drill.json || wrong "the drill ended with $?: $(cat drill.json)"
for field in '"rows": 100000[0-9]' '"assertions": 1' '"errors": \[\]'; do
	grep -q "$field" drill.json || wrong "no $field in the drill: $(cat drill.json)"
done
[ "$before" = "$(node "$sums /mnt/tank/photos")" ] || wrong "the drill changed live files"
node "ls /var/lib/infra/scratch" | grep -q . && wrong "the drill left something in its scratch"
intranet "docker ps --all --format '{{.Names}}'" | grep -q infra-drill && wrong "the drill left a container"
lab backup list | grep -q "a restore was proven" || wrong "the list says nothing of the drill"
lab status | grep -q "a restore was proven" || wrong "the status says nothing of the drill"
node "zfs get -H -o value org.infra:last-proven-restore tank/photos" | grep -q ^20 || wrong "the dataset says nothing of the drill"

# back NAME WHAT...: into its place, with the name typed beforehand.
back() {
	name=$1
	shift
	lab backup restore "$@" --live --confirm "$name" >said 2>&1 || wrong "restore $*: exit $?: $(cat said)"
	cat said
}
refused() {
	code=0
	lab backup restore "$@" >said 2>&1 </dev/null || code=$?
	[ "$code" = 11 ] || wrong "restore $*: exit $code: $(cat said)"
}
sql() { intranet "docker exec immich-database-1 psql -XAtq -U immich -d ${2-immich} -c \"$1\""; }
night=/mnt/tank/photos/immich/night

say "restores over what lives"
refused library tank/photos --live
refused library tank/photos --live --confirm photos
refused library tank/photos --to /mnt/tank/photos/immich
[ "$before" = "$(node "$sums /mnt/tank/photos")" ] || wrong "a refused restore changed something"
intranet "sh -c 'rm $night/f5; echo other >$night/f6; echo new >$night/new; rm -r $night/f1*'"
back tank/photos:immich/night/f5 library tank/photos:immich/night/f5
intranet "cat $night/f5" | grep -qx "photo 5" || wrong "the file is not back"
intranet "cat $night/f6" | grep -qx other || wrong "another file was touched"
back tank/photos library tank/photos
[ "$before" = "$(node "$sums /mnt/tank/photos")" ] || wrong "the dataset is not as it was"
node "zfs list -H -t snapshot -o name tank/photos" | grep -q infra_guard_ || wrong "there is no guard"
sql "DELETE FROM night WHERE id > 10; CREATE TABLE newer (a int)"
back immich/database.immich.pgdump appdata immich/database.immich.pgdump
[ "$(sql "$question")" = "$lives" ] || wrong "the database is not as it was"
kept=$(sql "SELECT datname FROM pg_database WHERE datname LIKE 'immich_before_%'")
[ "$(sql "SELECT count(*) FROM night" "$kept")" = 10 ] || wrong "the former database is not kept: $kept"
sql "DROP DATABASE $kept" template1
sql "DROP TABLE night"
intranet "rm -r $night"
lab backup restore stack/immich --live --plan
back immich stack/immich
[ "$(sql "$question")" = "$lives" ] || wrong "the stack's database is not as it was"
[ "$before" = "$(node "$sums /mnt/tank/photos")" ] || wrong "the stack's files are not as they were"
intranet "rm -r $night /mnt/tank/media/film"
back intranet host/intranet
[ "$(sql "$question")" = "$lives" ] || wrong "the host's database is not as it was"
[ "$before" = "$(node "$sums /mnt/tank/photos")" ] || wrong "the host's files are not as they were"
intranet "cat /mnt/tank/media/film" | grep -qx film || wrong "the film is not back"
extranet "rm -r /srv/proxy/letsencrypt"
back extranet host/extranet
extranet "test -d /srv/proxy/letsencrypt" || wrong "the proxy's export is not back"
lab verify || wrong "a check does not hold after all these restores"

. "$here/places.sh"

say "after all that, a run succeeds and leaves nothing behind"
# The bucket was in memory and is gone.
lab backup run appdata library box sftp || wrong "the last run ended with $?"
node "findmnt -lno TARGET | grep -c '^/run/infra/backup/'" | grep -qx 0 || wrong "something is still mounted"
node "zfs list -H -t snapshot -o name | grep -c infra_backup-" | grep -qx 0 || wrong "a snapshot is still there"
lab backup check appdata library box sftp --read 100% || wrong "check ended with $?"
lab plan --exit-code || wrong "the plan is not empty"
echo "$count faults, $bad wrong"
[ "$bad" = 0 ]
