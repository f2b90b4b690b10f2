# SPDX-License-Identifier: Apache-2.0
"""usage: tracker.py BUILD [--quick]

semundo-tracker beside multiprocessing's resource tracker of /usr/bin/python3, in
turns: from starting it until a line that it was sent is done, and its resident memory then and
with 1000 names registered. Adds its lines to BUILD/bench/bench.json. Fails where a promise is
not kept.
"""
import json
import os
import statistics
import sys
import tempfile
import time

GROUP = "a tracker of resources"
PYTHON = "/usr/bin/python3"
FASTER = 10
SMALLER = 5
INPUT = 100  # the descriptor that a tracker reads


def commands(build):
    main = "from multiprocessing.resource_tracker import main; main({})"
    return {"semundo-tracker": [os.path.join(build, "tracker", "semundo-tracker"), "{}"],
            "multiprocessing's": [PYTHON, "-c", main]}


class Run:
    """One tracker, which has done what it was told first of all."""

    def __init__(self, command, environment):
        reader, self.writer = os.pipe()
        errors, told = os.pipe()
        words = [word.format(INPUT) for word in command]
        start = time.perf_counter()
        self.pid = os.posix_spawn(words[0], words, environment, file_actions=[
            (os.POSIX_SPAWN_DUP2, reader, INPUT), (os.POSIX_SPAWN_DUP2, told, 2)])
        self.errors = open(errors, "rb")
        self.until_done("begin")
        self.milliseconds = (time.perf_counter() - start) * 1000
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
            self.cpu = int(file.read().split()[0]) / 1e6
        os.close(reader)
        os.close(told)

    def kilobytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("VmRSS:")).split()[1])

    def register(self, count):
        for number in range(count):
            os.write(self.writer, f"REGISTER:/semundo-bench-{number}:noop\n".encode())
        self.until_done("end")

    def until_done(self, sign):
        """Both complain of what they cannot do, with its name."""
        os.write(self.writer, f"REGISTER:/{sign}:unknown\n".encode())
        while (line := self.errors.readline()) and b"/" + sign.encode() not in line:
            pass
        if not line:
            sys.exit(f"tracker.py: process {self.pid} has ended")

    def end(self):
        os.close(self.writer)
        self.errors.close()
        os.waitpid(self.pid, 0)


def measure(candidates, environment, rounds):
    times = {name: [] for name in candidates}
    cpu = {name: [] for name in candidates}
    memory = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, command in candidates.items():
            run = Run(command, environment)
            times[name].append(run.milliseconds)
            cpu[name].append(run.cpu)
            memory[name].append(run.kilobytes())
            run.end()
    return times, cpu, memory


def grown(candidates, environment):
    found = {}
    for name, command in candidates.items():
        run = Run(command, environment)
        run.register(1000)
        found[name] = run.kilobytes()
        run.end()
    return found


def compare(lines, what, unit, values, promise):
    median = {name: statistics.median(found) for name, found in values.items()}
    for name, found in values.items():
        print(f"  {what + ', ' + name:46} {median[name]:10.2f} {unit}   (least {min(found):.2f})")
        lines.append({"group": GROUP, "what": f"{what}, {name}", "unit": unit,
                      "median": median[name], "least": min(found)})
    ours, theirs = map(min, values.values())  # others' work on the machine only adds
    ratio = theirs / ours
    lines.append({"group": GROUP, "what": f"{what}: multiprocessing's / ours", "measured": ratio,
                  "promise": promise, "ok": ratio >= promise})
    print(f"  {what + ': theirs / ours':46} {ratio:10.1f}x   promised at least {promise}x: "
          f"{'ok' if ratio >= promise else 'not yet'}")
    return ratio >= promise


def main():
    build = os.path.abspath(sys.argv[1])
    rounds = 5 if "--quick" in sys.argv else 51
    lines = []
    print(f"\n{GROUP}")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="semundo-bench.") as directory:
        environment = dict(os.environ, SEMUNDO_DIR=directory)
        candidates = commands(build)
        times, cpu, memory = measure(candidates, environment, rounds)
        full = grown(candidates, environment)
    ok = compare(lines, "start", "ms", times, FASTER)
    ok &= compare(lines, "processor time for that", "ms", cpu, FASTER)
    ok &= compare(lines, "memory", "KiB", memory, SMALLER)
    ok &= compare(lines, "memory with 1000 names", "KiB",
                  {name: [value] for name, value in full.items()}, SMALLER)
    path = os.path.join(build, "bench", "bench.json")
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results + lines, file, indent=1)
    return 0 if ok else 1


sys.exit(main())
