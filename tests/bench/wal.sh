#!/usr/bin/env bash
# Archiving of WAL side by side with pgBackRest: one cold segment, and a burst that is drained in the archiver's way.
#
#   tests/bench/wal.sh DIR [ROUNDS]     DIR: scratch space of about 10 GB; ROUNDS: 3 by default
#
# The segments are those of a real server under pgbench. Each burst is drained as PostgreSQL's archiver does it: one shell
# command for each segment, in order, until all have their .done. Prints medians and ratios as Markdown. Needs pgbackrest, GNU
# time (apt-get install time), python3, and artifacts/shbackup (made by ./test.sh or dotnet publish).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH
count=77

for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done
results=$dir/wal-results
: >"$results"

# The segments, made once.
segments=$dir/segments
if [ "$(ls "$segments" 2>/dev/null | wc -l)" -lt "$count" ]; then
  "$here/dataset.sh" up "$dir/small" small >&2
  (
    eval "$("$here/dataset.sh" env "$dir/small")"
    psql -qX -c "ALTER SYSTEM SET wal_keep_size = '4GB'" -c "ALTER SYSTEM SET max_wal_size = '16GB'" -c 'SELECT pg_reload_conf()' >&2
    mkdir -p "$segments"
    while [ "$(ls "$dir/small/data/pg_wal" | grep -c '^0')" -lt 10 ] || [ "$(psql -AtXc "SELECT (pg_current_wal_lsn() - '0/0') / 16777216 > $((count + 30))")" != t ]; do
      pgbench -n -c 4 -j 2 -T 10 >/dev/null 2>&1
      psql -qX -c "CREATE TABLE IF NOT EXISTS w (a int, b bytea, c text)" \
        -c "INSERT INTO w SELECT g, gen_random_bytes(100), 'text label ' || g FROM generate_series(1, 300000) g"
    done
    psql -qX -c 'SELECT pg_switch_wal()' >&2
    current=$(psql -AtXc 'SELECT pg_walfile_name(pg_current_wal_lsn())')
    for f in $(ls "$dir/small/data/pg_wal" | grep '^0'); do
      if [ "$f" \< "$current" ]; then cp "$dir/small/data/pg_wal/$f" "$segments/"; fi
    done
  )
  cp "$dir/small/data/global/pg_control" "$dir/pg_control"
  "$here/dataset.sh" down "$dir/small" >&2
fi

# fresh N: a data directory as the archiver sees it, with N segments that wait; one more was archived before, so that nothing
# is made for the first time in what is measured.
fresh() {
  work=$dir/wal-work
  rm -rf "$work"
  mkdir -p "$work/data/global" "$work/data/pg_wal/archive_status" "$work/archive" "$work/log" "$work/lock" "$work/pgspool"
  cp "$dir/pg_control" "$work/data/global/"
  echo 15 >"$work/data/PG_VERSION"
  # pgBackRest wants a server that runs.
  touch "$work/data/postmaster.pid"
  for f in $(ls "$segments" | head -n "$1") $(ls "$segments" | tail -n 1); do
    cp "$segments/$f" "$work/data/pg_wal/$f"
  done
}

# drain NAME COMMAND: COMMAND has %f for a segment's name, as archive_command.
drain() {
  local name=$1 command=$2 last
  last=$(ls "$work/data/pg_wal" | grep '^0' | tail -n 1)
  cd "$work/data"
  # Alone: what archives ahead must not begin with the others before they are measured.
  touch "pg_wal/archive_status/$last.ready"
  sh -c "${command//%f/$last}"
  mv "pg_wal/archive_status/$last.ready" "pg_wal/archive_status/$last.done"
  while pgrep -f "archive-push:async.*$work|$work.*archive-push:async" >/dev/null; do sleep 0.1; done
  for f in $(ls pg_wal | grep '^0' | grep -v "$last"); do touch "pg_wal/archive_status/$f.ready"; done
  sync
  cat >"$work/archiver" <<A
set -e
cd '$work/data'
for mark in pg_wal/archive_status/*.ready; do
  f=\$(basename "\$mark" .ready)
  sh -c "$(sed 's/["$`\\]/\\&/g; s/%f/$f/g' <<<"$command")"
  mv "\$mark" "pg_wal/archive_status/\$f.done"
done
A
  /usr/bin/time --output="$work/time" --format='%e %M' bash "$work/archiver" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
  cd /
  echo "$name $(tail -1 "$work/time") $(find "$3" -type f -name '0*' ! -name '*.sha256' -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }')" |
    tee -a "$results" >&2
}

ours() { # NAME N [SETTING…]
  fresh "$2"
  printf '%s\n' "BACKUP_DIR=$work/backups" "BACKUP_WAL_DIR=$work/archive" "${@:3}" >"$work/.env"
  local system hash
  system=$(od -An -tu8 -N8 "$work/data/global/pg_control" | tr -d ' ')
  hash=$(printf %s "$(realpath "$work/data")" | sha256sum | cut -c1-12)
  drain "$1" "[ '$work/backups/state/spool/$system-$hash/'%f -nt pg_wal/%f ] || '$shbackup' --env-file '$work/.env' wal-archive push pg_wal/%f || exit 1" "$work/archive"
}

theirs() { # NAME N async
  fresh "$2"
  cat >"$work/pgbackrest.conf" <<C
[global]
repo1-path=$work/repo
compress-type=zst
compress-level=3
process-max=2
archive-async=$3
spool-path=$work/pgspool
log-path=$work/log
lock-path=$work/lock
log-level-console=off
log-level-file=off
[m]
pg1-path=$work/data
C
  local pgbackrest="pgbackrest --config=$work/pgbackrest.conf --stanza=m"
  $pgbackrest stanza-create --no-online
  drain "$1" "$pgbackrest archive-push pg_wal/%f" "$work/repo/archive"
}

for ((round = 1; round <= rounds; round++)); do
  theirs pgbackrest-one 1 n
  ours shbackup-one 1
  theirs pgbackrest-sync "$count" n
  theirs pgbackrest-async "$count" y
  ours shbackup-burst "$count"
  ours shbackup-burst-3 "$count" BACKUP_COMPRESSION_LEVEL=3
done

python3 "$here/table.py" "$results"
