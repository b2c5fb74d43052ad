#!/usr/bin/env bash
# The main job in one go: a scratch PostgreSQL with tables like SoundHash's is backed up encrypted, dropped and restored; then rows are
# deleted by accident, and the whole cluster is recovered to the second before.
# Installs what is missing (Debian 12, root or sudo; the .NET SDK must be there). Leaves nothing behind but what it installed and built.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/prerequisites.sh
need_dotnet
need_programs

# Settings of the person who runs this would win over the demo's own, and lead it to another server.
for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done

echo "building shbackup"
publish_shbackup
shbackup=$PWD/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
dir=$(mktemp -d /tmp/shbackup-demo-XXXXXX)

# PostgreSQL refuses to run as root.
as_postgres=()
if [ "$(id -u)" -eq 0 ]; then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --)
  chown postgres: "$dir"
fi

finish() {
  for data in data recovered; do
    "${as_postgres[@]}" "$bin/pg_ctl" --pgdata="$dir/$data" --mode=immediate --silent stop 2>/dev/null || true
  done
  cd /
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM
cd "$dir"

# Prints a step's name, runs it, and prints its time.
step() {
  local name=$1 started=$EPOCHREALTIME
  shift
  echo
  echo "== $name"
  "$@"
  awk -v n="$name" -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf "-- %s: %.1f s\n", n, b - a }'
}

sql() { psql --no-psqlrc --quiet --host="$dir" --username=postgres --set=ON_ERROR_STOP=1 "$@"; }

counts() {
  sql --dbname=soundhash --tuples-only --no-align --field-separator=': ' <<'SQL'
SELECT 'channels', count(*) FROM channels UNION ALL SELECT 'videos', count(*) FROM videos
UNION ALL SELECT 'audio_fingerprints', count(*) FROM audio_fingerprints UNION ALL SELECT 'processing_jobs', count(*) FROM processing_jobs;
SQL
}

start_server() {
  "${as_postgres[@]}" "$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
  printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$dir'" 'max_wal_size = 2GB' 'archive_mode = on' >>"$dir/data/postgresql.conf"
  "${as_postgres[@]}" "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/server.log" --silent --wait start
}

fill_database() {
  sql --dbname=postgres --command='CREATE DATABASE soundhash'
  sql --dbname=soundhash <<'SQL'
CREATE TABLE channels (id bigserial PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE videos (id bigserial PRIMARY KEY, channel_id bigint NOT NULL REFERENCES channels, title text NOT NULL, seconds int NOT NULL);
CREATE TABLE audio_fingerprints (id bigserial PRIMARY KEY, video_id bigint NOT NULL REFERENCES videos, offset_ms int NOT NULL, hash bytea NOT NULL);
CREATE TABLE processing_jobs (id bigserial PRIMARY KEY, video_id bigint NOT NULL REFERENCES videos, state text NOT NULL, details jsonb NOT NULL);
INSERT INTO channels (name) SELECT 'channel ' || g FROM generate_series(1, 500) g;
INSERT INTO videos (channel_id, title, seconds) SELECT 1 + g % 500, 'video ' || md5(g::text), 30 + g % 600 FROM generate_series(1, 20000) g;
INSERT INTO audio_fingerprints (video_id, offset_ms, hash)
  SELECT 1 + g % 20000, (g % 900) * 100, sha512(g::text::bytea) || sha512(('b' || g)::bytea) FROM generate_series(1, 400000) g;
INSERT INTO processing_jobs (video_id, state, details)
  SELECT g, 'done', jsonb_build_object('worker', g % 8, 'ms', g % 5000) FROM generate_series(1, 20000) g;
CREATE INDEX ON audio_fingerprints (video_id);
SQL
}

step "start a scratch PostgreSQL in $dir" start_server
step "make tables like SoundHash's" fill_database

age-keygen --output identity.txt 2>/dev/null
cat > .env <<ENV
DATABASE_HOST=$dir
DATABASE_NAME=soundhash
DATABASE_USER=postgres
BACKUP_DIR=./backups
BACKUP_ENCRYPTION_ENABLED=true
BACKUP_ENCRYPTION_METHOD=age
BACKUP_ENCRYPTION_KEY=$(age-keygen -y identity.txt)
BACKUP_DECRYPTION_IDENTITY_FILE=./identity.txt
ENV

before=$(counts)
step "shbackup backup --fingerprint (encrypted with age)" "$shbackup" backup --fingerprint
step "shbackup backup verify --all --deep" "$shbackup" backup verify --all --deep
step "DROP DATABASE soundhash" sql --dbname=postgres --command='DROP DATABASE soundhash'
step "shbackup restore --latest" "$shbackup" restore --latest
after=$(counts)

echo
echo "rows before:"
echo "$before"
echo "rows after:"
echo "$after"
if [ "$before" != "$after" ]; then
  echo "error: the rows differ" >&2
  exit 8
fi
echo "the same rows are back"

# The whole cluster, as PostgreSQL's own user: its commands for WAL run as that one too.
{ sed 's|=./backups$|=./cluster|' .env; echo BACKUP_WAL_DIR=./cluster/wal; } > cluster.env
[ "$(id -u)" -ne 0 ] || chown postgres: cluster.env identity.txt
cluster() { "${as_postgres[@]}" "$shbackup" "$@" --env-file "$dir/cluster.env"; }

# Waits until all that was committed so far is archived.
archive_all() {
  local segment
  segment=$(sql --dbname=postgres --tuples-only --no-align --command='SELECT pg_walfile_name(pg_switch_wal())')
  until [ "$(sql --dbname=postgres --tuples-only --no-align --command="SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")" = t ]; do
    sleep 0.1
  done
}

delete_by_accident() {
  sql --dbname=soundhash --command="INSERT INTO channels (name) SELECT 'after the backup ' || g FROM generate_series(1, 25) g"
  good=$(counts)
  sleep 1.5
  moment=$(sql --dbname=soundhash --tuples-only --no-align --command="
    DELETE FROM processing_jobs; DELETE FROM audio_fingerprints WHERE video_id % 2 = 0;
    SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 second', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'")
  damaged=$(counts)
  archive_all
}

recover() {
  "${as_postgres[@]}" "$bin/pg_ctl" --pgdata="$dir/data" --mode=fast --silent stop
  cluster restore --target-dir "$dir/recovered" --to-time "$moment" --action promote --start
}

step "shbackup wal-archive generate-config --apply" cluster wal-archive generate-config --apply
step "shbackup backup --kind physical (encrypted with age)" cluster backup --kind physical
step "an accident: rows are deleted" delete_by_accident
step "shbackup restore --to-time '$moment' --start (the second before)" recover
recovered=$(counts)

echo
echo "rows before the accident:"
echo "$good"
echo "rows after it:"
echo "$damaged"
echo "rows now:"
echo "$recovered"
if [ "$good" != "$recovered" ] || [ "$good" = "$damaged" ]; then
  echo "error: the rows are not those before the accident" >&2
  exit 8
fi
echo "the cluster is back where it was a second before the accident"
