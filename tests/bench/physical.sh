#!/usr/bin/env bash
# Base backups and their restores side by side with pgBackRest, on one machine in one run.
#
#   tests/bench/physical.sh DIR [ROUNDS]     DIR: scratch space of about 25 GB; ROUNDS: 3 by default
#
# Runs the candidates in turn, round by round; prints medians and ratios as Markdown. Needs pgbackrest, GNU time (apt-get install
# time), python3, and artifacts/shbackup (made by ./test.sh or dotnet publish).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH

for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done
as_pg=()
[ "$(id -u)" -ne 0 ] || as_pg=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "PATH=$PATH")
chmod 755 "$dir"
work=$dir/physical-work
rm -rf "$work"
mkdir -p "$work/log" "$work/lock" "$work/pgspool"
[ ${#as_pg[@]} -eq 0 ] || chown -R postgres: "$work"
results=$dir/physical-results
: >"$results"

"$here/dataset.sh" up "$dir/full" full >&2
grep -q '^archive_mode' "$dir/full/data/postgresql.conf" || echo 'archive_mode = on' >>"$dir/full/data/postgresql.conf"
(cd / && "${as_pg[@]}" pg_ctl -D "$dir/full/data" -m fast -w -s -l "$dir/full/server.log" restart)
eval "$("$here/dataset.sh" env "$dir/full")"

"${as_pg[@]}" age-keygen -o "$work/identity.txt" 2>/dev/null
cat >"$work/.env" <<C
DATABASE_HOST=$dir/full
DATABASE_PORT=$PGPORT
DATABASE_USER=postgres
DATABASE_NAME=postgres
BACKUP_DIR=$work/backups
BACKUP_WAL_DIR=$work/wal
BACKUP_DECRYPTION_IDENTITY_FILE=$work/identity.txt
C
recipient=$(age-keygen -y "$work/identity.txt")
# The same with age, and with another level.
{ cat "$work/.env"; printf '%s\n' BACKUP_ENCRYPTION_ENABLED=true BACKUP_ENCRYPTION_METHOD=age "BACKUP_ENCRYPTION_KEY=$recipient"; } >"$work/age.env"
{ cat "$work/age.env"; echo BACKUP_COMPRESSION_LEVEL=3; } >"$work/age3.env"
for kind in cipher plain; do
  cat >"$work/$kind.conf" <<C
[global]
repo1-path=$work/repo-$kind
$([ $kind = plain ] || printf '%s\n' compress-type=zst compress-level=3 process-max=2 repo1-cipher-type=aes-256-cbc repo1-cipher-pass=benchmark)
start-fast=y
spool-path=$work/pgspool
log-path=$work/log
lock-path=$work/lock
log-level-console=warn
log-level-file=off
[m]
pg1-path=$dir/full/data
pg1-port=$PGPORT
pg1-socket-path=$dir/full
pg1-user=postgres
C
done
[ ${#as_pg[@]} -eq 0 ] || chown postgres: "$work"/*.env "$work"/*.conf

# archive_to COMMAND: PostgreSQL's archiver goes over to it, and has nothing left to do before anything is measured.
archive_to() {
  psql -qX -d postgres -c "ALTER SYSTEM SET archive_command = '${1//\'/\'\'}'" -c 'SELECT pg_reload_conf()' >/dev/null
  local segment
  segment=$(psql -AtX -d postgres -c "CREATE TABLE IF NOT EXISTS tick (t timestamptz)" -c 'INSERT INTO tick SELECT now()' -c 'SELECT pg_walfile_name(pg_switch_wal())' | tail -1)
  until [ "$(psql -AtX -d postgres -c "SELECT coalesce(last_archived_wal, '') >= '$segment' FROM pg_stat_archiver")" = t ]; do sleep 0.2; done
}

measure() { # NAME SIZE-PATH COMMAND…
  local name=$1 output=$2
  shift 2
  sync
  (cd / && /usr/bin/time --output="$dir/time" --format='%e %M' "${as_pg[@]}" "$@" >"$dir/out" 2>"$dir/err") || { cat "$dir/out" "$dir/err" >&2; exit 1; }
  echo "$name $(tail -1 "$dir/time") $(du -sb "$output" 2>/dev/null | cut -f1 || echo 0)" | tee -a "$results" >&2
}

pgbr() { echo pgbackrest "--config=$work/$1.conf" --stanza=m "${@:2}"; }
for kind in cipher plain; do (cd / && "${as_pg[@]}" $(pgbr $kind stanza-create)); done

for ((round = 1; round <= rounds; round++)); do
  archive_to "$(pgbr cipher) archive-push %p"
  (cd / && "${as_pg[@]}" rm -rf "$work/repo-cipher/backup/m"/[0-9]*)
  measure pgbackrest-full "$work/repo-cipher/backup/m/latest/" $(pgbr cipher --type=full backup)

  archive_to "'$shbackup' --env-file '$work/.env' wal-archive push %p"
  for variant in age age3 ''; do
    rm -rf "$work/backups/sets"
    case $variant in age) name=shbackup-full ;; age3) name=shbackup-full-3 ;; *) name=shbackup-default ;; esac
    measure "$name" "$work/backups/sets" "$shbackup" --env-file "$work/$variant.env" backup --kind physical
    [ "$variant" != age ] || { rm -rf "$work/kept"; cp -a "$work/backups/sets" "$work/kept"; }
  done

  if [ "$round" -eq 1 ]; then
    archive_to "$(pgbr plain) archive-push %p"
    measure pgbackrest-default "$work/repo-plain/backup/m/latest/" $(pgbr plain --type=full backup)
  fi

done

# Restores, from an empty directory to synced files. In alternating order, and twice as many: what a run leaves in the caches and in
# the machine's memory must not always help or hurt the same one.
fresh() {
  rm -rf "$work/restored"
  (cd / && "${as_pg[@]}" mkdir -m 700 "$work/restored")
}
theirs() {
  fresh
  measure pgbackrest-restore "$work/restored" $(pgbr cipher "--pg1-path=$work/restored" restore)
}
ours() {
  fresh
  measure shbackup-restore-physical "$work/restored" "$shbackup" --env-file "$work/age.env" restore --target-dir "$work/restored" --latest
}
rm -rf "$work/backups/sets"
cp -a "$work/kept" "$work/backups/sets"
for ((round = 1; round <= 2 * rounds; round++)); do
  if ((round % 2)); then theirs; ours; else ours; theirs; fi
done

# Not RESET: with archive_mode on and no command the server keeps every segment from now on.
psql -qX -d postgres -c "ALTER SYSTEM SET archive_command = '/bin/true'" -c 'SELECT pg_reload_conf()' >/dev/null
"$here/dataset.sh" down "$dir/full" >&2
python3 "$here/table.py" "$results"
