# SPDX-License-Identifier: Apache-2.0
"""usage: commands.py BUILD [--quick]

`semundo run NAME -- true` beside `flock FILE true` and GNU `sem --fg true`, in turns.
Adds its lines to BUILD/bench/bench.json.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

GROUP = "a command under a semaphore"


def semundo_command(build):
    for path in ("cli/semundo", "semundo"):
        if os.access(os.path.join(build, path), os.X_OK):
            return os.path.join(build, path)
    sys.exit(f"commands.py: there is no semundo command in {build}; build it first")


def is_gnu_parallel_sem(path):
    """moreutils has a `parallel`, but no `sem`; others may have one."""
    if not path:
        return False
    shown = subprocess.run([path, "--version"], capture_output=True, text=True)
    return "GNU parallel" in shown.stdout


def candidates(build, directory):
    found = {"semundo run": ([semundo_command(build), "run", "bench", "--", "true"], 1)}
    flock = shutil.which("flock")
    if flock:
        found["flock"] = ([flock, os.path.join(directory, "lock"), "true"], 1)
    else:
        print("  flock: not measured, it is not installed (Debian: util-linux)")
    sem = shutil.which("sem")
    if is_gnu_parallel_sem(sem):
        found["sem --fg"] = ([sem, "--fg", "--id", "semundo-bench", "true"], 10)
    else:
        print("  sem --fg: not measured, GNU parallel is not installed (Debian: parallel)")
    return found


def milliseconds(command, environment):
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def measure(commands, environment, rounds):
    times = {name: [] for name in commands}
    for number in range(rounds):
        for name, (command, every) in commands.items():
            if number % every == 0:
                times[name].append(milliseconds(command, environment))
    return times


def report(times):
    lines = []
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"  {name:34} {median[name]:10.2f} ms   (least {min(values):.2f})")
        lines.append({"group": GROUP, "what": name, "unit": "ms", "median": median[name],
                      "least": min(values), "p99": max(values)})
    ours = median["semundo run"]
    if "flock" in median:
        ratio = ours / median["flock"]
        lines.append({"group": GROUP, "what": "semundo run / flock", "measured": ratio,
                      "promise": 1.2, "ok": ratio <= 1.2})
        print(f"  {'semundo run / flock':34} {ratio:10.2f}x   promised at most 1.2x: "
              f"{'ok' if ratio <= 1.2 else 'not yet'}")
    if "sem --fg" in median:
        ratio = median["sem --fg"] / ours
        lines.append({"group": GROUP, "what": "against sem --fg", "measured": ratio,
                      "promise": 50, "ok": ratio >= 50})
        print(f"  {'against sem --fg':34} {ratio:10.1f}x   promised at least 50x faster: "
              f"{'ok' if ratio >= 50 else 'not yet'}")
    return lines


def main():
    build = sys.argv[1]
    rounds = 11 if "--quick" in sys.argv else 201
    print(f"\n{GROUP}")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="semundo-bench.") as directory:
        environment = dict(os.environ, SEMUNDO_DIR=directory, PARALLEL_HOME=directory)
        lines = report(measure(candidates(build, directory), environment, rounds))
    path = os.path.join(build, "bench", "bench.json")
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results + lines, file, indent=1)


main()
