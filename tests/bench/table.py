"""Prints the medians of a benchmark's results as the tables of docs/performance.md, with the ratios that the targets are about."""
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
    "shbackup-restore": "`shbackup restore --latest --jobs 2`, loading",
    "shbackup-restore-whole": "the same with ANALYZE and comparison",
    "pgbackrest-one": "pgBackRest, zst 3, one cold segment",
    "shbackup-one": "`wal-archive push`, one cold segment",
    "pgbackrest-sync": "pgBackRest, zst 3, 77 segments, one after the other",
    "pgbackrest-async": "pgBackRest, zst 3, 77 segments, archive-async",
    "shbackup-burst": "`wal-archive push`, 77 segments",
    "shbackup-burst-3": "the same, level 3",
    "pgbackrest-full": "pgBackRest full, zst 3, aes-256-cbc, 2 processes",
    "shbackup-full": "`backup --kind physical`, age",
    "shbackup-full-3": "the same, level 3",
    "pgbackrest-default": "pgBackRest full, its defaults",
    "shbackup-default": "`backup --kind physical`, not encrypted",
    "pgbackrest-restore": "pgBackRest restore of the first",
    "shbackup-restore-physical": "`restore --target-dir` of ours with age",
    "pgbackrest-replay": "replay with pgBackRest's archive-get, async",
    "shbackup-replay": "replay with `wal-archive fetch`, prefetching",
    "s3-up-rclone": "scripted S3, 50 ms: upload, `rclone copyto`",
    "s3-up-rclone-unchecked": "the same without checksums",
    "s3-up": "scripted S3, 50 ms: upload, `backup replicate`",
    "s3-up-stream": "of it the copying, as its result says",
    "s3-down-rclone": "scripted S3, 50 ms: download, `rclone copyto`",
    "s3-down-rclone-unchecked": "the same without checksums",
    "s3-down": "scripted S3, 50 ms: download, `backup replicate`",
    "s3-down-stream": "of it the copying, as its result says",
    "swift-up-rclone": "Swift: upload, `rclone copyto`",
    "swift-up-rclone-unchecked": "the same without checksums",
    "swift-up": "Swift: upload, `backup replicate`",
    "swift-up-stream": "of it the copying, as its result says",
    "swift-down-rclone": "Swift: download, `rclone copyto`",
    "swift-down-rclone-unchecked": "the same without checksums",
    "swift-down": "Swift: download, `backup replicate`",
    "swift-down-stream": "of it the copying, as its result says",
    "fan-local": "`backup` to a directory",
    "fan-s3": "`backup` to the scripted S3",
    "fan-both": "`backup` to both",
    "version": "`shbackup --version`",
    "list-500": "`shbackup backup list`, 500 sets",
}

RATIOS = [
    ("backup / `pg_dump -Fc -Z0 \\| zstd -3 -T2`", "shbackup", "pg_dump-zstd", "≤ 0.95 at ≤ 1.02"),
    ("backup with age / the same", "shbackup-age", "pg_dump-zstd", "≤ 1.10"),
    ("backup / `pg_dump -Fc`", "shbackup", "pg_dump-Fc", "≤ 0.28 at ≤ 0.92"),
    ("restore, loading / `pg_restore -j2`", "shbackup-restore", "pg_restore-j2", "≤ 1.05"),
    ("one cold segment / pgBackRest", "shbackup-one", "pgbackrest-one", "≤ 1.0"),
    ("77 segments / pgBackRest async", "shbackup-burst", "pgbackrest-async", "≤ 0.67 at ≤ 1.06"),
    ("77 segments, level 3 / the same", "shbackup-burst-3", "pgbackrest-async", "≤ 0.91"),
    ("full with age / pgBackRest with its cipher", "shbackup-full", "pgbackrest-full", "≤ 0.60 at ≤ 1.03"),
    ("the same at level 3", "shbackup-full-3", "pgbackrest-full", "≤ 0.90"),
    ("full at both tools' defaults", "shbackup-default", "pgbackrest-default", "≤ 0.15"),
    ("restore / pgBackRest restore", "shbackup-restore-physical", "pgbackrest-restore", "≤ 0.90"),
    ("replay / the same with pgBackRest", "shbackup-replay", "pgbackrest-replay", "≤ 1.0"),
    ("scripted S3, upload / rclone", "s3-up", "s3-up-rclone", "≤ 1.11"),
    ("the same / rclone without checksums", "s3-up", "s3-up-rclone-unchecked", "≤ 1.11"),
    ("scripted S3, download / rclone", "s3-down", "s3-down-rclone", "≤ 1.11"),
    ("the same / rclone without checksums", "s3-down", "s3-down-rclone-unchecked", "≤ 1.11"),
    ("Swift, upload / rclone", "swift-up", "swift-up-rclone", "≤ 1.11"),
    ("the same / rclone without checksums", "swift-up", "swift-up-rclone-unchecked", "≤ 1.11"),
    ("Swift, download / rclone", "swift-down", "swift-down-rclone", "≤ 1.11"),
    ("the same / rclone without checksums", "swift-down", "swift-down-rclone-unchecked", "≤ 1.11"),
    ("backup to both / to the directory", "fan-both", "fan-local", ""),
    ("backup to both / to the scripted S3", "fan-both", "fan-s3", "≤ 1.1 of the slower"),
]

# The size of what these write says nothing.
WITHOUT_SIZE = {"pg_restore-j2", "version", "list-500", "pgbackrest-restore", "shbackup-restore-physical"}

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
