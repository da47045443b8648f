#!/bin/sh
# The day when everything is lost, on real guests: `disaster.sh INFRA FOLDER`. The flagship's backups go to a box behind
# SFTP, which is all that survives beside the inventory, its keys and the secrets' key. Node, datasets, guests and what the
# operator's machine knew of them are forgotten; `infra dr run` builds all of it and brings everything back, also after it
# was killed half-way; what came back is compared by its hashes.
set -eu
. "$(dirname "$0")/../real_lab.sh"
# The box is somebody else's machine with a server and a key of its own. The lab has no other one that outlives it, so its
# home is carried over each end of the world and its server started again.
box() {
	node "sh -c 'useradd --uid 4000 --no-create-home --home-dir /home/box --shell /bin/sh box; systemd-run --quiet --unit=box /usr/sbin/sshd -D -e -p 2322 -h /home/box/host -o AuthorizedKeysFile=/home/box/.ssh/authorized_keys -o PidFile=none -o PasswordAuthentication=no'"
}
trap '"$infra" lab down || true' EXIT
rm -rf state
fresh

say "a box, and backups that go there"
node "sh -c 'umask 077; mkdir -p /home/box/.ssh /home/box/home && cd /home/box && ssh-keygen -q -t ed25519 -N \"\" -f host && ssh-keygen -q -t ed25519 -N \"\" -f login && cp login.pub .ssh/authorized_keys && chown -R 4000:4000 .ssh home . && chown root: host'"
(umask 077 && node "cat /home/box/login" >"$folder/box_key")
host_key=$(node "cat /home/box/host.pub" | cut -d ' ' -f 1,2)
box
echo "  box_key: {file: $folder/box_key}" >>inventory/media-server-home/secrets.yaml
sed -e "s|repository: {dataset: tank/backups, path: restic}|repository: {ssh: {host: 127.0.0.1, port: 2322, user: box, path: home, key: box_key, host_key: $host_key}}|" \
	-e '/# What takes the pool/d' -e '/same_zpool:/d' inventory/media-server-home/storage.yaml >storage
mv storage inventory/media-server-home/storage.yaml
ends 0 up --yes

say "what will be lost"
intranet "sh -c 'mkdir -p /mnt/tank/photos/immich/2026 && cd /mnt/tank/photos/immich/2026 && seq 2000 | awk \"{ f = \\\"f\\\" \\\$1; print \\\"photo\\\", \\\$1 > f; close(f) }\" && ln -s f1 link && chown 1234:1234 f2 && chmod 640 f2'"
intranet "sh -c 'echo film >/mnt/tank/media/film; mkdir -p /mnt/tank/appdata/jellyfin/config; echo mine >/mnt/tank/appdata/jellyfin/config/mine'"
extranet "sh -c 'mkdir -p /srv/proxy/letsencrypt/live; echo certificate >/srv/proxy/letsencrypt/live/mine'"
lab stack exec immich database psql -q -U immich -d immich -c "CREATE TABLE rows AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 100000) g" >/dev/null
# Names, kinds, owners, rights and contents. Immich writes its own `.immich` anew whenever it starts.
facts() {
	node "sh -c 'cd /mnt/tank && find photos media -path \"*/.infra-*\" -prune -o -printf \"%y %m %U %G %l %p\\n\" | sort; find photos media -path \"*/.infra-*\" -prune -o -type f ! -name .immich -print0 | sort -z | xargs -0 sha256sum'"
	intranet "cat /mnt/tank/appdata/jellyfin/config/mine"
	extranet "cat /srv/proxy/letsencrypt/live/mine"
	intranet "docker exec immich-database-1 psql -XAtq -U immich -d immich -c \"SELECT count(*), md5(string_agg(word, '' ORDER BY id)) FROM rows\""
}
facts >before
for word in '/f2000$' '^film$\|media/film$' '^mine$' '^certificate$' '^100000|'; do
	grep -q -- "$word" before || wrong "no $word among what will be lost"
done
ends 0 backup run
copies=$(lab backup list --json | grep -c '"id": "')
ends 11 dr run --confirm media-server-home
grep -q "this is no empty machine" said || wrong "dr run does not say why: $(cat said)"
ends 0 dr plan
for word in box 'restore host/extranet' 'restore host/intranet' '127.0.0.1:2322' 'database.immich.pgdump' 'keys --export'; do
	grep -q -- "$word" said || wrong "no $word in the runbook"
done
if grep -qi "$(lab backup keys --export 2>/dev/null | sed -n 's/^Password: *//p' | head -n 1)" said; then wrong "a password is in the runbook"; fi

# Everything is gone but the box, the inventory and the keys.
lost() {
	node "tar -C /home -cf - box" >box.tar
	"$infra" lab down
	"$infra" lab reset
	rm -rf state
	"$infra" -i inventory/media-server-home lab up
	node "tar -C /home -xf -" <box.tar
	box
	[ -z "$(node "zfs list -H -o name | grep tank/")" ] || wrong "the lab still has datasets"
}
same() {
	facts >after
	cmp -s before after || wrong "$1: what came back differs: $(diff before after | head -n 10)"
	ends 0 plan --exit-code
	ends 0 verify
	[ "$(lab backup list --json | grep -c '"id": "')" -ge "$copies" ] || wrong "$1: copies are gone"
}

say "everything is lost, and comes back"
lost
ends 11 dr run
grep -q "nobody to ask" said || wrong "it did not ask: $(cat said)"
begun=$(date +%s)
ends 0 dr run --confirm media-server-home
echo "dr run took $(($(date +%s) - begun)) s"
same "dr run"
ends 0 backup run
ends 0 backup drill
lab backup list

say "lost again: built without bringing anything back, a night passes, and dr run is killed half-way"
lost
ends 0 up --yes --no-verify
ends 11 backup run
grep -q "built anew" said || wrong "an empty machine was backed up: $(cat said)"
"$infra" -i inventory/media-server-home --lab dr run --over-live --confirm media-server-home >said 2>&1 </dev/null &
pid=$!
while kill -0 "$pid" 2>/dev/null && ! grep -q "Bringing back tank/photos" said; do sleep 0.2; done
kill -9 "$pid" 2>/dev/null || wrong "it ended before it could be killed: $(cat said)"
wait "$pid" || true
ends 11 dr run --confirm media-server-home
ends 0 dr run --over-live --confirm media-server-home
same "dr run after a kill"
ends 0 backup run
echo "$bad wrong"
[ "$bad" = 0 ]
