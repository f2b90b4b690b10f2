# SPDX-License-Identifier: Apache-2.0
"""usage: python.py BUILD [--quick]

`with sem:` beside multiprocessing.Semaphore, for each CPython that the package
was built for, and 500 tasks of asyncio that wait. Adds its lines to
BUILD/bench/bench.json. Fails where `with` takes more than 0.8 of the time.
"""
import json
import os
import subprocess
import sys
import tempfile

GROUP = "with, in Python"
PROMISE = 0.6
LIMIT = 0.8
TASKS = 500


# ---- measured in each interpreter: "python.py --measure ROUNDS"

def pairs(rounds):
    """Nanoseconds of `with x: pass`, the best of many short turns of each."""
    import multiprocessing
    import threading
    import timeit

    import semundo
    objects = {
        "multiprocessing.Semaphore": multiprocessing.Semaphore(3),
        "semundo.Lock": semundo.Lock(),
        "semundo.Semaphore": semundo.Semaphore(value=3),
        "semundo.RLock": semundo.RLock(),
        "semundo.Signal": semundo.Signal(value=3),
        "threading.Lock": threading.Lock(),
    }
    timers = {name: timeit.Timer("with x: pass", globals={"x": x}) for name, x in objects.items()}
    best = dict.fromkeys(timers, float("inf"))
    number = 2000
    for _ in range(rounds):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(number) / number * 1e9)
    for x in objects.values():
        getattr(x, "close", int)()
    return best


def tasks(count, rounds):
    """That many tasks at one semaphore with 5 units."""
    import asyncio
    import threading
    import time

    import semundo
    semaphore = semundo.Semaphore(value=5)
    most = 0

    def kilobytes():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024

    async def work():
        nonlocal most
        for _ in range(rounds):
            async with semaphore:
                most = max(most, threading.active_count())
                await asyncio.sleep(0)

    async def main():
        semaphore.acquire(n=5)
        before = kilobytes()
        running = [asyncio.ensure_future(work()) for _ in range(count)]
        while not semaphore._queue or len(semaphore._queue.waiters) < count:
            await asyncio.sleep(0.001)
        grown = kilobytes() - before
        start = time.perf_counter()
        semaphore.release(5)
        await asyncio.gather(*running)
        return grown, count * rounds / (time.perf_counter() - start)

    grown, speed = asyncio.run(main())
    semaphore.close()
    return {"threads beside the loop's": most - 1, "KiB of memory each": grown / count,
            "acquires a second": speed}


def measure(rounds):
    print(json.dumps({"version": ".".join(map(str, sys.version_info[:3])),
                      "with": pairs(rounds), "asyncio": tasks(TASKS, 10)}))


# ---- the whole

def pythons():
    """One interpreter for each module that was built, /usr/bin/python3 first."""
    here = os.path.dirname(os.path.abspath(__file__))
    found = subprocess.run([os.path.join(here, "..", "scripts", "find-pythons")],
                           stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return [line.split("|")[0] for line in found]


def report(found):
    """Shows it; the lines for bench.json."""
    group, best, facts = f"{GROUP} {found['version']}", found["with"], found["asyncio"]
    base = best["multiprocessing.Semaphore"]
    lines = []
    print(f"\n{group}")
    for name, ns in best.items():
        print(f"  {name:34} {ns:10.1f} ns")
        lines.append({"group": group, "what": name, "unit": "ns", "least": ns})
    for name in ("semundo.Lock", "semundo.Semaphore"):
        ratio = best[name] / base
        lines.append({"group": group, "what": f"{name} / multiprocessing.Semaphore",
                      "measured": ratio, "promise": PROMISE, "ok": ratio <= PROMISE})
        print(f"  {name + ' / multiprocessing':34} {ratio:10.2f}x   promised at most "
              f"{PROMISE}x: {'ok' if ratio <= PROMISE else 'not yet'}")
    for name, value in facts.items():
        print(f"  asyncio, {TASKS} tasks wait: {name:{max(map(len, facts))}} {value:10.1f}")
        lines.append({"group": group, "what": f"{TASKS} waiting tasks: {name}", "least": value})
    return lines


def main(build, quick):
    lines = []
    with tempfile.TemporaryDirectory(prefix="semundo-bench.", dir="/dev/shm") as directory:
        env = dict(os.environ, SEMUNDO_DIR=directory, PYTHONPATH=os.path.join(build, "python"))
        for python in pythons():
            done = subprocess.run([python, __file__, "--measure", "30" if quick else "200"],
                                  env=env, stdout=subprocess.PIPE, check=True, text=True)
            lines += report(json.loads(done.stdout))
    path = os.path.join(build, "bench", "bench.json")
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results + lines, file, indent=1)
    return 0 if all(line.get("measured", 0) <= LIMIT for line in lines) else 1


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        measure(int(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1], "--quick" in sys.argv))
