#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A lock is passed to a spawned process and dropped here, before the process has looked at what it
was passed. multiprocessing passes a name, which is gone by then; semundo passes a descriptor.

    name.py multiprocessing|semundo
"""
import gc
import os
from multiprocessing import reduction

from common import LIMIT, begin, ends, say


class Later:
    """Who unpickles it waits until something comes through a pipe."""

    def __init__(self, pipe):
        self.pipe = pipe

    def __reduce__(self):
        return wait, (reduction.DupFd(self.pipe),)


def wait(duplicate):
    os.read(duplicate.detach(), 1)


def use(later, lock):
    with lock:
        say("    the lock works")


def main():
    ctx, _ = begin("spawn")
    out, into = os.pipe()
    lock = ctx.Lock()
    process = ctx.Process(target=use, args=(Later(out), lock))
    process.start()
    del lock
    gc.collect()
    say("a process was passed a lock, and begins after the lock was dropped here:")
    os.write(into, b"x")
    if not ends(process, LIMIT):
        say("    it hangs")
    say(f"    its status is {process.exitcode}")


if __name__ == "__main__":
    main()
