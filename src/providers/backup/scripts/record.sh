# infra-backup-record JOB < the record: keeps it as the job's last success, beside metrics for a textfile collector.
# Standard input: `metrics BYTES`, so many bytes, then the record.
set -u
umask 022
folder=${INFRA_BACKUP_STAGE:-/var/lib/infra/backup}/$1
mkdir -p "$folder" || exit
chmod 0700 "$folder" || exit
IFS= read -r line || exit
head -c "${line#metrics }" >"$folder/metrics.partial" || exit
cat >"$folder/last.json.partial" || exit
[ -s "$folder/last.json.partial" ] || exit 65
sync "$folder/last.json.partial"
mv -f "$folder/last.json.partial" "$folder/last.json" || exit
metrics=${INFRA_METRICS:-/var/lib/prometheus/node-exporter}
if [ -d "$metrics" ]; then
	cp "$folder/metrics.partial" "$metrics/infra_backup_$1.prom.partial" && mv -f "$metrics/infra_backup_$1.prom.partial" "$metrics/infra_backup_$1.prom"
fi
rm -f "$folder/metrics.partial"
