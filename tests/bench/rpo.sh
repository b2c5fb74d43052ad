#!/usr/bin/env bash
# How much a lost server would take with it: the time from a commit until the archive has it, with wal-archive receive.
#
#   tests/bench/rpo.sh DIR [COMMITS] [FLUSH-SECONDS]     DIR: scratch space of about 1 GB; 30 commits and 10 s by default
#
# pgbench writes all the while. Prints a Markdown row. Needs artifacts/shbackup (made by ./test.sh or dotnet publish), python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
commits=${2:-30}
flush=${3:-10}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH
port=54332

for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done
as_pg=()
[ "$(id -u)" -ne 0 ] || as_pg=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "PATH=$PATH")
pg() { (cd / && "${as_pg[@]}" "$@"); }
chmod 755 "$dir"
work=$dir/rpo-work
rm -rf "$work"
mkdir -p "$work"
[ ${#as_pg[@]} -eq 0 ] || chown postgres: "$work"
cat >"$work/.env" <<C
DATABASE_HOST=$work
DATABASE_PORT=$port
DATABASE_USER=postgres
DATABASE_NAME=postgres
BACKUP_DIR=$work/backups
BACKUP_WAL_DIR=$work/wal
BACKUP_SPOOL_DIR=$work/spool
C
[ ${#as_pg[@]} -eq 0 ] || chown postgres: "$work/.env"
trap 'kill $(jobs -p) 2>/dev/null || true; pg pg_ctl -D "$work/data" -m immediate -s stop >/dev/null 2>&1 || true' EXIT

pg initdb -D "$work/data" -U postgres -A trust --no-sync >/dev/null
cat >>"$work/data/postgresql.conf" <<C
listen_addresses = ''
unix_socket_directories = '$work'
port = $port
max_wal_size = 4GB
C
pg pg_ctl -D "$work/data" -l "$work/server.log" -w -s start
query() { pg psql -h "$work" -p "$port" -U postgres -qXAt -c "$1" postgres; }
pg pgbench -h "$work" -p "$port" -U postgres -q -i -s 10 postgres >/dev/null 2>&1
query 'CREATE TABLE tick (at timestamptz)'
pg "$shbackup" wal-archive receive --slot rpo --flush-seconds "$flush" --env-file "$work/.env" 2>"$work/receive.log" &
pg pgbench -h "$work" -p "$port" -U postgres -n -c 2 -R 50 -T 86400 postgres >/dev/null 2>&1 &

archived() { pg "$shbackup" wal-archive status --json --env-file "$work/.env" 2>/dev/null | python3 -c '
import json, sys
cluster = (json.load(sys.stdin).get("clusters") or [{}])[0]
print(cluster.get("receivedLsn") or "0/0", cluster.get("lastSegment") or "")' || true; }
seconds=()
for ((n = 0; n < commits; n++)); do
  # Spread over the interval: not always just before, or just after, a flush.
  sleep "$(python3 -c 'import random; print(random.uniform(0, '"$flush"'))')"
  query 'INSERT INTO tick SELECT clock_timestamp()'
  lsn=$(query 'SELECT pg_current_wal_flush_lsn()')
  began=$(date +%s.%N)
  until archived | python3 -c '
import sys
number = lambda lsn: int(lsn.split("/")[0], 16) << 32 | int(lsn.split("/")[1], 16)
fields = sys.stdin.read().split()
whole = int(fields[1][8:16], 16) << 32 | (int(fields[1][16:], 16) + 1) << 24 if len(fields) > 1 else 0
sys.exit(0 if fields and max(number(fields[0]) + 8, whole) >= number(sys.argv[1]) else 1)' "$lsn"; do sleep 0.1; done
  seconds+=("$(python3 -c "import sys; print(float(sys.argv[2]) - float(sys.argv[1]))" "$began" "$(date +%s.%N)")")
done
python3 - "$flush" "${seconds[@]}" <<'P'
import statistics, sys
flush, *seconds = [float(s) for s in sys.argv[1:]]
print("| `--flush-seconds` | commits | median s | longest s |")
print("|---|---|---|---|")
print(f"| {flush:.0f} | {len(seconds)} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
P
