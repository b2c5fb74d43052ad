"""Prints the medians of logical.sh's results, with the ratios that the targets are about, as Markdown."""
import statistics
import sys

rows = {}
for line in open(sys.argv[1]):
    name, seconds, peak, size = line.split()
    rows.setdefault(name, []).append((float(seconds), int(peak), int(size)))


def median(name, column):
    return statistics.median(run[column] for run in rows[name])


print("| what | runs | seconds | min–max | peak memory MB | bytes |")
print("|---|---|---|---|---|---|")
for name, runs in rows.items():
    seconds = [run[0] for run in runs]
    print(f"| {name} | {len(runs)} | {statistics.median(seconds):.2f} | {min(seconds):.2f}–{max(seconds):.2f} | {median(name, 1) / 1024:.0f} | {median(name, 2):.0f} |")

print()
print("| ratio | time | size |")
print("|---|---|---|")
for a, b in [
    ("shbackup", "pg_dump-zstd"),
    ("shbackup-jobs-1", "pg_dump-zstd"),
    ("shbackup-age", "pg_dump-zstd"),
    ("shbackup", "pg_dump-Fc"),
    ("shbackup-restore", "pg_restore-j2"),
]:
    if a in rows and b in rows:
        size = f"{median(a, 2) / median(b, 2):.3f}" if median(a, 2) and median(b, 2) else ""
        print(f"| {a} / {b} | {median(a, 0) / median(b, 0):.3f} | {size} |")
