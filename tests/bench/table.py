"""Prints the medians of logical.sh's results as the tables of docs/performance.md, with the ratios that the targets are about."""
import statistics
import sys

NAMES = {
    "pg_dump-Fc": "`pg_dump -Fc`",
    "pg_dump-zstd": "`pg_dump -Fc -Z0 \\| zstd -3 -T2`",
    "shbackup": "`shbackup backup`",
    "shbackup-jobs-1": "the same, `--jobs 1`",
    "shbackup-age": "the same, with age",
    "shbackup-small": "the same on a tenth of the data",
    "pg_restore-j2": "`pg_restore -j2`, local uncompressed custom dump",
    "shbackup-restore": "`shbackup restore --jobs 2`, loading",
    "shbackup-restore-whole": "the same with ANALYZE and comparison",
    "version": "`shbackup --version`",
    "list-500": "`shbackup backup list`, 500 sets",
}

RATIOS = [
    ("backup / `pg_dump -Fc -Z0 \\| zstd -3 -T2`", "shbackup", "pg_dump-zstd", "≤ 0.95 at ≤ 1.02"),
    ("backup with age / the same", "shbackup-age", "pg_dump-zstd", "≤ 1.10"),
    ("backup / `pg_dump -Fc`", "shbackup", "pg_dump-Fc", "≤ 0.28 at ≤ 0.92"),
    ("restore, loading / `pg_restore -j2`", "shbackup-restore", "pg_restore-j2", "≤ 1.05"),
]

# The size of what these write says nothing.
WITHOUT_SIZE = {"pg_restore-j2", "version", "list-500"}

rows = {}
for line in open(sys.argv[1]):
    name, seconds, peak, size = line.split()
    rows.setdefault(name, []).append((float(seconds), int(peak), 0 if name in WITHOUT_SIZE else int(size)))


def median(name, column):
    return statistics.median(run[column] for run in rows[name])


def shown(value, form):
    return format(value, form) if value else ""


print("| what | runs | seconds | min–max | peak memory MB | bytes |")
print("|---|---|---|---|---|---|")
for name in (n for n in NAMES if n in rows):
    seconds = [run[0] for run in rows[name]]
    span = f"{min(seconds):.2f}–{max(seconds):.2f}" if len(seconds) > 1 else ""
    cells = [
        NAMES[name],
        str(len(seconds)),
        f"{statistics.median(seconds):.2f}",
        span,
        shown(median(name, 1) / 1024, ".0f"),
        shown(median(name, 2), ".0f"),
    ]
    print("|", " | ".join(cells), "|")

print()
print("| ratio | time | size | wanted |")
print("|---|---|---|---|")
for what, a, b, wanted in RATIOS:
    if a in rows and b in rows:
        size = shown(median(a, 2) and median(b, 2) and median(a, 2) / median(b, 2), ".3f")
        print("|", " | ".join([what, f"{median(a, 0) / median(b, 0):.3f}", size, wanted]), "|")
