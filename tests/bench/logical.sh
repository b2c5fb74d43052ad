#!/usr/bin/env bash
# Logical backup and restore side by side with PostgreSQL's own tools, on one machine in one run.
#
#   tests/bench/logical.sh DIR [ROUNDS]     DIR: scratch space of about 15 GB; ROUNDS: 3 by default
#
# Runs the candidates in turn, round by round, so that a machine that gets slower slows all of them; prints medians and
# ratios as Markdown. Needs ./test.sh's programs, GNU time (apt-get
# install time), python3, and artifacts/shbackup (made by ./test.sh or dotnet publish).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
shbackup=$root/artifacts/shbackup/shbackup
bin=/usr/lib/postgresql/15/bin
export PATH=$bin:$PATH

# Settings of the person who runs this would win over ours.
for name in ${!DATABASE_@} ${!BACKUP_@} ${!PG@}; do unset "$name"; done
"$here/dataset.sh" up "$dir/full" full >&2
eval "$("$here/dataset.sh" env "$dir/full")"
work=$dir/work
mkdir -p "$work"
results=$dir/results
: >"$results"
[ -e "$dir/identity.txt" ] || age-keygen -o "$dir/identity.txt" 2>/dev/null
recipient=$(age-keygen -y "$dir/identity.txt")

# measure NAME SIZE-PATH COMMAND…: appends "name seconds peak-KB bytes" to the results.
measure() {
  local name=$1 output=$2
  shift 2
  sync
  /usr/bin/time --output="$work/time" --format='%e %M' "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
  echo "$name $(tail -1 "$work/time") $(du -sb "$output" 2>/dev/null | cut -f1 || echo 0)" | tee -a "$results" >&2
}

unencrypted() { BACKUP_DIR=$work/plain "$shbackup" backup --no-encrypt "$@"; }
encrypted() {
  BACKUP_DIR=$work/age BACKUP_ENCRYPTION_ENABLED=true BACKUP_ENCRYPTION_METHOD=age BACKUP_ENCRYPTION_KEY=$recipient "$shbackup" backup
}
export -f unencrypted encrypted
export work shbackup recipient

for ((round = 1; round <= rounds; round++)); do
  measure pg_dump-Fc "$work/fc" pg_dump -Fc -f "$work/fc"
  rm -f "$work/zst"
  measure pg_dump-zstd "$work/zst" bash -c 'set -o pipefail; pg_dump -Fc -Z0 | zstd -3 -T2 -q >"$work/zst"'
  rm -rf "$work/plain"
  measure shbackup "$work/plain/sets" bash -c unencrypted
  rm -rf "$work/one"
  measure shbackup-jobs-1 "$work/one/sets" env BACKUP_DIR="$work/one" "$shbackup" backup --no-encrypt --jobs 1
  rm -rf "$work/age"
  measure shbackup-age "$work/age/sets" bash -c encrypted
done

# Memory must not grow with the data: the same on a tenth of it, in a cluster of its own.
"$here/dataset.sh" up "$dir/small" small >&2
(
  eval "$("$here/dataset.sh" env "$dir/small")"
  rm -rf "$work/plain-small"
  measure shbackup-small "$work/plain-small" env BACKUP_DIR="$work/plain-small" "$shbackup" backup --no-encrypt
)
"$here/dataset.sh" down "$dir/small" >&2

# Restore: of a split set, against pg_restore -j2 from a local uncompressed custom dump. ANALYZE and comparison are
# ours alone and left out: the phases say how long the rest took.
pg_dump -Fc -Z0 -f "$work/custom"
theirs() {
  psql -qc 'DROP DATABASE IF EXISTS bench_pg' -c 'CREATE DATABASE bench_pg'
  measure pg_restore-j2 "$work/custom" pg_restore -j2 -d bench_pg "$work/custom"
  psql -qc 'DROP DATABASE bench_pg'
}
ours() {
  psql -qc 'DROP DATABASE IF EXISTS bench_shbackup'
  sync
  BACKUP_DIR=$work/plain "$shbackup" restore --latest --target-db bench_shbackup --jobs 2 --json >"$work/restore.json" 2>/dev/null
  python3 - "$work/restore.json" <<'P' | tee -a "$results" >&2
import json, sys
phases = json.load(open(sys.argv[1]))["restores"][0]["result"]["phases"]
print("shbackup-restore", round(sum(p["seconds"] for p in phases if p["name"] not in ("analyze", "compare")), 2), 0, 0)
print("shbackup-restore-whole", round(sum(p["seconds"] for p in phases), 2), 0, 0)
P
  psql -qc 'DROP DATABASE bench_shbackup'
}
# In alternating order, and twice as many: what a run leaves in the caches and in the machine's memory must not always help or hurt
# the same one.
for ((round = 1; round <= 2 * rounds; round++)); do
  if ((round % 2)); then theirs; ours; else ours; theirs; fi
done

# Start-up, and a catalogue of 500 sets: one set's manifest under 500 names.
set_dir=$(echo "$work"/plain/sets/*)
mkdir -p "$work/many/sets"
python3 - "$set_dir/manifest.json" "$work/many/sets" <<'P'
import hashlib, json, os, sys
manifest = json.load(open(sys.argv[1]))
del manifest["sha256"]
for n in range(500):
    manifest["id"] = f"bench_backup_{n:04d}"
    folder = os.path.join(sys.argv[2], manifest["id"])
    os.makedirs(folder, exist_ok=True)
    before = json.dumps(manifest, indent=2)[:-2] + ",\n"
    with open(os.path.join(folder, "manifest.json"), "w") as f:
        f.write(f'{before}  "sha256": "{hashlib.sha256(before.encode()).hexdigest()}"\n}}')
    for item in manifest["objects"]:
        with open(os.path.join(folder, item["key"]), "w") as f:
            f.truncate(item["storedBytes"])
P
for ((round = 1; round <= 10; round++)); do
  measure version "$work/out" "$shbackup" --version
  measure list-500 "$work/out" env BACKUP_DIR="$work/many" "$shbackup" backup list
done

"$here/dataset.sh" down "$dir/full" >&2
python3 "$here/table.py" "$results"
