#!/usr/bin/env python3
"""What a start costs: `--version` of several executables, in turn.

    tests/bench/start.py ROUNDS EXECUTABLE…

Each round starts each of them 20 times. Prints as Markdown: processor time (median, lower quartile, least), page faults, memory.
"""
import os
import statistics
import sys

STARTS = 20


def start(executable):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(executable, [executable, "--version"])
    _, status, used = os.wait4(child, 0)
    if status != 0:
        sys.exit(f"error: {executable} --version failed")
    return (used.ru_utime + used.ru_stime) * 1000, used.ru_minflt, used.ru_maxrss / 1024


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    results = {executable: [] for executable in sys.argv[2:]}
    for _ in range(int(sys.argv[1])):
        for executable, measured in results.items():
            measured += [start(executable) for _ in range(STARTS)]
    print("| executable | starts | processor ms, median | lower quartile | least | page faults | peak memory MB |")
    print("|---|---|---|---|---|---|---|")
    for executable, measured in results.items():
        times, faults, memory = zip(*measured)
        print(f"| {executable} | {len(times)} | {statistics.median(times):.1f} | {statistics.quantiles(times)[0]:.1f} | {min(times):.1f} "
              f"| {statistics.median(faults):.0f} | {statistics.median(memory):.0f} |")


if __name__ == "__main__":
    main()
