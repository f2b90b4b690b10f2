#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two processes share a lock. One has a memory limit, and the kernel's OOM killer ends it while it
holds the lock. (As root, where a memory cgroup can be made; else it says so, with status 77.)

    oom.py multiprocessing|semundo
"""
import os
import sys

from common import LIMIT, begin, dead, ends, killed, say, start

MEGABYTE = 1 << 20
ROOTS = (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"))


def write(group, name, text):
    """False where there is no such file."""
    try:
        fd = os.open(os.path.join(group, name), os.O_WRONLY)
    except OSError:
        return False
    try:
        return os.write(fd, text.encode()) == len(text)
    except OSError:
        return False
    finally:
        os.close(fd)


def make_group():
    for root, limit in ROOTS:
        write(root, "cgroup.subtree_control", "+memory")  # of version 2
        group = os.path.join(root, f"semundo-oom.{os.getpid()}")
        try:
            os.mkdir(group)
        except OSError:
            continue
        if write(group, limit, str(32 * MEGABYTE)):
            write(group, "memory.swap.max", "0")
            write(group, "memory.memsw.limit_in_bytes", str(32 * MEGABYTE))
            return group
        os.rmdir(group)
    say("skipped: needs root and a memory cgroup that can be made")
    sys.exit(77)


def ooms(group):
    """How many the kernel has ended in the group for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            with open(os.path.join(group, name)) as file:
                return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except OSError:
            pass
    return 0


def hold_and_eat(group, lock, says):
    if not write(group, "cgroup.procs", "0"):
        sys.exit("it cannot enter the group")
    with lock:
        says.send("holds")
        eaten = [b"x" * MEGABYTE for _ in range(256)]
    sys.exit(f"it got {len(eaten)} megabytes")


def acquire(lock):
    with lock:
        for death in dead(lock):
            say(f"    it is told that process {death.pid} died with the lock")


def main():
    ctx, patience = begin()
    group = make_group()
    try:
        lock = ctx.Lock()
        says, hears = ctx.Pipe()
        eater = start(ctx, hold_and_eat, group, lock, says)
        if not hears.poll(LIMIT):
            sys.exit("nobody took the lock")
        killed(eater)
        say(f"process {eater.pid} took the lock and was ended by the OOM killer "
            f"(oom_kill {ooms(group)})")
        say("the other takes the lock:")
        if ends(start(ctx, acquire, lock), patience):
            say("    done")
        else:
            say("    it waits for the lock for ever")
    finally:
        os.rmdir(group)


if __name__ == "__main__":
    main()
