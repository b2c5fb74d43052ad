#!/usr/bin/env bash
# Copying to and from stores side by side with rclone: a stream of 1 GiB to and from a scripted S3 that answers every request after
# 50 ms, and a real Swift; and a backup to a directory, to that S3, and to both at once.
#
#   tests/bench/stores.sh DIR [ROUNDS] [PART]     DIR: scratch space of about 15 GB; 3 rounds by default; PART: copies, or fan-out
#
# Of the set that a backup of random bytes makes, its one large object is the stream: rclone copies that file, and `backup replicate`
# the set. Part size and parts at once are the same for both. Prints Markdown. Needs rclone, GNU time, python3, the .NET SDK, the
# packages of Swift that CONTRIBUTING.md names, 8 GB of memory, and artifacts/shbackup (made by ./test.sh or dotnet publish).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
part=${3:-all}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH
port=54333
part_mib=8
parts=4
latency_ms=50

for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@} ${!AWS_@} ${!RCLONE_@}; do unset "$name"; done
dotnet build "$root/tests/SoundHash.Backup.BenchServer" -c Release -v quiet --nologo -p:RunAnalyzers=false >&2
work=$dir/stores-work
rm -rf "$work"
mkdir -p "$work"
results=$dir/stores-results
: >"$results"
as_pg=()
[ "$(id -u)" -ne 0 ] || as_pg=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "PATH=$PATH")
pg() { (cd / && "${as_pg[@]}" "$@"); }
servers=()
finish() {
  exec 8>&- 9>&-
  pg pg_ctl -D "$dir/stores-pg/data" -m immediate -s stop >/dev/null 2>&1 || true
  for pid in "${servers[@]}"; do wait "$pid" || true; done
}
trap finish EXIT

# The database, made once: its dump compresses to about 1 GiB.
export PGHOST=$dir/stores-pg PGPORT=$port PGUSER=postgres PGDATABASE=postgres
if [ ! -e "$dir/stores-pg/loaded" ]; then
  rm -rf "$dir/stores-pg"
  mkdir -p "$dir/stores-pg"
  [ ${#as_pg[@]} -eq 0 ] || chown postgres: "$dir/stores-pg"
  chmod 700 "$dir/stores-pg"
  pg initdb -D "$dir/stores-pg/data" -U postgres -A trust --no-sync >/dev/null
  printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$PGHOST'" "port = $port" 'shared_buffers = 2GB' \
    'max_wal_size = 8GB' 'fsync = off' >>"$dir/stores-pg/data/postgresql.conf"
  pg pg_ctl -D "$dir/stores-pg/data" -l "$dir/stores-pg/log" -w -s start
  psql -qX -c 'CREATE EXTENSION pgcrypto' \
    -c 'CREATE TABLE noise AS SELECT g AS id, gen_random_bytes(1000) AS bytes FROM generate_series(1, 1050000) g' -c 'VACUUM ANALYZE' -c 'CHECKPOINT'
  touch "$dir/stores-pg/loaded"
else
  pg pg_ctl -D "$dir/stores-pg/data" -l "$dir/stores-pg/log" -w -s start
fi

# serve FD COMMAND…: starts a server that ends when FD closes, and sets what both tools need to reach it.
serve() {
  local fd=$1 address access secret bucket
  mkfifo "$work/in-$fd" "$work/out-$fd"
  # Without our ends of the others' pipes: it would keep them open.
  "$root/artifacts/bin/SoundHash.Backup.BenchServer/release/bench-server" "${@:2}" <"$work/in-$fd" >"$work/out-$fd" 8>&- 9>&- &
  servers+=($!)
  eval "exec $fd>$work/in-$fd"
  read -r address access secret bucket <"$work/out-$fd"
  cat >"$work/server-$2" <<E
export AWS_ACCESS_KEY_ID=$access AWS_SECRET_ACCESS_KEY=$secret AWS_REGION=us-east-1
export RCLONE_CONFIG_BENCH_TYPE=s3 RCLONE_CONFIG_BENCH_PROVIDER=Other RCLONE_CONFIG_BENCH_ENV_AUTH=true RCLONE_CONFIG_BENCH_ENDPOINT=$address
export RCLONE_CONFIG_BENCH_REGION=us-east-1 BACKUP_S3_ENABLED=true BACKUP_S3_ENDPOINT=$address BACKUP_S3_REGION=us-east-1 BACKUP_S3_BUCKET=$bucket
E
}
serve 8 s3 "$latency_ms"
serve 9 swift

cat >"$work/.env" <<C
DATABASE_HOST=$PGHOST
DATABASE_PORT=$port
DATABASE_USER=postgres
DATABASE_NAME=postgres
BACKUP_DIR=$work/local
BACKUP_STORE_SECOND_TYPE=local
BACKUP_STORE_SECOND_DIR=$work/second
C
mkdir -p "$work/second"
unset PGHOST PGPORT PGUSER PGDATABASE
ours() { "$shbackup" "$@" --json --env-file "$work/.env" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }; }
rclone=(rclone --config "" --s3-no-check-bucket --s3-force-path-style "--s3-chunk-size=${part_mib}Mi" --s3-upload-cutoff="${part_mib}Mi"
  "--s3-upload-concurrency=$parts" "--multi-thread-streams=$parts")

# timed NAME BYTES COMMAND…
timed() {
  local name=$1 bytes=$2
  sync
  /usr/bin/time --output="$work/time" --format='%e %M' "${@:3}" >"$work/out" 2>"$work/err" || { cat "$work/err" "$work/out" >&2; exit 1; }
  echo "$name $(tail -1 "$work/time") $bytes" | tee -a "$results" >&2
}
mine() { timed "$1" "$2" "$shbackup" "${@:3}" --json --env-file "$work/.env"; }
# What of the last run was the copying itself, as its result says.
told() { python3 -c 'import json, sys; set, = json.load(sys.stdin)["sets"]; print(sys.argv[1], set["seconds"], 0, set["bytes"])' "$1" <"$work/out" >>"$results"; }
empty() { "${rclone[@]}" delete "bench:$BACKUP_S3_BUCKET"; }

ours backup --to local >"$work/first"
id=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["databases"][0]["set"]["id"])' <"$work/first")
stream=$(ls -S "$work/local/sets/$id"/* | head -n 1)
size=$(stat -c %s "$stream")
echo "one object of $size bytes, $(du -sb "$work/local/sets/$id" | cut -f1) in all" >&2

upload_rclone() { # NAME [OPTION…]
  empty
  timed "$1" "$size" "${rclone[@]}" copyto "${@:2}" "$stream" "bench:$BACKUP_S3_BUCKET/stream"
}
download_rclone() { # NAME [OPTION…]
  rm -rf "$work/down"
  timed "$1" "$size" "${rclone[@]}" copyto "${@:2}" "bench:$BACKUP_S3_BUCKET/stream" "$work/down"
  cmp "$stream" "$work/down"
  rm "$work/down"
}
upload_ours() {
  empty
  mine "$1" "$size" backup replicate "$id" --from local --to s3
  told "$1-stream"
}
download_ours() {
  rm -rf "$work/second"
  mkdir "$work/second"
  mine "$1" "$size" backup replicate "$id" --from s3 --to second
  told "$1-stream"
  cmp "$stream" "$work/second/sets/$id/${stream##*/}"
}
fan_out() { # NAME STORE…
  empty
  mine "$1" 0 backup "${@:2}"
  find "$work/local/sets" -mindepth 1 -maxdepth 1 ! -name "$id" -exec rm -rf {} +
}

for ((round = 1; round <= rounds; round++)); do
  for server in s3 swift; do
    [ "$part" != fan-out ] || continue
    # Settings of ours that are for one server end with it.
    (
      . "$work/server-$server"
      upload_rclone "$server-up-rclone"
      download_rclone "$server-down-rclone"
      upload_rclone "$server-up-rclone-unchecked" --s3-disable-checksum
      download_rclone "$server-down-rclone-unchecked" --ignore-checksum
      upload_ours "$server-up"
      download_ours "$server-down"
      empty
    )
  done
  [ "$part" != copies ] || continue
  (
    . "$work/server-s3"
    fan_out fan-local --to local
    fan_out fan-s3 --to s3
    fan_out fan-both --to local --to s3
    empty
  )
done
python3 "$here/table.py" "$results"
