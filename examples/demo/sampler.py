# SPDX-License-Identifier: Apache-2.0
"""Counts the compressors that run at the same time, by looking in /proc at
the processes themselves. It knows nothing of any semaphore.

usage: sampler.py DIRECTORY INTERVAL
Counts gzip and xz processes that work in DIRECTORY until its standard input
is closed, then prints the number of samples, how often each count was seen,
and the longest time between two samples.
"""
import json
import os
import select
import sys
import time

COMPRESSORS = ("gzip", "xz")
PF_EXITING = 0x4


def stat(pid):
    """(name, state, parent, flags, start time) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text[text.index("(") + 1:].rpartition(") ")
    fields = rest.split()
    return name, fields[0], int(fields[1]), int(fields[6]), int(fields[19])


def is_running(facts):
    return facts is not None and facts[1] not in "ZX" and not facts[3] & PF_EXITING


def parent(pid):
    facts = stat(pid)
    return facts[2] if facts else None


class Looker:
    """Finds the running compressors of a directory."""

    def __init__(self, directory):
        self.directory = os.path.realpath(directory)
        self.strangers = {}  # pid: start time, of processes known not to be ours

    def is_ours(self, pid, facts):
        if facts[0] not in COMPRESSORS:
            return False  # not yet, perhaps: it may still execute one
        try:
            if os.readlink(f"/proc/{pid}/cwd") == self.directory:
                return True
        except OSError:
            return False
        self.strangers[pid] = facts[4]
        return False

    def look(self):
        """Those of this directory that run, one after the other."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            pid = int(entry)
            facts = stat(pid)
            if not is_running(facts) or self.strangers.get(pid) == facts[4]:
                continue
            if self.is_ours(pid, facts):
                found[pid] = facts[4]
        return found

    def running(self):
        """Those that ran at one moment: a look takes time, in which one may
        end and the next begin, so only those count that ran on after it."""
        together = set()
        for pid, start in self.look().items():
            facts = stat(pid)
            if is_running(facts) and facts[4] == start:
                together.add(pid)
        return together


def sample(looker, interval):
    counts, longest, last = {}, 0.0, time.monotonic()
    while not select.select([sys.stdin], [], [], interval)[0]:
        count = len(looker.running())
        counts[count] = counts.get(count, 0) + 1
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return {"samples": sum(counts.values()), "counts": counts, "longest": longest}


if __name__ == "__main__":
    print(json.dumps(sample(Looker(sys.argv[1]), float(sys.argv[2]))))
