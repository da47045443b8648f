# Other programs and other places, read by night.sh: borg over SSH as to a Storage Box, restic over SFTP, restic and a bucket.
# The server of the first two is the node's own sshd, with a login of its own; the bucket is moto's, behind real TLS.
say "other places: borg over SSH, restic over SFTP, a bucket"
node "sh -c 'id box >/dev/null 2>&1 || useradd --create-home --shell /bin/sh box; rm -f /root/box_key*; ssh-keygen -q -t ed25519 -N \"\" -f /root/box_key; install -d -m 0700 -o box -g box /home/box/.ssh; install -m 0600 -o box -g box /root/box_key.pub /home/box/.ssh/authorized_keys'"
(umask 077 && node "cat /root/box_key" >"$folder/box_key")
host_key=$(node "cat /etc/ssh/ssh_host_ed25519_key.pub" | cut -d ' ' -f 1,2)
other_key=$(node "cat /root/box_key.pub" | cut -d ' ' -f 1,2)
node "sh -c 'command -v moto_server >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-moto python3-flask python3-flask-cors python3-cryptography openssl ca-certificates'" >moto.log || wrong "no moto: $(tail -n 2 moto.log)"
node "sh -c 'mkdir -p /root/s3 && cd /root/s3 && { [ -e key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out ca.crt -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:TRUE; cp ca.crt /usr/local/share/ca-certificates/night.crt; update-ca-certificates; }'" >/dev/null
node "systemd-run --unit=night-bucket moto_server -H 127.0.0.1 -p 5000 -s -c /root/s3/ca.crt -k /root/s3/key" || true
node "python3 -c 'import time, boto3
for _ in range(120):
    try:
        boto3.client(\"s3\", endpoint_url=\"https://localhost:5000\", aws_access_key_id=\"night\", aws_secret_access_key=\"night-secret\", region_name=\"us-east-1\", verify=\"/root/s3/ca.crt\").create_bucket(Bucket=\"backups\")
        break
    except Exception as error:
        print(error)
        time.sleep(1)
'" >bucket.log || true
printf night >access_key
printf night-secret >secret_key
if ! grep -q box_key inventory/media-server-home/secrets.yaml; then
	cat >>inventory/media-server-home/secrets.yaml <<E2
  box_key: {file: $folder/box_key}
  access_key: {file: $folder/access_key}
  secret_key: {file: $folder/secret_key}
E2
	for job in box sftp bucket; do
		place="ssh: {host: 127.0.0.1, user: box, path: $job, key: box_key, host_key: $host_key}"
		engine=restic
		[ "$job" != box ] || engine=borg
		[ "$job" != bucket ] || place="s3: {url: \"https://localhost:5000/backups/home\", access_key: access_key, secret_key: secret_key}"
		cat >>inventory/media-server-home/storage.yaml <<E2

  $job:
    host: pve
    engine: $engine
    repository: {$place}
    password: restic_password
    datasets: [tank/media]
    stacks: [immich]
    exclude: [model-cache]
    schedule: daily 05:00
    keep: {last: 1}
E2
	done
	lab up --yes || wrong "up with three more jobs ended with $?"
fi
for job in box sftp bucket; do
	for _ in 1 2; do
		lab backup run "$job" || wrong "$job: run ended with $?"
	done
	lab backup list "$job"
	[ "$(lab backup list "$job" --json | grep -c '"original"\|"id": "infra\.')" = 1 ] || wrong "$job: the retention kept more than one"
	lab backup check "$job" --read 100% || wrong "$job: check ended with $?"
	lab backup drill "$job" || wrong "$job: drill ended with $?"
	intranet "sh -c 'echo other >/mnt/tank/media/film; echo new >/mnt/tank/media/new'"
	back tank/media:film "$job" tank/media:film
	intranet "cat /mnt/tank/media/film" | grep -qx film || wrong "$job: the file is not back"
	back tank/media "$job" tank/media
	intranet "test ! -e /mnt/tank/media/new" || wrong "$job: the dataset is not as it was"
	sql "DELETE FROM night WHERE id > 10"
	back immich/database.immich.pgdump "$job" immich/database.immich.pgdump
	[ "$(sql "$question")" = "$lives" ] || wrong "$job: the database is not as it was"
	kept=$(sql "SELECT datname FROM pg_database WHERE datname LIKE 'immich_before_%' ORDER BY datname DESC LIMIT 1")
	sql "DROP DATABASE $kept" template1
done
# What can be had comes back, and nobody is told that it was all.
node "mv /home/box/sftp /home/box/away"
code=0
lab backup restore host/intranet --live --confirm intranet >said 2>&1 || code=$?
node "mv /home/box/away /home/box/sftp"
[ "$code" = 6 ] && grep -q "Nothing came from sftp" said || wrong "one of five places is gone: exit $code: $(cat said)"
[ "$(sql "$question")" = "$lives" ] || wrong "with one place gone the database did not come back"
lab backup keys --export >sheet
grep -q 'OPENSSH PRIVATE KEY' sheet || wrong "the sheet has no key for the box"
grep -q night-secret sheet || wrong "the sheet has no key for the bucket"
rm -f sheet
fault "borg's repository is gone" "there is none at" 'node "mv /home/box/box /home/box/away"' 'node "mv /home/box/away /home/box/box"' backup run box
fault "borg's password does not fit" "password does not fit" 'node "sh -c '"'"'cp -a /home/box/box /home/box/copy; BORG_PASSPHRASE=$password BORG_NEW_PASSPHRASE=other BORG_BASE_DIR=/root/night borg key change-passphrase /home/box/box; chown -R box: /home/box/box'"'"'"' 'node "sh -c '"'"'rm -rf /home/box/box; mv /home/box/copy /home/box/box; chown -R box: /home/box/box'"'"'"' backup run box
fault "borg is missing" "not installed" 'node "mv /usr/bin/borg /usr/bin/borg.away"' 'node "mv /usr/bin/borg.away /usr/bin/borg"' backup run box
fault "the server behind SFTP is another one" "verification failed\|exit status 255\|unable to start" 'sed -i "s|$host_key|$other_key|" inventory/media-server-home/storage.yaml' 'sed -i "s|$other_key|$host_key|" inventory/media-server-home/storage.yaml' backup run sftp
fault "the server behind borg is another one" "verification failed" 'sed -i "s|$host_key|$other_key|" inventory/media-server-home/storage.yaml' 'sed -i "s|$other_key|$host_key|" inventory/media-server-home/storage.yaml' backup run box
