#!/usr/bin/env bash
# Replay of archived WAL side by side with pgBackRest: the same base backup and the same WAL, fetched by restore_command.
#
#   tests/bench/replay.sh DIR [ROUNDS]     DIR: scratch space of about 15 GB; ROUNDS: 3 by default
#
# A server under pgbench archives the same segments into both archives. Each run restores the base backup, starts the server and
# takes the time from its start until it has been promoted at the end of the WAL. Prints medians and ratios as Markdown. Needs
# pgbackrest, python3, and artifacts/shbackup (made by ./test.sh or dotnet publish).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH
port=54331

for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done
as_pg=()
[ "$(id -u)" -ne 0 ] || as_pg=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "PATH=$PATH")
pg() { (cd / && "${as_pg[@]}" "$@"); }
chmod 755 "$dir"
work=$dir/replay-work
rm -rf "$work"
mkdir -p "$work/log" "$work/lock" "$work/pgspool"
[ ${#as_pg[@]} -eq 0 ] || chown -R postgres: "$work"
trap 'for d in source copy; do pg pg_ctl -D "$work/$d" -m immediate -s stop >/dev/null 2>&1 || true; done' EXIT
results=$dir/replay-results
: >"$results"

cat >"$work/pgbackrest.conf" <<C
[global]
repo1-path=$work/repo
compress-type=zst
compress-level=3
process-max=2
archive-async=y
start-fast=y
spool-path=$work/pgspool
log-path=$work/log
lock-path=$work/lock
log-level-console=warn
log-level-file=off
[m]
pg1-path=$work/source
pg1-port=$port
pg1-socket-path=$work
pg1-user=postgres
C
cat >"$work/.env" <<C
DATABASE_HOST=$work
DATABASE_PORT=$port
DATABASE_USER=postgres
DATABASE_NAME=postgres
BACKUP_DIR=$work/backups
BACKUP_WAL_DIR=$work/wal
C
[ ${#as_pg[@]} -eq 0 ] || chown postgres: "$work/.env" "$work/pgbackrest.conf"
pgbackrest="pgbackrest --config=$work/pgbackrest.conf --stanza=m"

pg initdb -D "$work/source" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
cat >>"$work/source/postgresql.conf" <<C
listen_addresses = ''
unix_socket_directories = '$work'
port = $port
shared_buffers = 1GB
max_wal_size = 8GB
fsync = off
archive_mode = on
archive_command = '$pgbackrest archive-push %p && $shbackup --env-file $work/.env wal-archive push %p'
C
pg pg_ctl -D "$work/source" -w -s -l "$work/source.log" start
export PGHOST=$work PGPORT=$port PGUSER=postgres
pg $pgbackrest stanza-create
pgbench -q -i -s 20 postgres >/dev/null 2>&1
pg $pgbackrest --type=full backup
pg "$shbackup" --env-file "$work/.env" backup --kind physical >/dev/null

# About 100 segments; random bytes beside pgbench's, so that they don't compress to nothing.
begin=$(psql -AtXc 'SELECT pg_current_wal_lsn()')
psql -qXc 'CREATE TABLE w (a int, b bytea, c text)'
until [ "$(psql -AtXc "SELECT pg_current_wal_lsn() - '$begin' > 100 * 16777216::numeric")" = t ]; do
  pgbench -n -c 4 -j 2 -T 5 postgres >/dev/null 2>&1
  psql -qXc "INSERT INTO w SELECT g, decode(md5(random()::text) || md5(random()::text) || md5(random()::text), 'hex'), 'text label ' || g FROM generate_series(1, 400000) g"
done
last=$(psql -AtX -c 'CREATE TABLE last (t timestamptz)' -c 'SELECT pg_walfile_name(pg_switch_wal())' | tail -1)
until [ "$(psql -AtXc "SELECT coalesce(last_archived_wal, '') >= '$last' FROM pg_stat_archiver")" = t ]; do sleep 0.2; done
rows=$(psql -AtXc 'SELECT count(*) FROM w')
pg pg_ctl -D "$work/source" -m fast -w -s stop

# replay NAME: from the start of the restored server to the end of its recovery.
replay() {
  sync
  local begin
  begin=$(date +%s.%N)
  pg pg_ctl -D "$work/copy" -w -t 600 -s -l "$work/copy.log" start
  until [ "$(psql -AtXc 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do sleep 0.02; done
  echo "$1 $(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }') 0 0" | tee -a "$results" >&2
  [ "$(psql -AtXc 'SELECT count(*) FROM w')" = "$rows" ] || { echo "replay.sh: $1 lost rows" >&2; exit 1; }
  pg pg_ctl -D "$work/copy" -m immediate -w -s stop
}

theirs() {
  rm -rf "$work/copy" "$work/pgspool"/*
  pg mkdir -m 700 "$work/copy"
  pg $pgbackrest "--pg1-path=$work/copy" --archive-mode=off --type=default --target-timeline=current restore
  replay pgbackrest-replay
}

ours() {
  rm -rf "$work/copy"
  pg "$shbackup" --env-file "$work/.env" restore --target-dir "$work/copy" --latest >/dev/null 2>&1
  replay shbackup-replay
}

for ((round = 1; round <= rounds; round++)); do
  # In alternating order: what the first one leaves in the caches must not always help the other.
  if ((round % 2)); then theirs; ours; else ours; theirs; fi
done

python3 "$here/table.py" "$results"
