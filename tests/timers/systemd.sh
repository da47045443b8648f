#!/bin/sh
# Nights under a real systemd, on real guests: `systemd.sh INFRA FOLDER`. Program, inventory and keys are put on the node of the
# flagship as docs/nights.md says; from then on systemd alone begins what runs there, and infra runs there as it does outside of
# any lab. Units load, a missed timer is caught up, one run waits for another, a failure is told, no unit has a secret, a night with
# nothing to do is short, and without `nights:` nothing is left. INFRA_TIMERS_KEEP=1 goes on in the lab that is there.
set -eu
. "$(dirname "$0")/../real_lab.sh"
# until_so SECONDS WHAT COMMAND...: looks until it is so.
until_so() {
	end=$(($(date +%s) + $1)) what=$2
	shift 2
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || { wrong "$what"; return 0; }
		sleep 0.5
	done
}
night=infra-media-server-home-night snapshot=infra-media-server-home-snapshot told=infra-media-server-home-failed@
property() { node "systemctl show -P $2 $1"; }

if [ -z "${INFRA_TIMERS_KEEP-}" ]; then
	trap '"$infra" lab down || true' EXIT
	fresh
	# The host of the nights is one of the operators.
	sed -i 's/operators: \[192.168.1.50\]/operators: [192.168.1.50, 192.168.1.10, 10.10.10.1]/' "$system/system.yaml"
	node "sh -c 'mkdir -p /root/told && cd /root/told && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=night && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out csr -subj /CN=localhost && echo subjectAltName=DNS:localhost >names && openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out crt'" >/dev/null
	node "cat /root/told/ca.crt" >"$system/told-ca.pem"
	# Half a day before its hour a backup is due already: none is, once it has been made.
	day=$(date -u -d '+3 days' +%a | tr '[:upper:]' '[:lower:]')
	sed -i -e "s/schedule: .* \(0[23]:30\)$/schedule: weekly $day \1/" -e "s/drill: .*/drill: weekly $day 05:00/" "$system/storage.yaml"
	[ "$(grep -c "weekly $day 0[235]:[03]0" "$system/storage.yaml")" = 4 ]
	cat >"$system/nights.yaml" <<E2
nights:
  host: pve
  metrics: intranet
  timers: {night: daily 02:30, snapshot: hourly}
  notify:
    owner: {ca: told-ca.pem, webhook: {url: "https://localhost:8443/"}}
E2
	lab up --yes
fi
# Somebody who is told.
cat >server.py <<'E2'
import http.server, ssl
class Told(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/root/told/log", "ab") as log:
            log.write(body + b"\n")
        self.send_response(200)
        self.end_headers()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/told/crt", "/root/told/key")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Told)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
E2
node "sh -c 'cat >/root/told/server.py'" <server.py
node "systemd-run --quiet --collect --unit=told python3 /root/told/server.py" || true

say "what docs/nights.md wants on the host"
state() { jq -er "$1" lab/state.json; }
cp "$infra" program
strip program
node "sh -c 'cat >/usr/local/bin/infra.new && chmod 755 /usr/local/bin/infra.new && mv /usr/local/bin/infra.new /usr/local/bin/infra'" <program
rm -rf there
mkdir -p there
cp -r inventory templates there/
# What `--lab` puts in the place of the inventory's own: pin, token, keys, images.
sed -i -e "s|fingerprint: \".*\"|fingerprint: \"$(state .fingerprint | sed 's/../&:/g; s/:$//')\"|" \
	-e "s|id: infra@pve!infra|id: $(state .token_id)|" \
	-e "s|^authorized_keys: .*|authorized_keys: [\"$(state .operator_public_key)\"]|" "there/$system/system.yaml"
sed -i -e "s|url: https://cloud.debian.org.*|url: $(state '.images["debian-13"][0]')|" \
	-e "s|checksum: .*|checksum: \"sha256:$(state '.images["debian-13"][1]')\"|" "there/$system/guests.yaml"
cp lab/known_hosts "there/$system/known_hosts"
tar -C there -cf - inventory templates | node "sh -c 'install -d -m 0755 /etc/infra && tar -C /etc/infra -xf - --no-same-owner'"
node "install -m 0600 /dev/stdin /etc/infra/age.txt" <config/infra/age.txt
echo "INFRA_PROXMOX_TOKEN=$(state .token_secret)" | node "install -m 0600 /dev/stdin /etc/infra/environment"
node "sh -c 'mkdir -p -m 0700 /root/.ssh && install -m 0600 /dev/stdin /root/.ssh/id_ed25519'" <"$(state .operator_key)"

say "units load, and have no secret"
complaints=$(node "sh -c 'systemd-analyze verify /etc/systemd/system/infra-media-server-home-* 2>&1'") || wrong "systemd-analyze verify: exit $?"
[ -z "$complaints" ] || wrong "systemd-analyze verify says: $complaints"
node "sh -c 'cat /etc/systemd/system/infra-media-server-home-*; systemctl show \"infra-media-server-home-*\"'" >units
[ "$(grep -c '^ExecStart=' units)" -ge 3 ] || wrong "there are not three services"
for secret in "$(tail -n 1 config/infra/age.txt)" "$(state .token_secret)" "$(lab backup keys --export 2>/dev/null | sed -n 's/^Password: *//p' | head -n 1)"; do
	[ ${#secret} -gt 8 ] || wrong "no secret to look for"
	if grep -qF -- "$secret" units; then wrong "a secret is in a unit"; fi
done
lab timers list || wrong "timers list ended with $?"
next=$(property $night.timer NextElapseUSecRealtime)
case $next in *" 02:3"* | *" 02:40:00 "*) echo "the night begins $next" ;; *) wrong "the night begins \"$next\", not between 02:30 and 02:40" ;; esac
[ "$(property $night.timer Persistent)" = yes ] || wrong "the night is not caught up"

say "a night, begun by systemd"
# began UNIT, ended UNIT: its last run.
ran() { [ "$(property "$1" ActiveState)" = inactive ] || [ "$(property "$1" ActiveState)" = failed ]; }
code=0
node "systemctl start $night.service" || code=$?
journal() { node "journalctl -q -o cat -u $1 --no-pager"; }
journal $night.service >night.log
cat night.log
[ "$code" = 0 ] || wrong "the night ended with $(property $night.service Result), exit $(property $night.service ExecMainStatus)"
for job in snapshot prune backup check drift certificates; do
	grep -q "^ok *$job" night.log || wrong "$job is not well"
done
intranet "cat /var/lib/infra/metrics/infra.prom" | grep -q '^infra_night_last_success' || wrong "there are no metrics"
node "cat /root/told/log" | grep -q '"kind":"well"' || wrong "nobody was told of the night: $(node "cat /root/told/log")"

say "another night, in which nothing is to be done"
node "systemctl start $night.service" || wrong "the second night ended with $(property $night.service Result)"
took=$(($(property $night.service ExecMainExitTimestampMonotonic) - $(property $night.service ExecMainStartTimestampMonotonic)))
echo "it took $((took / 1000)) ms"
journal $night.service | tail -n 40 >night.log
grep -q "No backup job is due" night.log || wrong "a backup was due again: $(cat night.log)"
[ "$took" -lt 5000000 ] || wrong "a night with nothing to do took $((took / 1000)) ms, not under 5 s; load $(cut -d ' ' -f 1 /proc/loadavg)"

say "what was missed is caught up when the timer starts again"
before=$(property $snapshot.service InvocationID)
node "sh -c 'systemctl stop $snapshot.timer; touch -d \"2 days ago\" /var/lib/systemd/timers/stamp-$snapshot.timer'"
# Put off by up to ten minutes; nobody waits so long here.
node "sh -c 'mkdir -p /run/systemd/system/$snapshot.timer.d; printf \"[Timer]\\nRandomizedDelaySec=0\\n\" >/run/systemd/system/$snapshot.timer.d/soon.conf; systemctl daemon-reload; systemctl start $snapshot.timer'"
again() { [ "$(property $snapshot.service InvocationID)" != "$before" ]; }
until_so 60 "the missed timer did not begin anything" again
until_so 120 "its service did not end" ran $snapshot.service
[ "$(property $snapshot.service Result)" = success ] || wrong "what was caught up ended with $(property $snapshot.service Result): $(journal $snapshot.service | tail -n 5)"
node "sh -c 'rm -r /run/systemd/system/$snapshot.timer.d; systemctl daemon-reload'"

say "one run waits for another"
# A run of the operator's holds the system; the night begins meanwhile.
rm -f held
"$infra" -i "$system" --lab nightly --job check --no-notify >held 2>&1 &
held=$!
node "systemctl start $night.service $snapshot.service" || wrong "two at once: $(journal $night.service | tail -n 5) $(journal $snapshot.service | tail -n 5)"
wait "$held" || wrong "the run that held the system ended with $?: $(cat held)"

say "what is killed is told by another unit"
node "sh -c ': >/root/told/log; systemctl start --no-block $night.service'"
runs() { [ "$(property $night.service ActiveState)" = activating ]; }
until_so 30 "the night did not begin" runs
node "systemctl kill --signal=KILL $night.service"
until_so 60 "the night did not end" ran $night.service
is_told() { node "cat /root/told/log" | grep -q "$night.service failed"; }
until_so 60 "nobody was told: $(journal "$told$night.service.service")" is_told
node "cat /root/told/log"
# A lock of a dead run is no reason to miss the next night.
node "systemctl start $night.service" || wrong "after a kill: $(journal $night.service | tail -n 20)"

say "without nights nothing is left"
rm "$system/nights.yaml"
code=0
lab plan --exit-code >said || code=$?
[ "$code" = 4 ] && grep -q "$night.timer" said || wrong "the plan says nothing of timers that are left: exit $code: $(cat said)"
lab up --yes || wrong "up without nights ended with $?"
left=$(node "sh -c 'ls /etc/systemd/system /etc/systemd/system/timers.target.wants | grep infra-media; systemctl list-units --all --no-legend \"infra-media*.timer\"'" || true)
[ -z "$left" ] || wrong "this is left: $left"
lab plan --exit-code || wrong "the plan is not empty"
echo "$bad wrong"
[ "$bad" = 0 ]
