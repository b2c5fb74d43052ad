#!/usr/bin/env bash
# Scratch PostgreSQL cluster with the benchmark's data set.
#
#   dataset.sh up DIR [full|small]   make the cluster in DIR (once) and start it
#   dataset.sh down DIR              stop it (the data stays)
#   dataset.sh env DIR               print the exports that point psql/pg_dump at it
#
# full is about 3.3 GB on disk, small one tenth of that. To be rid of it: down, then rm -r DIR.
# PG_BIN names the directory with initdb and pg_ctl, when it is not found by itself.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
die() { echo "dataset.sh: $*" >&2; exit 1; }

[[ $# -ge 2 && $# -le 3 ]] || usage
action=$1
dir=$(realpath -m -- "$2")
size=${3:-full}
case $action in up | down | env) ;; *) usage ;; esac
[[ $action == up || $# -eq 2 ]] || usage

# Only the socket's name tells clusters apart (no TCP), so a fixed port that is not the
# default cannot clash, and nobody reaches a real cluster by forgetting to set PGPORT.
port=54329
# A unix socket's path has room for 107 bytes; past that the server fails less clearly.
[[ ${#dir} -le 85 ]] || die "the path of DIR is too long for a unix socket: $dir"

if [[ $action == env ]]; then
    printf 'export PGHOST=%q PGPORT=%s PGUSER=postgres PGDATABASE=bench\n' "$dir" "$port"
    exit
fi

bin=${PG_BIN:-}
if [[ -z $bin ]]; then
    # Debian keeps the server's programs out of PATH, one directory for each major version.
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    [[ -n $bin ]] || bin=$(dirname "$(command -v initdb)") || die "no initdb found; set PG_BIN"
fi

# The server refuses to run as root.
as_pg=()
if [[ $EUID -eq 0 ]]; then
    as_pg=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ LC_ALL=C)
fi
pg() { (cd / && "${as_pg[@]}" "$bin/$1" "${@:2}"); }
running() { pg pg_ctl status -D "$dir/data" >/dev/null 2>&1; }

if [[ $action == down ]]; then
    running || { echo "not running: $dir"; exit 0; }
    pg pg_ctl stop -D "$dir/data" -m fast -w -s
    exit
fi

case $size in
    full)  scale=150 fingerprints=2500000 clips=600000 ;;
    small) scale=15  fingerprints=250000  clips=60000 ;;
    *) usage ;;
esac

# "loaded" is written last: a cluster without it was interrupted and its data is made anew.
loaded=$(cat "$dir/loaded" 2>/dev/null || true)
[[ -z $loaded || $loaded == "$size" ]] || die "$dir holds the '$loaded' data set, not '$size'"

if [[ ! -e $dir/data/PG_VERSION ]]; then
    # A directory with other things in it would change owner and mode below.
    [[ ! -e $dir || -z $(ls -A "$dir") ]] || die "$dir is not empty and holds no cluster"
    mkdir -p "$dir"
    [[ $EUID -ne 0 ]] || chown postgres:postgres "$dir"
    # The socket is in here too. With "trust", this mode is what keeps other users out.
    chmod 700 "$dir"
    # C.UTF-8 and no locale from the caller: the same data and sort order on every machine.
    pg initdb -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
port = $port
shared_buffers = 1GB
maintenance_work_mem = 256MB
max_wal_size = 8GB
# Throw-away data: not waiting for the disk makes the load quicker, and reading, which is
# what the benchmark measures, does not depend on it. Never do this to data you want to keep.
fsync = off
CONF
fi

running || pg pg_ctl start -D "$dir/data" -w -s -l "$dir/server.log"
[[ -z $loaded ]] || exit 0

sql() { pg psql -h "$dir" -p "$port" -U postgres -X -q -v ON_ERROR_STOP=1 "$@"; }

# A notice that there was nothing to drop would look like an error.
PGOPTIONS='-c client_min_messages=warning' sql -d postgres -c 'DROP DATABASE IF EXISTS bench' -c 'CREATE DATABASE bench'
# G: the rows are made by the server, without a COPY through the client.
pg pgbench -h "$dir" -p "$port" -U postgres -i -q -I dtGvp -s "$scale" bench 2>&1 | tail -n 1

# Random bytes: gen_random_bytes (pgcrypto, in postgresql-contrib) makes them quickest; without
# it, SHA-512 sums one after another, 64 bytes each, which are as incompressible.
if [[ -n $(sql -d bench -At -c "SELECT 1 FROM pg_available_extensions WHERE name = 'pgcrypto'") ]]; then
    sql -d bench -c 'CREATE EXTENSION pgcrypto'
    fingerprint='gen_random_bytes(128)'
    clip='gen_random_bytes(600)'
else
    fingerprint=$(printf "||sha512(convert_to(random()::text||g||'.%d','UTF8'))" 1 2)
    clip=$(printf "||sha512(convert_to(random()::text||g||'.%d','UTF8'))" {1..10})
    fingerprint="(${fingerprint#||})"
    clip="substr(${clip#||}, 1, 600)"
fi

# Like an audio fingerprint application: narrow columns beside a value that does not compress.
# pg_dump writes bytea as hexadecimal digits, so such a table is twice its size in the stream.
sql -d bench <<SQL
CREATE TABLE audio_fingerprints (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    video_id    integer NOT NULL,
    offset_ms   integer NOT NULL,
    fingerprint bytea   NOT NULL,
    label       text    NOT NULL
);
CREATE TABLE audio_clips (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    video_id    integer NOT NULL,
    clip        bytea   NOT NULL
);
-- 600 bytes stay below the size at which PostgreSQL moves a value out of its row.
INSERT INTO audio_fingerprints (video_id, offset_ms, fingerprint, label)
SELECT g / 250, g % 250 * 400, $fingerprint,
       'video ' || g / 250 || ' part ' || g % 250 || ' '
       || (ARRAY['speech', 'music', 'silence', 'applause', 'noise'])[1 + (random() * 4)::int]
FROM generate_series(1, $fingerprints) g;
INSERT INTO audio_clips (video_id, clip)
SELECT g / 60, $clip FROM generate_series(1, $clips) g;
SQL

# Hint bits, visibility map and statistics now, so that no measurement pays for them.
sql -d bench -c 'VACUUM ANALYZE' -c 'CHECKPOINT'
echo "$size" >"$dir/loaded"
sql -d bench -At -c "SELECT 'data set $size: ' || pg_size_pretty(pg_database_size('bench'))"
