#!/usr/bin/env bash
# How physical backups and restores grow: with the data, with the number of files, with the cores. Beside pgBackRest, in one run.
#
#   tests/bench/curve.sh DIR [ROUNDS]     DIR: scratch space of about 40 GB, or that of physical.sh; ROUNDS: 3 by default
#
# The steps: the data set at a tenth, whole, and twice; the tenth with 10,000 tables more (each with an index and a TOAST table);
# the whole one on one core. Needs pgbackrest, GNU time (apt-get install time), taskset, and artifacts/shbackup.
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
pg() { (cd / && "${as_pg[@]}" "$@"); }
chmod 755 "$dir"
work=$dir/curve-work
results=$dir/curve-results
: >"$results"

measure() { # STEP WHAT COMMAND…
  local step=$1 what=$2
  shift 2
  sync
  (cd / && /usr/bin/time --output="$dir/time" --format='%e %M' "${as_pg[@]}" "$@" >"$dir/out" 2>"$dir/err") || { cat "$dir/out" "$dir/err" >&2; exit 1; }
  echo "$step $what $(tail -1 "$dir/time")" | tee -a "$results" >&2
}

# step NAME CLUSTER [PREFIX…]: PREFIX runs every command of both, taskset say.
step() {
  local name=$1 cluster=$2
  shift 2
  rm -rf "$work"
  mkdir -p "$work/log" "$work/lock" "$work/pgspool"
  [ ${#as_pg[@]} -eq 0 ] || chown -R postgres: "$work"
  eval "$("$here/dataset.sh" env "$cluster")"
  pg age-keygen -o "$work/identity.txt" 2>/dev/null
  cat >"$work/.env" <<C
DATABASE_HOST=$cluster
DATABASE_PORT=$PGPORT
DATABASE_USER=postgres
DATABASE_NAME=postgres
BACKUP_DIR=$work/backups
BACKUP_WAL_DIR=$work/wal
BACKUP_DECRYPTION_IDENTITY_FILE=$work/identity.txt
BACKUP_ENCRYPTION_ENABLED=true
BACKUP_ENCRYPTION_METHOD=age
BACKUP_ENCRYPTION_KEY=$(age-keygen -y "$work/identity.txt")
C
  cat >"$work/pgbackrest.conf" <<C
[global]
repo1-path=$work/repo
compress-type=zst
compress-level=3
process-max=2
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=benchmark
start-fast=y
spool-path=$work/pgspool
log-path=$work/log
lock-path=$work/lock
log-level-console=warn
log-level-file=off
[m]
pg1-path=$cluster/data
pg1-port=$PGPORT
pg1-socket-path=$cluster
pg1-user=postgres
C
  [ ${#as_pg[@]} -eq 0 ] || chown postgres: "$work/.env" "$work/pgbackrest.conf"
  local theirs="pgbackrest --config=$work/pgbackrest.conf --stanza=m" ours="$shbackup --env-file $work/.env"
  grep -q '^archive_mode' "$cluster/data/postgresql.conf" || echo 'archive_mode = on' >>"$cluster/data/postgresql.conf"
  pg pg_ctl -D "$cluster/data" -m fast -w -s -l "$cluster/server.log" restart
  pg $theirs stanza-create
  psql -qX -d postgres -c "ALTER SYSTEM SET archive_command = '$theirs archive-push %p && $ours wal-archive push %p'" -c 'SELECT pg_reload_conf()' >/dev/null
  local size files
  size=$(du -sb "$cluster/data/base" | cut -f1)
  files=$(find "$cluster/data/base" -type f | wc -l)
  echo "$name size $size $files" >>"$results"
  for ((round = 1; round <= rounds; round++)); do
    measure "$name" pgbackrest-backup "$@" $theirs --type=full backup
    rm -rf "$work/backups/sets"
    measure "$name" shbackup-backup "$@" $ours backup --kind physical
    rm -rf "$work/restored" && pg mkdir -m 700 "$work/restored"
    measure "$name" pgbackrest-restore "$@" $theirs "--pg1-path=$work/restored" restore
    rm -rf "$work/restored" && pg mkdir -m 700 "$work/restored"
    measure "$name" shbackup-restore "$@" $ours restore --target-dir "$work/restored" --latest
  done
  # Not RESET: with archive_mode on and no command the server keeps every segment from now on.
  psql -qX -d postgres -c "ALTER SYSTEM SET archive_command = '/bin/true'" -c 'SELECT pg_reload_conf()' >/dev/null
}

"$here/dataset.sh" up "$dir/small" small >&2
step tenth "$dir/small"
(
  eval "$("$here/dataset.sh" env "$dir/small")"
  psql -qX -d postgres -c 'CREATE DATABASE many'
  seq 10000 | sed 's/.*/CREATE TABLE t& (id bigint PRIMARY KEY, body text); INSERT INTO t& SELECT g, md5(g::text) FROM generate_series(1, 50) g;/' |
    PGOPTIONS='-c synchronous_commit=off' psql -qX -d many
)
step tables "$dir/small"
psql -qX -d postgres -h "$dir/small" -p "$PGPORT" -c 'DROP DATABASE many'
"$here/dataset.sh" down "$dir/small" >&2

"$here/dataset.sh" up "$dir/full" full >&2
step whole "$dir/full"
step one-core "$dir/full" taskset -c 0
psql -qX -d postgres -c 'CREATE DATABASE bench_again TEMPLATE bench'
step twice "$dir/full"
psql -qX -d postgres -c 'DROP DATABASE bench_again'
"$here/dataset.sh" down "$dir/full" >&2

python3 - "$results" <<'P'
import statistics, sys
steps, facts = {}, {}
for line in open(sys.argv[1]):
    step, what, *numbers = line.split()
    if what == "size":
        facts[step] = [int(n) for n in numbers]
    else:
        steps.setdefault(step, {}).setdefault(what, []).append([float(n) for n in numbers])
names = {"tenth": "a tenth", "tables": "a tenth, 10,000 tables more", "whole": "the data set", "one-core": "the same on one core", "twice": "twice the data"}
print("| what | GB | files | backup s | pgBackRest s | ratio | peak MB | restore s | pgBackRest s | ratio | peak MB |")
print("|---|---|---|---|---|---|---|---|---|---|---|")
for step, runs in steps.items():
    time = {what: statistics.median(r[0] for r in values) for what, values in runs.items()}
    peak = {what: max(r[1] for r in values) / 1024 for what, values in runs.items()}
    cells = [names[step], f"{facts[step][0] / 1e9:.2f}", str(facts[step][1])]
    for what in ("backup", "restore"):
        ours, theirs = time[f"shbackup-{what}"], time[f"pgbackrest-{what}"]
        cells += [f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}", f"{peak[f'shbackup-{what}']:.0f}"]
    print("|", " | ".join(cells), "|")
P
